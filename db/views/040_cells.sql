-- The cells of finished runs; those of a run that is being read, or failed, are no result and do not appear.
CREATE VIEW report.cells AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.key,
       slide.specimen,
       model_version.name AS model_version,
       cell.run_id,
       cell.batch_no,
       cell.cell_no,
       cell.x_l0,
       cell.y_l0,
       cell.cell_class,
       cell.abstained,
       -- There are 14 classes at most; element by element, as a subquery for each cell takes longer.
       greatest(cell.probabilities[1], cell.probabilities[2], cell.probabilities[3], cell.probabilities[4],
                cell.probabilities[5], cell.probabilities[6], cell.probabilities[7], cell.probabilities[8],
                cell.probabilities[9], cell.probabilities[10], cell.probabilities[11], cell.probabilities[12],
                cell.probabilities[13], cell.probabilities[14], cell.probabilities[15], cell.probabilities[16]) AS probability,
       (SELECT jsonb_object_agg(class, p) FROM unnest(model_version.classes, cell.probabilities) AS call (class, p))
         AS probabilities,
       (SELECT jsonb_object_agg(name, value) FROM unnest(run.feature_names, cell.features) AS measured (name, value))
         AS features,
       (SELECT outline.points_l0 FROM public.outline
         WHERE (outline.run_id, outline.batch_no, outline.cell_no) = (cell.run_id, cell.batch_no, cell.cell_no))
         AS outline_l0,
       run.model_version_id IS NOT DISTINCT FROM patient.shown_model_id AS shown,
       (SELECT corrected_cell.cell_class FROM public.corrected_cell
         WHERE (corrected_cell.run_id, corrected_cell.batch_no, corrected_cell.cell_no)
             = (cell.run_id, cell.batch_no, cell.cell_no)) AS corrected_class
  FROM public.cell
  JOIN public.run ON run.id = cell.run_id AND run.state = 'done'
  JOIN public.model_version ON model_version.id = run.model_version_id
  JOIN public.slide ON slide.id = run.slide_id
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id;

COMMENT ON VIEW report.cells IS
  'Every cell of every finished run. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.cells.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.cells.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.cells.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.cells.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.cells.specimen IS 'What was smeared: marrow, blood or unknown';
COMMENT ON COLUMN report.cells.model_version IS 'Name of the model version that read it';
COMMENT ON COLUMN report.cells.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.cells.batch_no IS 'Number of the batch within the reading';
COMMENT ON COLUMN report.cells.cell_no IS 'Number of the cell within the batch';
COMMENT ON COLUMN report.cells.x_l0 IS 'Centroid, level-0 pixels from the left';
COMMENT ON COLUMN report.cells.y_l0 IS 'Centroid, level-0 pixels from the top';
COMMENT ON COLUMN report.cells.cell_class IS 'The class called, or the most probable one where the model abstained';
COMMENT ON COLUMN report.cells.abstained IS 'True where the model would not call the cell';
COMMENT ON COLUMN report.cells.probability IS 'The greatest probability of any class';
COMMENT ON COLUMN report.cells.probabilities IS 'Probability of each class of the model version';
COMMENT ON COLUMN report.cells.features IS 'Shape, colour and texture, named';
COMMENT ON COLUMN report.cells.outline_l0 IS 'Polygon x, y, x, y ... in level-0 pixels, without the repeated first point';
COMMENT ON COLUMN report.cells.shown IS
  'Whether the patient''s finding rests on this model version: a slide may be read by several';
COMMENT ON COLUMN report.cells.corrected_class IS 'The class as a person left it, by which the cell counts; NULL: not corrected';
