-- Cells per class, as the patient's verdict counts them: done slides that are current, the model version shown.
CREATE VIEW report.differential AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       slide.specimen,
       model_version.name AS model_version,
       run_count.cell_class,
       run_count.counted,
       sum(run_count.called) AS called,
       sum(run_count.abstained) AS abstained,
       CASE WHEN run_count.counted THEN
         sum(run_count.called)::double precision
         / nullif(sum(sum(run_count.called + run_count.abstained)) FILTER (WHERE run_count.counted)
                  OVER (PARTITION BY patient.id, slide.specimen, model_version.id), 0) END AS share
  FROM public.run_count_effective AS run_count
  JOIN public.run ON run.id = run_count.run_id AND run.state = 'done'
  JOIN public.slide ON slide.id = run.slide_id AND slide.state = 'current'
  JOIN public.patient ON patient.id = slide.patient_id AND patient.shown_model_id = run.model_version_id
  JOIN public.model_version ON model_version.id = run.model_version_id
  JOIN public.lab ON lab.id = patient.lab_id
 GROUP BY lab.code, patient.id, slide.specimen, model_version.id, run_count.cell_class, run_count.counted;

COMMENT ON VIEW report.differential IS
  'Differential count per patient and specimen. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.differential.counted IS 'Whether the class is in the denominator of shares';
COMMENT ON COLUMN report.differential.called IS 'Cells of this class, as the model called them or a person corrected them';
COMMENT ON COLUMN report.differential.abstained IS 'Cells most like this class that the model would not call';
COMMENT ON COLUMN report.differential.share IS
  'Called cells over all counted cells of the specimen, abstained ones included below the line';
