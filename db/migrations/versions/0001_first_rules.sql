-- Partitions, and the rules that no program can go round: which steps a slide and a run may take, and that logs
-- only grow. ML001 is this project's SQLSTATE for "the state machine refuses the step".

DO $$
BEGIN
  FOR part IN 0..15 LOOP
    EXECUTE format('CREATE TABLE cell_p%s PARTITION OF cell FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                   to_char(part, 'FM00'), part);
    EXECUTE format('CREATE TABLE outline_p%s PARTITION OF outline FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
                   to_char(part, 'FM00'), part);
  END LOOP;
END $$;

CREATE FUNCTION slide_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.bucket, OLD.key, OLD.version_id, OLD.etag) <> (NEW.bucket, NEW.key, NEW.version_id, NEW.etag) THEN
    RAISE EXCEPTION 'slide %: its identity never changes', OLD.id USING ERRCODE = 'ML001';
  END IF;
  IF OLD.state <> NEW.state AND NOT (OLD.state, NEW.state) IN (
    ('incomplete', 'current'), ('incomplete', 'superseded'), ('incomplete', 'missing'),
    ('current', 'superseded'), ('current', 'missing'),
    ('missing', 'current'), ('missing', 'superseded'),
    ('superseded', 'current')  -- the same bytes were uploaded again
  ) THEN
    RAISE EXCEPTION 'slide %: % -> % is not a step', OLD.id, OLD.state, NEW.state USING ERRCODE = 'ML001';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER slide_step BEFORE UPDATE ON slide FOR EACH ROW EXECUTE FUNCTION slide_step();

CREATE FUNCTION run_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (NEW.state, NEW.fence, NEW.attempt, NEW.releases) <> ('pending', 0, 0, 0) THEN
      RAISE EXCEPTION 'a run starts pending and untried' USING ERRCODE = 'ML001';
    END IF;
    RETURN NEW;
  END IF;
  IF (OLD.id, OLD.slide_id, OLD.model_version_id) <> (NEW.id, NEW.slide_id, NEW.model_version_id) THEN
    RAISE EXCEPTION 'run %: its slide and model never change', OLD.id USING ERRCODE = 'ML001';
  END IF;
  IF NEW.state = 'running' AND NEW.fence <> OLD.fence THEN  -- a claim, or a take-over after the lease
    IF NOT (OLD.state IN ('pending', 'retry_wait') OR (OLD.state = 'running' AND OLD.lease_until < now()))
       OR (NEW.fence, NEW.attempt) <> (OLD.fence + 1, OLD.attempt + 1) THEN
      RAISE EXCEPTION 'run %: % may not be claimed like this', OLD.id, OLD.state USING ERRCODE = 'ML001';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.fence, NEW.attempt) <> (OLD.fence, OLD.attempt) OR NEW.releases < OLD.releases THEN
    RAISE EXCEPTION 'run %: only a claim moves fence and attempt, releases only grow', OLD.id
      USING ERRCODE = 'ML001';
  END IF;
  IF OLD.state <> NEW.state AND NOT (OLD.state, NEW.state) IN (
    ('pending', 'cancelled'),
    ('running', 'done'), ('running', 'retry_wait'), ('running', 'quarantined'), ('running', 'cancelled'),
    ('retry_wait', 'quarantined'), ('retry_wait', 'cancelled'),
    ('quarantined', 'pending'), ('quarantined', 'cancelled'),
    ('done', 'cancelled'),
    ('cancelled', 'pending')  -- its slide is back, or a person wants it read after all
  ) THEN
    RAISE EXCEPTION 'run %: % -> % is not a step', OLD.id, OLD.state, NEW.state USING ERRCODE = 'ML001';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER run_step BEFORE INSERT OR UPDATE ON run FOR EACH ROW EXECUTE FUNCTION run_step();

-- Runs with its owner's rights, so that no role needs any on the log itself.
CREATE FUNCTION run_logged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO transition (run_id, to_state, fence, attempt, actor, reason)
      VALUES (NEW.id, NEW.state, NEW.fence, NEW.attempt, NEW.changed_by, NEW.change_reason);
  ELSIF (OLD.state, OLD.fence) <> (NEW.state, NEW.fence) THEN
    INSERT INTO transition (run_id, from_state, to_state, fence, attempt, actor, reason)
      VALUES (NEW.id, OLD.state, NEW.state, NEW.fence, NEW.attempt, NEW.changed_by, NEW.change_reason);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER run_logged AFTER INSERT OR UPDATE ON run FOR EACH ROW EXECUTE FUNCTION run_logged();

CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% only grows: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'ML001';
END $$;

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON transition
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON verdict_history
  FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
