-- One row per laboratory, model version and finding; `share` of the row `insufficient` is the insufficient rate.
CREATE VIEW report.findings AS
SELECT lab.code AS lab,
       model_version.name AS model_version,
       active_model.model_version_id IS NOT NULL AS active,
       kept.finding,
       kept.patients,
       kept.patients / sum(kept.patients) OVER (PARTITION BY lab.code, model_version.name)::double precision AS share
  FROM public.lab_finding AS kept
  JOIN public.lab ON lab.id = kept.lab_id
  JOIN public.model_version ON model_version.id = kept.model_version_id
  LEFT JOIN public.active_model ON active_model.model_version_id = model_version.id
 WHERE kept.patients > 0;

COMMENT ON VIEW report.findings IS
  'How many patients of a laboratory have which finding now. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.findings.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.findings.model_version IS 'Name of the model version that the findings are under';
COMMENT ON COLUMN report.findings.finding IS
  'consistent_with_ALL, consistent_with_MM, no_evidence, indeterminate, insufficient or incomplete';
COMMENT ON COLUMN report.findings.active IS 'Whether new slides are read with this model version';
COMMENT ON COLUMN report.findings.patients IS
  'Patients whose newest verdict under this model version has this finding; a patient may have one under each';
COMMENT ON COLUMN report.findings.share IS 'Of the laboratory''s patients with a verdict under this model version, 0-1';
