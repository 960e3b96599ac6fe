-- A slide that is read anew loses its cells, also those of which a person said something: no key may hold them.
-- Which word stands for which cell is kept beside, and goes with the cell.

ALTER TABLE correction DROP CONSTRAINT fk_correction_cell;
ALTER TABLE correction ADD COLUMN called TEXT;
ALTER TABLE correction ADD COLUMN abstained BOOLEAN;
ALTER TABLE correction ADD COLUMN x_l0 double precision;
ALTER TABLE correction ADD COLUMN y_l0 double precision;
ALTER TABLE correction ADD CONSTRAINT ck_correction_called CHECK (called IN ('lymphoblast', 'blast_other',
  'plasma_cell', 'lymphocyte', 'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte',
  'erythroblast', 'megakaryocyte', 'platelet', 'smudge', 'artefact'));

CREATE TABLE corrected_cell (
  run_id BIGINT NOT NULL,
  batch_no INTEGER NOT NULL,
  cell_no INTEGER NOT NULL,
  cell_class TEXT NOT NULL,
  called TEXT NOT NULL,
  abstained BOOLEAN NOT NULL,
  correction_id BIGINT NOT NULL,
  CONSTRAINT pk_corrected_cell PRIMARY KEY (run_id, batch_no, cell_no),
  CONSTRAINT fk_corrected_cell_batch FOREIGN KEY (run_id, batch_no) REFERENCES batch (run_id, no) ON DELETE CASCADE,
  CONSTRAINT fk_corrected_cell_correction FOREIGN KEY (correction_id) REFERENCES correction (id),
  CONSTRAINT ck_corrected_cell_cell_class CHECK (cell_class IN ('lymphoblast', 'blast_other', 'plasma_cell',
    'lymphocyte', 'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte', 'erythroblast',
    'megakaryocyte', 'platelet', 'smudge', 'artefact')),
  CONSTRAINT ck_corrected_cell_called CHECK (called IN ('lymphoblast', 'blast_other', 'plasma_cell', 'lymphocyte',
    'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte', 'erythroblast', 'megakaryocyte',
    'platelet', 'smudge', 'artefact'))
);
CREATE INDEX ix_corrected_cell_correction_id ON corrected_cell (correction_id);

-- Words of old still have their cells.
INSERT INTO corrected_cell
SELECT DISTINCT ON (run_id, batch_no, cell_no) run_id, batch_no, cell_no, correction.cell_class, cell.cell_class,
       cell.abstained, correction.id
  FROM correction JOIN cell USING (run_id, batch_no, cell_no)
 ORDER BY run_id, batch_no, cell_no, correction.id DESC;
