-- One row per laboratory, model version and cause: how many slides are in quarantine now.
CREATE VIEW report.quarantine_causes AS
SELECT lab.code AS lab,
       model_version.name AS model_version,
       run.error_code,
       count(*) AS slides,
       count(DISTINCT patient.id) AS patients,
       min(quarantined.at) AS oldest_at,
       max(quarantined.at) AS newest_at,
       (array_agg(run.error_remedy ORDER BY quarantined.at DESC))[1] AS remedy
  FROM public.run
  JOIN public.slide ON slide.id = run.slide_id AND slide.state = 'current'
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = run.model_version_id
 CROSS JOIN LATERAL (
    SELECT max(transition.at) AS at FROM public.transition
     WHERE transition.run_id = run.id AND transition.to_state = 'quarantined'
  ) AS quarantined
 WHERE run.state = 'quarantined'
 GROUP BY lab.code, model_version.name, run.error_code;

COMMENT ON VIEW report.quarantine_causes IS
  'Why slides are in quarantine now. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.quarantine_causes.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.quarantine_causes.model_version IS 'Name of the model version that was to read them';
COMMENT ON COLUMN report.quarantine_causes.error_code IS 'What went wrong, as one word';
COMMENT ON COLUMN report.quarantine_causes.slides IS 'Slides in quarantine for this cause';
COMMENT ON COLUMN report.quarantine_causes.patients IS 'Patients whose finding waits for them';
COMMENT ON COLUMN report.quarantine_causes.oldest_at IS 'Since when the first of them is in quarantine';
COMMENT ON COLUMN report.quarantine_causes.newest_at IS 'Since when the last of them is in quarantine';
COMMENT ON COLUMN report.quarantine_causes.remedy IS 'What to do about the newest of them';
