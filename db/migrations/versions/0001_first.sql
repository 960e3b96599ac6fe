-- The first schema. Frozen: later changes are later migrations.
-- Times are the database's own clock; coordinates end in _l0, level-0 pixels of the slide.

CREATE TABLE lab (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  code TEXT NOT NULL,
  rule TEXT NOT NULL,
  default_specimen TEXT NOT NULL,
  site_mpp_um double precision,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_lab PRIMARY KEY (id),
  CONSTRAINT uq_lab_code UNIQUE (code),
  CONSTRAINT ck_lab_default_specimen CHECK (default_specimen IN ('marrow', 'blood', 'unknown')),
  CONSTRAINT ck_lab_code CHECK (code <> ''),
  CONSTRAINT ck_lab_site_mpp_um CHECK (site_mpp_um > 0 AND site_mpp_um < 'Infinity')
);

CREATE TABLE model_version (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  name TEXT NOT NULL,
  weights_sha256 TEXT NOT NULL,
  classes TEXT[] NOT NULL,
  preprocess JSONB NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_model_version PRIMARY KEY (id),
  CONSTRAINT uq_model_version_name UNIQUE (name),
  CONSTRAINT ck_model_version_weights_sha256 CHECK (weights_sha256 ~ '^[0-9a-f]{64}$'),
  CONSTRAINT ck_model_version_classes CHECK (cardinality(classes) > 0)
);

CREATE TABLE active_model (
  only_row BOOLEAN DEFAULT true NOT NULL,
  model_version_id BIGINT NOT NULL,
  activated_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_active_model PRIMARY KEY (only_row),
  CONSTRAINT ck_active_model_only_row CHECK (only_row),
  CONSTRAINT fk_active_model_model_version FOREIGN KEY (model_version_id) REFERENCES model_version (id)
);

CREATE TABLE patient (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  lab_id BIGINT NOT NULL,
  pseudonym TEXT NOT NULL,
  rev BIGINT DEFAULT 0 NOT NULL,
  shown_model_id BIGINT,
  created_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_patient PRIMARY KEY (id),
  CONSTRAINT uq_patient_lab_id_pseudonym UNIQUE (lab_id, pseudonym),
  CONSTRAINT ck_patient_pseudonym CHECK (pseudonym <> ''),
  CONSTRAINT fk_patient_lab FOREIGN KEY (lab_id) REFERENCES lab (id),
  CONSTRAINT fk_patient_model_version FOREIGN KEY (shown_model_id) REFERENCES model_version (id)
);

CREATE TABLE slide (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  patient_id BIGINT NOT NULL,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  version_id TEXT DEFAULT '' NOT NULL,
  etag TEXT DEFAULT '' NOT NULL,
  size_bytes BIGINT NOT NULL,
  last_modified timestamptz NOT NULL,
  sha256 TEXT,
  manifest_digest TEXT,
  state TEXT NOT NULL,
  specimen TEXT NOT NULL,
  stain TEXT,
  declared_mpp_um double precision,
  taken_at timestamptz,
  registered_at timestamptz DEFAULT now() NOT NULL,
  seen_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_slide PRIMARY KEY (id),
  CONSTRAINT uq_slide_identity UNIQUE (bucket, key, version_id, etag),
  CONSTRAINT ck_slide_state CHECK (state IN ('incomplete', 'current', 'superseded', 'missing')),
  CONSTRAINT ck_slide_specimen CHECK (specimen IN ('marrow', 'blood', 'unknown')),
  CONSTRAINT ck_slide_size_bytes CHECK (size_bytes >= 0),
  CONSTRAINT ck_slide_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  CONSTRAINT ck_slide_declared_mpp_um CHECK (declared_mpp_um > 0 AND declared_mpp_um < 'Infinity'),
  CONSTRAINT fk_slide_patient FOREIGN KEY (patient_id) REFERENCES patient (id)
);
CREATE INDEX ix_slide_patient_id ON slide (patient_id);
CREATE UNIQUE INDEX uq_slide_current ON slide (bucket, key) WHERE state = 'current';

