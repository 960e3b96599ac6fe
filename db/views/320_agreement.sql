-- Cohen's kappa of model and persons (Educ Psychol Meas 1960;20:37) with the large-sample interval of Fleiss, Cohen and
-- Everitt (Psychol Bull 1969;72:323). Where all agree that interval would have no width: there its lower end follows
-- from the exact binomial bound of the agreement, 0.025^(1/n). '' stands for all persons and for all classes inside.
CREATE VIEW report.agreement AS
WITH told AS (
  SELECT lab, model_version, coalesce(made_by, '') AS reader, called, given, cells
    FROM report.confusions WHERE called <> 'abstained'
), named AS (
  SELECT DISTINCT lab, model_version, reader, name
    FROM told CROSS JOIN LATERAL unnest(ARRAY[called, given]) AS name
), asked AS (  -- of all classes at once, and of each whether it is that one
  SELECT lab, model_version, reader, '' AS question, called, given, cells FROM told
  UNION ALL
  SELECT lab, model_version, reader, name, (called = name)::text, (given = name)::text, sum(cells)
    FROM told JOIN named USING (lab, model_version, reader) GROUP BY 1, 2, 3, 4, 5, 6
), whole AS (
  SELECT lab, model_version, reader, question, sum(cells)::float8 AS n,
         coalesce(sum(cells) FILTER (WHERE called = given), 0)::float8 AS agreed,
         sum(cells) FILTER (WHERE called = 'true') AS by_model, sum(cells) FILTER (WHERE given = 'true') AS by_person
    FROM asked GROUP BY lab, model_version, reader, question
), margin AS (
  SELECT lab, model_version, reader, question, name, sum(of_model)::float8 / n AS of_model,
         sum(of_person)::float8 / n AS of_person
    FROM (SELECT lab, model_version, reader, question, called AS name, cells AS of_model, 0 AS of_person FROM asked
          UNION ALL
          SELECT lab, model_version, reader, question, given, 0, cells FROM asked) AS one
    JOIN whole USING (lab, model_version, reader, question)
   GROUP BY lab, model_version, reader, question, name, n
), chance AS (
  SELECT lab, model_version, reader, question, sum(of_model * of_person) AS p
    FROM margin GROUP BY lab, model_version, reader, question
), measured AS (
  SELECT whole.*, chance.p AS by_chance, (agreed / n - chance.p) / nullif(1 - chance.p, 0) AS kappa
    FROM whole JOIN chance USING (lab, model_version, reader, question)
), spread AS (
  SELECT lab, model_version, reader, question,
         sum(cells / n * power((asked.called = asked.given)::integer
                               - (as_called.of_person + as_given.of_model) * (1 - kappa), 2)) AS sum
    FROM asked
    JOIN measured USING (lab, model_version, reader, question)
    JOIN margin AS as_called USING (lab, model_version, reader, question)
    JOIN margin AS as_given USING (lab, model_version, reader, question)
   WHERE as_called.name = asked.called AND as_given.name = asked.given
   GROUP BY lab, model_version, reader, question
)
SELECT measured.lab,
       measured.model_version,
       nullif(reader, '') AS made_by,
       nullif(question, '') AS cell_class,
       measured.n::bigint AS cells,
       CASE WHEN question = '' THEN agreed ELSE both_say.n END::bigint AS agreed,
       coalesce(measured.by_model, CASE WHEN question <> '' THEN 0 END)::bigint AS by_model,
       coalesce(measured.by_person, CASE WHEN question <> '' THEN 0 END)::bigint AS by_person,
       measured.kappa,
       CASE WHEN agreed = measured.n THEN (power(0.025, 1 / measured.n) - by_chance) / nullif(1 - by_chance, 0)
            ELSE greatest(-1, kappa - margin_95) END AS ci_low,
       CASE WHEN kappa IS NOT NULL THEN least(1, kappa + margin_95) END AS ci_high,
       coalesce(left_open.cells, 0)::bigint AS abstained
  FROM measured
  JOIN spread USING (lab, model_version, reader, question)
 CROSS JOIN LATERAL (
    SELECT 1.959963984540054 * sqrt(greatest(0, spread.sum - power(kappa - by_chance * (1 - kappa), 2)) / measured.n)
           / (1 - nullif(by_chance, 1)) AS margin_95
  ) AS width
 CROSS JOIN LATERAL (
    SELECT coalesce(sum(told.cells), 0) AS n FROM told
     WHERE (told.lab, told.model_version, told.reader) = (measured.lab, measured.model_version, measured.reader)
       AND told.called = question AND told.given = question
  ) AS both_say
 CROSS JOIN LATERAL (
    SELECT sum(others.cells) AS cells FROM report.confusions AS others
     WHERE (others.lab, others.model_version) = (measured.lab, measured.model_version)
       AND coalesce(others.made_by, '') = measured.reader AND others.called = 'abstained'
       AND (question = '' OR others.given = question)
  ) AS left_open;

COMMENT ON VIEW report.agreement IS
  'Agreement of model and persons, per lab, model version, person and class. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.agreement.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.agreement.model_version IS 'The model version that called';
COMMENT ON COLUMN report.agreement.made_by IS 'The person; NULL: all of the laboratory, each person''s words counted';
COMMENT ON COLUMN report.agreement.cell_class IS 'The class against all others; NULL: all classes at once';
COMMENT ON COLUMN report.agreement.cells IS 'Cells that the model called and the person judged';
COMMENT ON COLUMN report.agreement.agreed IS 'Cells that both hold for the class; of all classes: cells on which both agree';
COMMENT ON COLUMN report.agreement.by_model IS 'Cells that the model called the class; NULL for all classes';
COMMENT ON COLUMN report.agreement.by_person IS 'Cells that the person gave the class; NULL for all classes';
COMMENT ON COLUMN report.agreement.kappa IS
  'Cohen''s kappa, of the cells that were judged: means something only where cells were also confirmed, not changed alone';
COMMENT ON COLUMN report.agreement.ci_low IS 'Lower end of its 95 % interval (Fleiss, Cohen, Everitt)';
COMMENT ON COLUMN report.agreement.ci_high IS 'Upper end of its 95 % interval';
COMMENT ON COLUMN report.agreement.abstained IS
  'Further cells that the model would not call; those that the person gave the class';
