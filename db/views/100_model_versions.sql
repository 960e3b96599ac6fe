-- One row per model version: what its card says, and how far it has come with the slides that are current now. That is joined
-- so that who asks for none of it does not wait for the whole archive to be counted.
CREATE VIEW report.model_versions AS
SELECT model_version.name AS model_version,
       (model_version.card ->> 'created')::date AS created,
       model_version.created_at AS registered_at,
       active_model.model_version_id IS NOT NULL AS active,
       active_model.activated_at,
       model_version.weights_sha256,
       model_version.card ->> 'arch' AS arch,
       model_version.classes,
       model_version.preprocess,
       model_version.card -> 'figures' AS figures,
       model_version.card ->> 'limits' AS limits,
       model_version.card ->> 'terms' AS terms,
       model_version.card -> 'data' AS data,
       model_version.confusion,
       reach.slides_read,
       reach.slides_quarantined,
       reach.slides_queued,
       (SELECT count(*) FROM public.patient WHERE patient.shown_model_id = model_version.id) AS patients_shown
  FROM public.model_version
  LEFT JOIN public.active_model ON active_model.model_version_id = model_version.id
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE run.state = 'done') AS slides_read,
           count(*) FILTER (WHERE run.state = 'quarantined') AS slides_quarantined,
           count(*) FILTER (WHERE run.state IN ('pending', 'running', 'retry_wait')) AS slides_queued
      FROM public.run JOIN public.slide ON slide.id = run.slide_id
     WHERE run.model_version_id = model_version.id AND slide.state = 'current'
  ) AS reach ON true;

COMMENT ON VIEW report.model_versions IS
  'Model versions with their cards. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.model_versions.model_version IS 'Name of the model version';
COMMENT ON COLUMN report.model_versions.registered_at IS 'When it was registered here';
COMMENT ON COLUMN report.model_versions.activated_at IS
  'When new slides began to be read with it, NULL for one that is not active';
COMMENT ON COLUMN report.model_versions.weights_sha256 IS 'SHA-256 of its weights';
COMMENT ON COLUMN report.model_versions.arch IS 'Architecture of its network';
COMMENT ON COLUMN report.model_versions.classes IS 'Classes that it calls, in the order of its probabilities';
COMMENT ON COLUMN report.model_versions.preprocess IS 'How pixels are prepared for it';
COMMENT ON COLUMN report.model_versions.data IS 'What it was trained on, as its card says';
COMMENT ON COLUMN report.model_versions.slides_quarantined IS 'Current slides that it could not read';
COMMENT ON COLUMN report.model_versions.created IS 'When its weights were made, as its card says';
COMMENT ON COLUMN report.model_versions.active IS 'Whether new slides are read with it';
COMMENT ON COLUMN report.model_versions.figures IS 'How well it did where, as its card says';
COMMENT ON COLUMN report.model_versions.limits IS 'What it cannot do, as its card says';
COMMENT ON COLUMN report.model_versions.terms IS 'On what terms its weights may be used';
COMMENT ON COLUMN report.model_versions.confusion IS
  'Calls on held-out cells: classes, and a row of counts per true class with a column per class and one for abstained';
COMMENT ON COLUMN report.model_versions.slides_read IS 'Current slides that it has read';
COMMENT ON COLUMN report.model_versions.slides_queued IS 'Current slides that it was asked to read and has not yet';
COMMENT ON COLUMN report.model_versions.patients_shown IS 'Patients whose reports rest on it';