CREATE TABLE slide_file (
  slide_id BIGINT NOT NULL,
  key TEXT NOT NULL,
  version_id TEXT DEFAULT '' NOT NULL,
  etag TEXT DEFAULT '' NOT NULL,
  size_bytes BIGINT NOT NULL,
  CONSTRAINT pk_slide_file PRIMARY KEY (slide_id, key),
  CONSTRAINT ck_slide_file_size_bytes CHECK (size_bytes >= 0),
  CONSTRAINT fk_slide_file_slide FOREIGN KEY (slide_id) REFERENCES slide (id)
);

CREATE TABLE run (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  slide_id BIGINT NOT NULL,
  model_version_id BIGINT NOT NULL,
  state TEXT DEFAULT 'pending' NOT NULL,
  attempt INTEGER DEFAULT 0 NOT NULL,
  releases INTEGER DEFAULT 0 NOT NULL,
  max_attempts INTEGER NOT NULL,
  fence BIGINT DEFAULT 0 NOT NULL,
  lease_owner TEXT,
  lease_until timestamptz,
  next_at timestamptz DEFAULT now() NOT NULL,
  progress_at timestamptz,
  plan JSONB,
  plan_digest TEXT,
  n_batches INTEGER,
  mpp_um double precision,
  mpp_source TEXT,
  feature_names TEXT[],
  n_cells INTEGER,
  error_code TEXT,
  error_cause TEXT,
  error_remedy TEXT,
  changed_by TEXT NOT NULL,
  change_reason TEXT NOT NULL,
  created_at timestamptz DEFAULT now() NOT NULL,
  finished_at timestamptz,
  CONSTRAINT pk_run PRIMARY KEY (id),
  CONSTRAINT uq_run_slide_id_model_version_id UNIQUE (slide_id, model_version_id),
  CONSTRAINT ck_run_state CHECK (state IN ('pending', 'running', 'retry_wait', 'done', 'quarantined', 'cancelled')),
  CONSTRAINT ck_run_mpp_source CHECK (mpp_source IN ('header', 'sidecar', 'site')),
  CONSTRAINT ck_run_attempts CHECK (releases >= 0 AND releases <= attempt AND attempt - releases <= max_attempts),
  CONSTRAINT ck_run_max_attempts CHECK (max_attempts > 0),
  CONSTRAINT ck_run_totals CHECK (n_batches >= 0 AND n_cells >= 0),
  CONSTRAINT ck_run_mpp_um CHECK (mpp_um > 0 AND mpp_um < 'Infinity'),
  CONSTRAINT ck_run_lease CHECK ((state = 'running') = (lease_owner IS NOT NULL) AND (state = 'running') =
    (lease_until IS NOT NULL)),
  CONSTRAINT ck_run_done CHECK (state <> 'done' OR (finished_at IS NOT NULL AND n_batches IS NOT NULL AND n_cells
    IS NOT NULL)),
  CONSTRAINT ck_run_quarantined CHECK (state <> 'quarantined' OR (error_code IS NOT NULL AND error_cause IS NOT
    NULL AND error_remedy IS NOT NULL)),
  CONSTRAINT fk_run_slide FOREIGN KEY (slide_id) REFERENCES slide (id),
  CONSTRAINT fk_run_model_version FOREIGN KEY (model_version_id) REFERENCES model_version (id)
);
CREATE INDEX ix_run_due ON run (next_at) WHERE state IN ('pending', 'retry_wait');
CREATE INDEX ix_run_lease ON run (lease_until) WHERE state = 'running';
CREATE INDEX ix_run_model_version_id ON run (model_version_id);

CREATE TABLE run_count (
  run_id BIGINT NOT NULL,
  cell_class TEXT NOT NULL,
  called INTEGER NOT NULL,
  abstained INTEGER NOT NULL,
  counted BOOLEAN NOT NULL,
  CONSTRAINT pk_run_count PRIMARY KEY (run_id, cell_class),
  CONSTRAINT ck_run_count_cell_class CHECK (cell_class IN ('lymphoblast', 'blast_other', 'plasma_cell',
    'lymphocyte', 'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte', 'erythroblast',
    'megakaryocyte', 'platelet', 'smudge', 'artefact')),
  CONSTRAINT ck_run_count_counts CHECK (called >= 0 AND abstained >= 0),
  CONSTRAINT fk_run_count_run FOREIGN KEY (run_id) REFERENCES run (id)
);

