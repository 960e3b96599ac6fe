-- Cells per class, as the patient's verdict counts them: done slides that are current, the model version shown.
-- Intervals are those that the verdict was decided with, never computed here.
CREATE VIEW report.differential AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       found.specimen,
       model_version.name AS model_version,
       found.cell_class,
       found.counted,
       found.called,
       found.abstained,
       CASE WHEN found.counted THEN found.called / nullif(found.denominator, 0) END AS share,
       coalesce(told.share ->> 'ci_low', first.share ->> 'ci_low')::double precision AS ci_low,
       coalesce(told.share ->> 'ci_high', first.share ->> 'ci_high')::double precision AS ci_high
  FROM public.patient
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = patient.shown_model_id
 CROSS JOIN LATERAL (
    SELECT slide.specimen, run_count.cell_class, run_count.counted,
           sum(run_count.called) AS called, sum(run_count.abstained) AS abstained,
           (sum(sum(run_count.called + run_count.abstained)) FILTER (WHERE run_count.counted)
              OVER (PARTITION BY slide.specimen))::double precision AS denominator
      FROM public.slide
      JOIN public.run ON run.slide_id = slide.id AND run.model_version_id = patient.shown_model_id AND run.state = 'done'
     CROSS JOIN LATERAL (  -- OFFSET has the run's rows looked up, where otherwise those of all runs would be summed
        SELECT * FROM public.run_count_effective AS effective WHERE effective.run_id = run.id OFFSET 0
     ) AS run_count
     WHERE slide.patient_id = patient.id AND slide.state = 'current'
     GROUP BY slide.specimen, run_count.cell_class, run_count.counted
  ) AS found
  LEFT JOIN public.verdict ON verdict.patient_id = patient.id AND verdict.model_version_id = patient.shown_model_id
  LEFT JOIN LATERAL (
    SELECT one -> 'shares' -> found.cell_class AS share
      FROM jsonb_array_elements(verdict.evidence -> 'specimens') AS one WHERE one ->> 'specimen' = found.specimen
  ) AS told ON true
  LEFT JOIN LATERAL (  -- verdicts of older versions hold intervals of the first specimen's leading classes only
    SELECT verdict.shares -> found.cell_class AS share
     WHERE verdict.evidence #>> '{specimens,0,specimen}' = found.specimen
  ) AS first ON true;

COMMENT ON VIEW report.differential IS
  'Differential count per patient and specimen. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.differential.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.differential.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.differential.specimen IS 'What was smeared: marrow, blood or unknown';
COMMENT ON COLUMN report.differential.model_version IS 'Name of the model version that the finding rests on';
COMMENT ON COLUMN report.differential.cell_class IS 'Class of the cells';
COMMENT ON COLUMN report.differential.counted IS 'Whether the class is in the denominator of shares';
COMMENT ON COLUMN report.differential.called IS 'Cells of this class, as the model called them or a person corrected them';
COMMENT ON COLUMN report.differential.abstained IS 'Cells most like this class that the model would not call';
COMMENT ON COLUMN report.differential.share IS
  'Called cells over all counted cells of the specimen, abstained ones included below the line';
COMMENT ON COLUMN report.differential.ci_low IS
  'Lower end of the 95 % interval that the verdict was decided with; NULL where it gave none for the class';
COMMENT ON COLUMN report.differential.ci_high IS
  'Upper end of the 95 % interval that the verdict was decided with; NULL where it gave none for the class';
