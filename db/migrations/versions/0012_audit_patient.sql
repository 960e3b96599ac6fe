-- Not sealed, for it follows from the row that is; and no foreign key, for sealing must wait for no lock but the chain's own.

ALTER TABLE audit ADD COLUMN patient_id BIGINT;

CREATE FUNCTION audit_of_patient() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  NEW.patient_id := CASE NEW.kind
    WHEN 'verdict' THEN split_part(NEW.subject, '/', 1)::bigint
    WHEN 'transition' THEN (SELECT slide.patient_id FROM transition JOIN run ON run.id = transition.run_id
                              JOIN slide ON slide.id = run.slide_id WHERE transition.id = NEW.subject::bigint)
    ELSE (SELECT slide.patient_id FROM correction JOIN run ON run.id = correction.run_id
            JOIN slide ON slide.id = run.slide_id WHERE correction.id = NEW.subject::bigint)
  END;
  RETURN NEW;
END $$;

-- Entries of before get it once, by the same rule.
ALTER TABLE audit DISABLE TRIGGER only_grows;
CREATE TRIGGER of_patient BEFORE INSERT OR UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_of_patient();
UPDATE audit SET patient_id = NULL;
DROP TRIGGER of_patient ON audit;
ALTER TABLE audit ENABLE TRIGGER only_grows;
CREATE TRIGGER of_patient BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_of_patient();

CREATE INDEX ix_audit_patient_id_seq ON audit (patient_id, seq);