CREATE TABLE transition (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  run_id BIGINT NOT NULL,
  from_state TEXT,
  to_state TEXT NOT NULL,
  fence BIGINT NOT NULL,
  attempt INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_transition PRIMARY KEY (id),
  CONSTRAINT fk_transition_run FOREIGN KEY (run_id) REFERENCES run (id)
);
CREATE INDEX ix_transition_run_id ON transition (run_id);

CREATE TABLE verdict (
  patient_id BIGINT NOT NULL,
  model_version_id BIGINT NOT NULL,
  rev BIGINT NOT NULL,
  finding TEXT NOT NULL,
  reason TEXT NOT NULL,
  rule TEXT NOT NULL,
  inputs_digest TEXT NOT NULL,
  cells INTEGER NOT NULL,
  slides_done INTEGER NOT NULL,
  slides_open INTEGER NOT NULL,
  slides_quarantined INTEGER NOT NULL,
  shares JSONB NOT NULL,
  evidence JSONB NOT NULL,
  reported_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_verdict PRIMARY KEY (patient_id, model_version_id),
  CONSTRAINT ck_verdict_finding CHECK (finding IN ('consistent_with_ALL', 'consistent_with_MM', 'no_evidence',
    'indeterminate', 'insufficient', 'incomplete')),
  CONSTRAINT fk_verdict_patient FOREIGN KEY (patient_id) REFERENCES patient (id),
  CONSTRAINT fk_verdict_model_version FOREIGN KEY (model_version_id) REFERENCES model_version (id)
);

CREATE TABLE verdict_history (
  patient_id BIGINT NOT NULL,
  model_version_id BIGINT NOT NULL,
  rev BIGINT NOT NULL,
  finding TEXT NOT NULL,
  reason TEXT NOT NULL,
  rule TEXT NOT NULL,
  inputs_digest TEXT NOT NULL,
  cells INTEGER NOT NULL,
  slides_done INTEGER NOT NULL,
  slides_open INTEGER NOT NULL,
  slides_quarantined INTEGER NOT NULL,
  shares JSONB NOT NULL,
  evidence JSONB NOT NULL,
  reported_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_verdict_history PRIMARY KEY (patient_id, model_version_id, rev),
  CONSTRAINT ck_verdict_history_finding CHECK (finding IN ('consistent_with_ALL', 'consistent_with_MM',
    'no_evidence', 'indeterminate', 'insufficient', 'incomplete')),
  CONSTRAINT fk_verdict_history_patient FOREIGN KEY (patient_id) REFERENCES patient (id),
  CONSTRAINT fk_verdict_history_model_version FOREIGN KEY (model_version_id) REFERENCES model_version (id)
);

CREATE TABLE worker (
  id TEXT NOT NULL,
  host TEXT NOT NULL,
  device TEXT NOT NULL,
  started_at timestamptz DEFAULT now() NOT NULL,
  seen_at timestamptz DEFAULT now() NOT NULL,
  last_claim_attempt_at timestamptz,
  CONSTRAINT pk_worker PRIMARY KEY (id)
);

CREATE TABLE event_inbox (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  source TEXT NOT NULL,
  msg_id TEXT NOT NULL,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  version_id TEXT DEFAULT '' NOT NULL,
  sequencer TEXT DEFAULT '' NOT NULL,
  received_at timestamptz DEFAULT now() NOT NULL,
  handled_at timestamptz,
  CONSTRAINT pk_event_inbox PRIMARY KEY (id),
  CONSTRAINT uq_event_inbox_source_msg_id UNIQUE (source, msg_id)
);

CREATE TABLE batch (
  run_id BIGINT NOT NULL,
  no INTEGER NOT NULL,
  fence BIGINT NOT NULL,
  n_cells INTEGER NOT NULL,
  written_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_batch PRIMARY KEY (run_id, no),
  CONSTRAINT ck_batch_numbers CHECK (no >= 0 AND n_cells >= 0),
  CONSTRAINT fk_batch_run FOREIGN KEY (run_id) REFERENCES run (id)
);

