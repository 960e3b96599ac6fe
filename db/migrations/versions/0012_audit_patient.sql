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

-- Entries of before get it once, by the same rule, but in whole sets: whoever seals waits for the end of this.
ALTER TABLE audit DISABLE TRIGGER only_grows;
UPDATE audit SET patient_id = split_part(subject, '/', 1)::bigint WHERE kind = 'verdict';
UPDATE audit SET patient_id = slide.patient_id
  FROM (SELECT 'transition' AS kind, id::text AS subject, run_id FROM transition
         UNION ALL
        SELECT 'correction', id::text, run_id FROM correction) AS step
  JOIN run ON run.id = step.run_id
  JOIN slide ON slide.id = run.slide_id
 WHERE (audit.kind, audit.subject) = (step.kind, step.subject);
ALTER TABLE audit ENABLE TRIGGER only_grows;
CREATE TRIGGER of_patient BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_of_patient();

CREATE INDEX ix_audit_patient_id_seq ON audit (patient_id, seq);
