-- One row per patient, specimen and day on which samples were taken: blasts and plasma cells over time.
-- The intervals are Wilson's (J Am Stat Assoc 1927;22:209), as SQL has no exact one: near the finding's, never its own.
CREATE VIEW report.blast_trend AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       found.specimen,
       found.taken_on,
       model_version.name AS model_version,
       found.slides,
       found.cells,
       found.abstained,
       found.blasts / found.cells AS blast_share,
       wilson.middle - wilson.half AS blast_ci_low,
       wilson.middle + wilson.half AS blast_ci_high,
       found.lymphoblasts / found.cells AS lymphoblast_share,
       found.plasma_cells / found.cells AS plasma_cell_share
  FROM public.patient
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = patient.shown_model_id
 CROSS JOIN LATERAL (
    SELECT slide.specimen, (coalesce(slide.taken_at, slide.registered_at) AT TIME ZONE 'UTC')::date AS taken_on,
           count(DISTINCT slide.id) AS slides,
           sum(of_class.called + of_class.abstained) FILTER (WHERE of_class.counted)::double precision AS cells,
           coalesce(sum(of_class.abstained) FILTER (WHERE of_class.counted), 0) AS abstained,
           coalesce(sum(of_class.called) FILTER (WHERE of_class.cell_class IN ('lymphoblast', 'blast_other')), 0)::float8
             AS blasts,
           coalesce(sum(of_class.called) FILTER (WHERE of_class.cell_class = 'lymphoblast'), 0)::float8 AS lymphoblasts,
           coalesce(sum(of_class.called) FILTER (WHERE of_class.cell_class = 'plasma_cell'), 0)::float8 AS plasma_cells
      FROM public.slide
      JOIN public.run ON run.slide_id = slide.id AND run.model_version_id = patient.shown_model_id AND run.state = 'done'
     CROSS JOIN LATERAL (  -- as in report.differential
        SELECT * FROM public.run_count_effective AS effective WHERE effective.run_id = run.id OFFSET 0
     ) AS of_class
     WHERE slide.patient_id = patient.id AND slide.state = 'current'
     GROUP BY 1, 2
    HAVING sum(of_class.called + of_class.abstained) FILTER (WHERE of_class.counted) > 0
  ) AS found
 CROSS JOIN LATERAL (
    SELECT (found.blasts + 1.9207) / (found.cells + 3.8415) AS middle,
           1.96 / (found.cells + 3.8415) * sqrt(found.blasts * (found.cells - found.blasts) / found.cells + 0.9604) AS half
  ) AS wilson;

COMMENT ON VIEW report.blast_trend IS
  'Blasts and plasma cells of each patient by the day of the sample. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.blast_trend.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.blast_trend.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.blast_trend.specimen IS 'What was smeared: marrow, blood or unknown';
COMMENT ON COLUMN report.blast_trend.model_version IS 'Name of the model version that the finding rests on';
COMMENT ON COLUMN report.blast_trend.taken_on IS
  'Day on which the samples were taken, in UTC, or registered where that was not told';
COMMENT ON COLUMN report.blast_trend.slides IS 'Slides of that day that were read';
COMMENT ON COLUMN report.blast_trend.cells IS 'Counted cells of that day: the denominator of its shares';
COMMENT ON COLUMN report.blast_trend.abstained IS 'Of these, cells that the model would not call';
COMMENT ON COLUMN report.blast_trend.blast_share IS 'Blasts of any lineage over the counted cells, 0-1';
COMMENT ON COLUMN report.blast_trend.blast_ci_low IS 'Lower end of the share''s 95 % interval (Wilson)';
COMMENT ON COLUMN report.blast_trend.blast_ci_high IS 'Upper end of the share''s 95 % interval (Wilson)';
COMMENT ON COLUMN report.blast_trend.lymphoblast_share IS 'Lymphoblasts over the counted cells, 0-1';
COMMENT ON COLUMN report.blast_trend.plasma_cell_share IS 'Plasma cells over the counted cells, 0-1';