CREATE TABLE cell (
  run_id BIGINT NOT NULL,
  batch_no INTEGER NOT NULL,
  cell_no INTEGER NOT NULL,
  x_l0 double precision NOT NULL,
  y_l0 double precision NOT NULL,
  cell_class TEXT NOT NULL,
  abstained BOOLEAN NOT NULL,
  probabilities REAL[] NOT NULL,
  features REAL[] NOT NULL,
  CONSTRAINT pk_cell PRIMARY KEY (run_id, batch_no, cell_no),
  CONSTRAINT fk_cell_batch FOREIGN KEY (run_id, batch_no) REFERENCES batch (run_id, no) ON DELETE CASCADE,
  CONSTRAINT ck_cell_cell_class CHECK (cell_class IN ('lymphoblast', 'blast_other', 'plasma_cell', 'lymphocyte',
    'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte', 'erythroblast', 'megakaryocyte',
    'platelet', 'smudge', 'artefact')),
  CONSTRAINT ck_cell_probabilities CHECK (cardinality(probabilities) > 0 AND array_position(probabilities, NULL)
    IS NULL AND 0 <= ALL (probabilities) AND 1 >= ALL (probabilities)),
  CONSTRAINT ck_cell_features CHECK (array_position(features, NULL) IS NULL AND '-Infinity' < ALL (features) AND
    'Infinity' > ALL (features)),
  CONSTRAINT ck_cell_centroid CHECK (x_l0 >= 0 AND x_l0 < 'Infinity' AND y_l0 >= 0 AND y_l0 < 'Infinity')
) PARTITION BY HASH (run_id);

CREATE TABLE outline (
  run_id BIGINT NOT NULL,
  batch_no INTEGER NOT NULL,
  cell_no INTEGER NOT NULL,
  points_l0 INTEGER[] NOT NULL,
  CONSTRAINT pk_outline PRIMARY KEY (run_id, batch_no, cell_no),
  CONSTRAINT fk_outline_batch FOREIGN KEY (run_id, batch_no) REFERENCES batch (run_id, no) ON DELETE CASCADE,
  CONSTRAINT ck_outline_points_l0 CHECK (cardinality(points_l0) >= 6 AND mod(cardinality(points_l0), 2) = 0)
) PARTITION BY HASH (run_id);

CREATE TABLE area (
  run_id BIGINT NOT NULL,
  no INTEGER NOT NULL,
  kind TEXT NOT NULL,
  x_l0 INTEGER NOT NULL,
  y_l0 INTEGER NOT NULL,
  width_l0 INTEGER NOT NULL,
  height_l0 INTEGER NOT NULL,
  CONSTRAINT pk_area PRIMARY KEY (run_id, no),
  CONSTRAINT ck_area_box CHECK (width_l0 > 0 AND height_l0 > 0),
  CONSTRAINT fk_area_run FOREIGN KEY (run_id) REFERENCES run (id)
);

CREATE TABLE tile_defect (
  run_id BIGINT NOT NULL,
  batch_no INTEGER NOT NULL,
  tile_no INTEGER NOT NULL,
  code TEXT NOT NULL,
  cause TEXT NOT NULL,
  CONSTRAINT pk_tile_defect PRIMARY KEY (run_id, batch_no, tile_no),
  CONSTRAINT fk_tile_defect_batch FOREIGN KEY (run_id, batch_no) REFERENCES batch (run_id, no) ON DELETE CASCADE
);

CREATE TABLE correction (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  run_id BIGINT NOT NULL,
  batch_no INTEGER NOT NULL,
  cell_no INTEGER NOT NULL,
  made_by TEXT NOT NULL,
  cell_class TEXT NOT NULL,
  note TEXT,
  made_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_correction PRIMARY KEY (id),
  CONSTRAINT fk_correction_cell FOREIGN KEY (run_id, batch_no, cell_no) REFERENCES cell (run_id, batch_no, cell_no),
  CONSTRAINT ck_correction_cell_class CHECK (cell_class IN ('lymphoblast', 'blast_other', 'plasma_cell',
    'lymphocyte', 'monocyte', 'neutrophil', 'eosinophil', 'basophil', 'immature_granulocyte', 'erythroblast',
    'megakaryocyte', 'platelet', 'smudge', 'artefact'))
);
CREATE INDEX ix_correction_cell ON correction (run_id, batch_no, cell_no);
