-- Every transaction that changes what a status beside an upload says notes so itself, whichever process it runs in.
-- The functions run with their owner's rights, so that no role needs any on the notes.

ALTER TABLE slide ADD COLUMN urgent BOOLEAN DEFAULT false NOT NULL;

CREATE TABLE status_due (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  slide_id BIGINT,
  patient_id BIGINT,
  noted_at timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT pk_status_due PRIMARY KEY (id),
  CONSTRAINT ck_status_due_whose CHECK (num_nonnulls(slide_id, patient_id) = 1)
);

CREATE TABLE upload_status (
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  wanted BIGINT DEFAULT 1 NOT NULL,
  written BIGINT DEFAULT 0 NOT NULL,
  fence BIGINT DEFAULT 0 NOT NULL,
  tries INTEGER DEFAULT 0 NOT NULL,
  next_at timestamptz DEFAULT now() NOT NULL,
  state TEXT,
  digest TEXT,
  written_at timestamptz,
  refusal TEXT,
  CONSTRAINT pk_upload_status PRIMARY KEY (bucket, key),
  CONSTRAINT ck_upload_status_written CHECK (written >= 0 AND written <= wanted)
);
CREATE INDEX ix_upload_status_due ON upload_status (next_at) WHERE written < wanted;

CREATE FUNCTION slide_status_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT'
     OR (OLD.state, OLD.patient_id, OLD.last_modified) <> (NEW.state, NEW.patient_id, NEW.last_modified) THEN
    INSERT INTO status_due (slide_id) VALUES (NEW.id);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION run_status_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT'
     OR (OLD.state, OLD.error_code, OLD.error_cause) IS DISTINCT FROM (NEW.state, NEW.error_code, NEW.error_cause) THEN
    INSERT INTO status_due (slide_id) VALUES (NEW.slide_id);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION patient_status_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF OLD.shown_model_id IS DISTINCT FROM NEW.shown_model_id THEN
    INSERT INTO status_due (patient_id) VALUES (NEW.id);
  END IF;
  RETURN NULL;
END $$;

-- While a patient's slides are being read the reason of the finding changes with each of them: that is not told.
CREATE FUNCTION verdict_status_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' OR (OLD.finding, OLD.rule) <> (NEW.finding, NEW.rule)
     OR (NEW.finding <> 'incomplete' AND OLD.reason <> NEW.reason) THEN
    INSERT INTO status_due (patient_id) VALUES (NEW.patient_id);
  END IF;
  RETURN NULL;
END $$;

INSERT INTO status_due (slide_id) SELECT id FROM slide WHERE state IN ('current', 'incomplete') ORDER BY id;
