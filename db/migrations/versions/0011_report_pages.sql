-- Whoever stores a verdict that may be told makes the patient's report due, in the same transaction, and whoever notes
-- a report as written has it told. The functions run with their owner's rights: no role needs to insert here.

CREATE TABLE report_page (
  patient_id BIGINT NOT NULL,
  wanted BIGINT DEFAULT 1 NOT NULL,
  written BIGINT DEFAULT 0 NOT NULL,
  fence BIGINT DEFAULT 0 NOT NULL,
  tries INTEGER DEFAULT 0 NOT NULL,
  next_at timestamptz DEFAULT now() NOT NULL,
  document JSONB,
  document_wanted BIGINT,
  document_rev BIGINT,
  key TEXT,
  rev BIGINT,
  written_at timestamptz,
  error_code TEXT,
  CONSTRAINT pk_report_page PRIMARY KEY (patient_id),
  CONSTRAINT fk_report_page_patient FOREIGN KEY (patient_id) REFERENCES patient (id),
  CONSTRAINT ck_report_page_written CHECK (written >= 0 AND written <= wanted),
  CONSTRAINT ck_report_page_document CHECK (num_nonnulls(document, document_wanted, document_rev) IN (0, 3))
);
CREATE INDEX ix_report_page_due ON report_page (next_at) WHERE written < wanted;

-- A new verdict gives all tries back. One that waits after a failure is due at once; whoever is at it is left to it.
CREATE FUNCTION verdict_page_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.finding <> 'incomplete' AND (TG_OP = 'INSERT' OR OLD.rev <> NEW.rev) THEN
    INSERT INTO report_page AS page (patient_id) VALUES (NEW.patient_id)
    ON CONFLICT (patient_id) DO UPDATE
       SET wanted = page.wanted + 1, tries = 0, error_code = NULL,
           next_at = CASE WHEN page.error_code IS NULL THEN page.next_at ELSE now() END;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER verdict_page_due AFTER INSERT OR UPDATE ON verdict
  FOR EACH ROW EXECUTE FUNCTION verdict_page_due();

CREATE FUNCTION page_status_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  IF (OLD.key, OLD.rev) IS DISTINCT FROM (NEW.key, NEW.rev) THEN
    INSERT INTO status_due (patient_id) VALUES (NEW.patient_id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER page_status_due AFTER UPDATE ON report_page FOR EACH ROW EXECUTE FUNCTION page_status_due();
