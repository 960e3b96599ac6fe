-- One row per cell on which the last words of persons differ.
CREATE VIEW report.disputed_cells AS
SELECT lab,
       patient,
       slide_id,
       key,
       model_version,
       run_id,
       batch_no,
       cell_no,
       x_l0,
       y_l0,
       CASE WHEN bool_or(abstained) THEN 'abstained' ELSE min(called) END AS called,
       jsonb_object_agg(made_by, cell_class) AS words,
       (array_agg(cell_class ORDER BY correction_id DESC))[1] AS last_class
  FROM report.corrections
 WHERE last_word
 GROUP BY lab, patient, slide_id, key, model_version, run_id, batch_no, cell_no, x_l0, y_l0
HAVING count(DISTINCT cell_class) > 1;

COMMENT ON VIEW report.disputed_cells IS
  'Cells on which persons disagree. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.disputed_cells.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.disputed_cells.patient IS 'Pseudonym as the lab gave it';
COMMENT ON COLUMN report.disputed_cells.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.disputed_cells.key IS 'Key of the slide in its bucket';
COMMENT ON COLUMN report.disputed_cells.model_version IS 'The model version whose reading the persons looked at';
COMMENT ON COLUMN report.disputed_cells.run_id IS 'That reading';
COMMENT ON COLUMN report.disputed_cells.batch_no IS 'Batch of the cell in that reading';
COMMENT ON COLUMN report.disputed_cells.cell_no IS 'Number of the cell in its batch';
COMMENT ON COLUMN report.disputed_cells.x_l0 IS 'Centroid of the cell, level-0 pixels from the left';
COMMENT ON COLUMN report.disputed_cells.y_l0 IS 'Centroid of the cell, level-0 pixels from the top';
COMMENT ON COLUMN report.disputed_cells.called IS 'The class that the model called; abstained where it would not call';
COMMENT ON COLUMN report.disputed_cells.words IS 'Each person''s last word: name and class';
COMMENT ON COLUMN report.disputed_cells.last_class IS 'The class that was given last, by which the cell counts';
