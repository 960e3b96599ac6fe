-- One row per verdict that was ever stored: a new one for everything that changed what it rests on.
CREATE VIEW report.verdict_history AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       model_version.name AS model_version,
       told.rev,
       told.finding,
       (SELECT earlier.finding FROM public.verdict_history AS earlier
         WHERE earlier.patient_id = told.patient_id AND earlier.model_version_id = told.model_version_id
           AND earlier.rev < told.rev ORDER BY earlier.rev DESC LIMIT 1) AS finding_before,
       told.reason,
       told.rule,
       told.cells,
       told.slides_done,
       told.slides_open,
       told.slides_quarantined,
       (told.shares #>> '{lymphoblast,value}')::double precision AS lymphoblast_share,
       (told.shares #>> '{plasma_cell,value}')::double precision AS plasma_cell_share,
       told.shares,
       told.evidence,
       told.inputs_digest,
       told.reported_at
  FROM public.verdict_history AS told
  JOIN public.patient ON patient.id = told.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = told.model_version_id;

COMMENT ON VIEW report.verdict_history IS
  'Every verdict ever stored; it only grows. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.verdict_history.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.verdict_history.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.verdict_history.model_version IS 'Name of the model version that the verdict is under';
COMMENT ON COLUMN report.verdict_history.finding IS
  'consistent_with_ALL, consistent_with_MM, no_evidence, indeterminate, insufficient or incomplete';
COMMENT ON COLUMN report.verdict_history.reason IS 'Why, in words';
COMMENT ON COLUMN report.verdict_history.rule IS 'Name of the dated rule set that the finding rests on';
COMMENT ON COLUMN report.verdict_history.cells IS 'Counted cells: the denominator of the shares';
COMMENT ON COLUMN report.verdict_history.slides_done IS 'Slides that the counts are from';
COMMENT ON COLUMN report.verdict_history.slides_open IS 'Slides waiting, being read, or missing from the bucket';
COMMENT ON COLUMN report.verdict_history.slides_quarantined IS 'Slides in quarantine';
COMMENT ON COLUMN report.verdict_history.lymphoblast_share IS 'Lymphoblasts over the counted cells, 0-1';
COMMENT ON COLUMN report.verdict_history.plasma_cell_share IS 'Plasma cells over the counted cells, 0-1';
COMMENT ON COLUMN report.verdict_history.shares IS
  'Per class: value, ci_low and ci_high (exact 95 % interval), threshold, p_above (probability to reach it)';
COMMENT ON COLUMN report.verdict_history.evidence IS 'Further facts behind the finding';
COMMENT ON COLUMN report.verdict_history.rev IS 'Number of the verdict, growing for each patient, with gaps';
COMMENT ON COLUMN report.verdict_history.finding_before IS
  'The finding before it under the same model version, NULL for the first';
COMMENT ON COLUMN report.verdict_history.inputs_digest IS
  'SHA-256 of the counts that it was decided by: equal digests, equal counts, rule and model version';
COMMENT ON COLUMN report.verdict_history.reported_at IS 'When the verdict was stored';
