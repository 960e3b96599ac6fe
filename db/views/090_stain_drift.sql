-- One row per finished reading: how its slide's stain differs from that of the laboratory's earlier slides, as it was
-- told when the reading ended (`stain_reading`).
CREATE VIEW report.stain_drift AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.key,
       run.id AS run_id,
       run.finished_at,
       told.earlier_slides,
       told.drift,
       told.components,
       told.profile AS stain_profile
  FROM public.run
  JOIN public.slide ON slide.id = run.slide_id
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.stain_reading AS told ON told.run_id = run.id
 WHERE run.state = 'done';

COMMENT ON VIEW report.stain_drift IS
  'How each slide''s stain differs from the laboratory''s earlier ones. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.stain_drift.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.stain_drift.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.stain_drift.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.stain_drift.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.stain_drift.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.stain_drift.finished_at IS 'When the reading ended';
COMMENT ON COLUMN report.stain_drift.earlier_slides IS
  'With how many earlier slides of the laboratory it was compared, the last 200 at most';
COMMENT ON COLUMN report.stain_drift.drift IS
  'Distance in robust standard deviations: about 1 is usual; NULL with fewer than 20 earlier slides';
COMMENT ON COLUMN report.stain_drift.components IS 'How many of the twelve components it rests on';
COMMENT ON COLUMN report.stain_drift.stain_profile IS
  'Background (0-255) and optical densities of nuclei, red cells and basophilic cytoplasm per channel';
