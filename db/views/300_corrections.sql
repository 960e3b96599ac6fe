-- One row per word that a person said of a cell, those that were overtaken too.
CREATE VIEW report.corrections AS
SELECT correction.id AS correction_id,
       lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.key,
       model_version.name AS model_version,
       correction.run_id,
       correction.batch_no,
       correction.cell_no,
       correction.x_l0,
       correction.y_l0,
       correction.called,
       correction.abstained,
       correction.cell_class,
       correction.made_by,
       correction.note,
       correction.made_at,
       NOT EXISTS (
         SELECT FROM public.correction AS later
          WHERE (later.run_id, later.batch_no, later.cell_no) = (correction.run_id, correction.batch_no, correction.cell_no)
            AND (later.x_l0, later.y_l0) IS NOT DISTINCT FROM (correction.x_l0, correction.y_l0)
            AND later.made_by = correction.made_by AND later.id > correction.id
       ) AS last_word,
       EXISTS (SELECT FROM public.corrected_cell WHERE corrected_cell.correction_id = correction.id) AS counts
  FROM public.correction
  JOIN public.run ON run.id = correction.run_id
  JOIN public.model_version ON model_version.id = run.model_version_id
  JOIN public.slide ON slide.id = run.slide_id
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id;

COMMENT ON VIEW report.corrections IS
  'What persons said of cells, beside what the model had called. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.corrections.correction_id IS 'Number of the word: a greater one was said later';
COMMENT ON COLUMN report.corrections.lab IS 'Code of the laboratory that the patient belongs to';
COMMENT ON COLUMN report.corrections.patient IS 'Pseudonym as the lab gave it';
COMMENT ON COLUMN report.corrections.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.corrections.key IS 'Key of the slide in its bucket';
COMMENT ON COLUMN report.corrections.model_version IS 'The model version whose reading the person looked at';
COMMENT ON COLUMN report.corrections.run_id IS 'That reading';
COMMENT ON COLUMN report.corrections.batch_no IS 'Batch of the cell in that reading';
COMMENT ON COLUMN report.corrections.cell_no IS 'Number of the cell in its batch';
COMMENT ON COLUMN report.corrections.x_l0 IS 'Centroid of the cell, level-0 pixels from the left; NULL in rows of old';
COMMENT ON COLUMN report.corrections.y_l0 IS 'Centroid of the cell, level-0 pixels from the top; NULL in rows of old';
COMMENT ON COLUMN report.corrections.called IS 'The class that the model had called, or held for most probable';
COMMENT ON COLUMN report.corrections.abstained IS 'Whether the model would not call the cell';
COMMENT ON COLUMN report.corrections.cell_class IS 'The class that the person gave; the same as called: confirmed';
COMMENT ON COLUMN report.corrections.made_by IS 'Who said it, by the name given at the import';
COMMENT ON COLUMN report.corrections.note IS 'What the person noted beside';
COMMENT ON COLUMN report.corrections.made_at IS 'When it was imported';
COMMENT ON COLUMN report.corrections.last_word IS 'Whether this person said nothing else of the cell since';
COMMENT ON COLUMN report.corrections.counts IS
  'Whether a cell that is stored now counts as this class by it: the last word of all, and the cell still found';
