-- One row per patient: the stored verdict, never one computed here.
CREATE VIEW report.patients AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       verdict.finding,
       verdict.reason,
       verdict.cells,
       verdict.slides_done,
       verdict.slides_open,
       verdict.slides_quarantined,
       model_version.name AS model_version,
       verdict.rule,
       verdict.shares,
       verdict.evidence,
       (verdict.shares #>> '{lymphoblast,value}')::double precision AS lymphoblast_share,
       (verdict.shares #>> '{plasma_cell,value}')::double precision AS plasma_cell_share,
       verdict.reported_at
  FROM public.patient
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = patient.shown_model_id
  JOIN public.verdict ON verdict.patient_id = patient.id AND verdict.model_version_id = model_version.id;

COMMENT ON VIEW report.patients IS
  'Finding per patient over all its slides. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.patients.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.patients.slides_done IS 'Slides that the counts are from';
COMMENT ON COLUMN report.patients.slides_quarantined IS 'Slides in quarantine';
COMMENT ON COLUMN report.patients.model_version IS 'Name of the model version that the finding rests on';
COMMENT ON COLUMN report.patients.lymphoblast_share IS 'Lymphoblasts over the counted cells, 0-1';
COMMENT ON COLUMN report.patients.plasma_cell_share IS 'Plasma cells over the counted cells, 0-1';
COMMENT ON COLUMN report.patients.patient IS 'Pseudonym as the lab gave it';
COMMENT ON COLUMN report.patients.finding IS
  'consistent_with_ALL, consistent_with_MM, no_evidence, indeterminate, insufficient or incomplete';
COMMENT ON COLUMN report.patients.reason IS 'Why, in words';
COMMENT ON COLUMN report.patients.cells IS 'Counted cells: the denominator of the shares';
COMMENT ON COLUMN report.patients.slides_open IS 'Slides waiting, being read, or missing from the bucket';
COMMENT ON COLUMN report.patients.rule IS 'Name of the dated rule set that the finding rests on';
COMMENT ON COLUMN report.patients.shares IS
  'Per class: value, ci_low and ci_high (exact 95 % interval), threshold, p_above (probability to reach it)';
COMMENT ON COLUMN report.patients.evidence IS 'Further facts behind the finding';
COMMENT ON COLUMN report.patients.reported_at IS
  'Since when the verdict is as it is: computed anew with the same result, it keeps its time';
