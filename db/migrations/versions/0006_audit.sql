-- Steps, verdicts and corrections are sealed when their transaction commits, whichever process it runs in: at that
-- moment it waits for no other lock, so that the chain's own, which the sealing takes, is always the last and cannot
-- deadlock. The functions run with their owner's rights, so that no role needs any on the audit.

CREATE TABLE audit (
  seq BIGINT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  row_sha256 TEXT NOT NULL,
  sealed_at timestamptz DEFAULT now() NOT NULL,
  hash TEXT NOT NULL,
  CONSTRAINT pk_audit PRIMARY KEY (seq),
  CONSTRAINT uq_audit_kind_subject UNIQUE (kind, subject),
  CONSTRAINT ck_audit_kind CHECK (kind IN ('transition', 'verdict', 'correction')),
  CONSTRAINT ck_audit_seq CHECK (seq > 0)
);

-- Columns that are NULL are left out of the digest, so that a nullable column may be added later.
CREATE FUNCTION audit_append(kind text, subject text, whole jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
  before audit%ROWTYPE;
  entry audit%ROWTYPE;
BEGIN
  SELECT * INTO before FROM audit ORDER BY seq DESC LIMIT 1;
  entry.seq := coalesce(before.seq, 0) + 1;
  entry.kind := kind;
  entry.subject := subject;
  SELECT encode(sha256(convert_to(jsonb_object_agg(key, value)::text, 'UTF8')), 'hex') INTO entry.row_sha256
    FROM jsonb_each(whole) WHERE value <> 'null';
  entry.sealed_at := now();
  entry.hash := encode(sha256(convert_to(concat_ws('|', coalesce(before.hash, ''), entry.seq, entry.kind,
    entry.subject, entry.row_sha256, extract(epoch FROM entry.sealed_at)), 'UTF8')), 'hex');
  INSERT INTO audit VALUES (entry.*);
END $$;

CREATE FUNCTION audit_seal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  whole jsonb := to_jsonb(NEW);
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('marrowline audit', 6));
  IF TG_TABLE_NAME = 'verdict_history' THEN
    PERFORM audit_append('verdict', concat_ws('/', whole ->> 'patient_id', whole ->> 'model_version_id',
                                              whole ->> 'rev'), whole);
  ELSE
    PERFORM audit_append(TG_TABLE_NAME, whole ->> 'id', whole);
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER audit_seal AFTER INSERT ON transition DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION audit_seal();
CREATE CONSTRAINT TRIGGER audit_seal AFTER INSERT ON verdict_history DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION audit_seal();
CREATE CONSTRAINT TRIGGER audit_seal AFTER INSERT ON correction DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION audit_seal();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON correction
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();

-- What is there already is sealed as it is found, in the order of its times.
DO $$
DECLARE found record;
BEGIN
  SET LOCAL timezone = 'UTC';
  FOR found IN
    SELECT 'transition' AS kind, id::text AS subject, id AS place, at, to_jsonb(t) AS whole FROM transition AS t
    UNION ALL
    SELECT 'verdict', concat_ws('/', patient_id, model_version_id, rev), rev, reported_at, to_jsonb(v)
      FROM verdict_history AS v
    UNION ALL
    SELECT 'correction', id::text, id, made_at, to_jsonb(c) FROM correction AS c
     ORDER BY at, kind, place
  LOOP
    PERFORM audit_append(found.kind, found.subject, found.whole);
  END LOOP;
END $$;
