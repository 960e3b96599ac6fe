-- Sums that the reports would otherwise count anew each time. They are added to when a transaction commits, under the
-- audit's lock and after it: rows of these tables are only ever locked by who holds that, so nobody waits for one, and
-- two transactions of one laboratory cannot deadlock. A transaction changes each sum once, however many rows it wrote:
-- every change of a row that it has changed already would have to pass all its earlier versions. The functions run with
-- their owner's rights, so that no role needs any on the sums.

CREATE TABLE lab_day (
  lab_id BIGINT NOT NULL,
  day DATE NOT NULL,
  asked INTEGER DEFAULT 0 NOT NULL,
  done INTEGER DEFAULT 0 NOT NULL,
  quarantined INTEGER DEFAULT 0 NOT NULL,
  retried INTEGER DEFAULT 0 NOT NULL,
  cancelled INTEGER DEFAULT 0 NOT NULL,
  cells BIGINT DEFAULT 0 NOT NULL,
  CONSTRAINT pk_lab_day PRIMARY KEY (lab_id, day)
);

CREATE TABLE lab_day_time (
  lab_id BIGINT NOT NULL,
  day DATE NOT NULL,
  span TEXT NOT NULL,
  step SMALLINT NOT NULL,
  readings INTEGER DEFAULT 0 NOT NULL,
  CONSTRAINT pk_lab_day_time PRIMARY KEY (lab_id, day, span, step),
  CONSTRAINT ck_lab_day_time_span CHECK (span IN ('waiting', 'reading', 'turnaround')),
  CONSTRAINT ck_lab_day_time_step CHECK (step >= 0)
);

CREATE TABLE lab_finding (
  lab_id BIGINT NOT NULL,
  model_version_id BIGINT NOT NULL,
  finding TEXT NOT NULL,
  patients INTEGER DEFAULT 0 NOT NULL,
  CONSTRAINT pk_lab_finding PRIMARY KEY (lab_id, model_version_id, finding),
  CONSTRAINT ck_lab_finding_finding CHECK (finding IN ('consistent_with_ALL', 'consistent_with_MM', 'no_evidence',
    'indeterminate', 'insufficient', 'incomplete')),
  CONSTRAINT ck_lab_finding_patients CHECK (patients >= 0)
);

ALTER TABLE batch ADD COLUMN x_min_l0 DOUBLE PRECISION, ADD COLUMN y_min_l0 DOUBLE PRECISION,
  ADD COLUMN x_max_l0 DOUBLE PRECISION, ADD COLUMN y_max_l0 DOUBLE PRECISION;

CREATE INDEX ix_run_quarantined ON run (slide_id) WHERE state = 'quarantined';

-- Adds the steps of runs from this number on to the sums: those that one transaction wrote, or all. A time counts from the last moment at which the reading was
-- asked for, so that a slide that is read again does not seem to have waited for years.
CREATE FUNCTION lab_day_add(first_id bigint, written_by xid) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO lab_day AS kept (lab_id, day, asked, done, quarantined, retried, cancelled, cells)
  SELECT patient.lab_id, (step.at AT TIME ZONE 'UTC')::date,
         count(*) FILTER (WHERE step.to_state = 'pending'), count(*) FILTER (WHERE step.to_state = 'done'),
         count(*) FILTER (WHERE step.to_state = 'quarantined'), count(*) FILTER (WHERE step.to_state = 'retry_wait'),
         count(*) FILTER (WHERE step.to_state = 'cancelled'),
         coalesce(sum(run.n_cells) FILTER (WHERE step.to_state = 'done'), 0)
    FROM transition AS step JOIN run ON run.id = step.run_id
    JOIN slide ON slide.id = run.slide_id JOIN patient ON patient.id = slide.patient_id
   WHERE step.id >= first_id AND (written_by IS NULL OR step.xmin = written_by) AND step.to_state <> 'running'
   GROUP BY 1, 2
  ON CONFLICT (lab_id, day) DO UPDATE SET asked = kept.asked + excluded.asked, done = kept.done + excluded.done,
    quarantined = kept.quarantined + excluded.quarantined, retried = kept.retried + excluded.retried,
    cancelled = kept.cancelled + excluded.cancelled, cells = kept.cells + excluded.cells;

  INSERT INTO lab_day_time AS kept (lab_id, day, span, step, readings)
  SELECT patient.lab_id, (ended.at AT TIME ZONE 'UTC')::date, told.span,
         floor(16 * ln(greatest(extract(epoch FROM told.span_length)::float8, 1.0)) / ln(2.0::float8))::smallint, count(*)
    FROM transition AS ended JOIN run ON run.id = ended.run_id
    JOIN slide ON slide.id = run.slide_id JOIN patient ON patient.id = slide.patient_id
   CROSS JOIN LATERAL (
      SELECT id, at FROM transition AS earlier
       WHERE earlier.run_id = ended.run_id AND earlier.to_state = 'pending' AND earlier.id < ended.id
       ORDER BY earlier.id DESC LIMIT 1
   ) AS asked
   CROSS JOIN LATERAL (
      SELECT min(taken.at) AS first_at, max(taken.at) AS last_at FROM transition AS taken
       WHERE taken.run_id = ended.run_id AND taken.to_state = 'running' AND taken.id BETWEEN asked.id AND ended.id
   ) AS taken
   CROSS JOIN LATERAL (VALUES ('waiting', taken.first_at - asked.at), ('reading', ended.at - taken.last_at),
                              ('turnaround', ended.at - asked.at)) AS told (span, span_length)
   WHERE ended.id >= first_id AND (written_by IS NULL OR ended.xmin = written_by)
     AND ended.to_state = 'done' AND told.span_length IS NOT NULL
   GROUP BY 1, 2, 3, 4
  ON CONFLICT (lab_id, day, span, step) DO UPDATE SET readings = kept.readings + excluded.readings;
END $$;

-- Which steps were added is noted for as long as the transaction lives, by who wrote them: a savepoint writes under a
-- number of its own.
CREATE FUNCTION lab_day_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  writer xid := (SELECT xmin FROM transition WHERE id = NEW.id);
  added text := coalesce(current_setting('marrowline.added_steps', true), '');
BEGIN
  IF writer::text = ANY (string_to_array(added, ',')) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('marrowline audit', 6));
  PERFORM lab_day_add(NEW.id, writer);
  PERFORM set_config('marrowline.added_steps', concat_ws(',', nullif(added, ''), writer), true);
  RETURN NULL;
END $$;

-- Changes of findings are noted likewise as verdicts are written, {"lab/model version/finding": patients}, and added once.
CREATE FUNCTION lab_finding_noted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  whose bigint := (SELECT lab_id FROM patient WHERE id = NEW.patient_id);
  noted jsonb := coalesce(nullif(current_setting('marrowline.findings', true), ''), '{}');
  place text := concat_ws('/', whose, NEW.model_version_id, NEW.finding);
BEGIN
  noted := noted || jsonb_build_object(place, coalesce((noted ->> place)::integer, 0) + 1);
  IF TG_OP = 'UPDATE' THEN
    place := concat_ws('/', whose, OLD.model_version_id, OLD.finding);
    noted := noted || jsonb_build_object(place, coalesce((noted ->> place)::integer, 0) - 1);
  END IF;
  PERFORM set_config('marrowline.findings', noted::text, true);
  RETURN NULL;
END $$;

CREATE FUNCTION lab_finding_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  noted jsonb := nullif(current_setting('marrowline.findings', true), '');
BEGIN
  IF noted IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('marrowline.findings', '', true);
  PERFORM pg_advisory_xact_lock(hashtextextended('marrowline audit', 6));
  INSERT INTO lab_finding (lab_id, model_version_id, finding)
    SELECT split_part(key, '/', 1)::bigint, split_part(key, '/', 2)::bigint, split_part(key, '/', 3)
      FROM jsonb_each_text(noted) WHERE value::integer > 0
    ON CONFLICT DO NOTHING;
  UPDATE lab_finding SET patients = patients + value::integer FROM jsonb_each_text(noted)
   WHERE (lab_id, model_version_id, finding) = (split_part(key, '/', 1)::bigint, split_part(key, '/', 2)::bigint,
                                                split_part(key, '/', 3)) AND value::integer <> 0;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER lab_day_kept AFTER INSERT ON transition DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.to_state <> 'running') EXECUTE FUNCTION lab_day_kept();
CREATE TRIGGER lab_finding_noted AFTER INSERT ON verdict FOR EACH ROW EXECUTE FUNCTION lab_finding_noted();
CREATE TRIGGER lab_finding_changed AFTER UPDATE ON verdict FOR EACH ROW WHEN (OLD.finding <> NEW.finding)
  EXECUTE FUNCTION lab_finding_noted();
CREATE CONSTRAINT TRIGGER lab_finding_kept AFTER INSERT OR UPDATE ON verdict DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION lab_finding_kept();

-- How a slide's stain differs from that of the laboratory's earlier slides, told once, when it is read: counted anew for
-- every slide of a laboratory it would take seconds.
-- Per component, (value - median) / greatest of 1.4826 * median absolute deviation and the component's floor; then the
-- root of the mean square over the components that at least 20 of the up to 200 earlier slides have.
-- worker.cells.stain_profile.drift computes the same.
CREATE TABLE stain_reading (
  run_id BIGINT NOT NULL,
  lab_id BIGINT NOT NULL,
  model_version_id BIGINT NOT NULL,
  finished_at timestamptz NOT NULL,
  profile JSONB NOT NULL,
  earlier_slides INTEGER NOT NULL,
  components INTEGER NOT NULL,
  drift DOUBLE PRECISION,
  CONSTRAINT pk_stain_reading PRIMARY KEY (run_id),
  CONSTRAINT fk_stain_reading_run FOREIGN KEY (run_id) REFERENCES run (id)
);
CREATE INDEX ix_stain_reading_earlier ON stain_reading (lab_id, model_version_id, finished_at, run_id);

CREATE FUNCTION stain_read(of_run bigint) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM stain_reading WHERE run_id = of_run;
  INSERT INTO stain_reading
  SELECT run.id, patient.lab_id, run.model_version_id, run.finished_at, run.stain_profile,
         coalesce(jsonb_array_length(earlier.profiles), 0), distance.components, distance.drift
    FROM run
    JOIN slide ON slide.id = run.slide_id
    JOIN patient ON patient.id = slide.patient_id
   CROSS JOIN LATERAL (
      SELECT jsonb_agg(lately.profile) AS profiles
        FROM (SELECT other.profile FROM stain_reading AS other
                JOIN run AS past ON past.id = other.run_id AND past.state = 'done'  -- others are withdrawn
               WHERE other.lab_id = patient.lab_id AND other.model_version_id = run.model_version_id
                 AND (other.finished_at, other.run_id) < (run.finished_at, run.id)
               ORDER BY other.finished_at DESC, other.run_id DESC LIMIT 200) AS lately
    ) AS earlier
   CROSS JOIN LATERAL (
      SELECT sqrt(avg(power((own.value::float8 - middle.value) / greatest(1.4826 * spread.value, least.value), 2)))
               AS drift,
             count(*) AS components
        FROM jsonb_each_text(run.stain_profile) AS own (name, value)
        JOIN (VALUES ('background_r', 6.0), ('background_g', 6.0), ('background_b', 6.0),
                     ('nucleus_r', 0.06), ('nucleus_g', 0.06), ('nucleus_b', 0.06),
                     ('red_cell_r', 0.03), ('red_cell_g', 0.03), ('red_cell_b', 0.03),
                     ('cytoplasm_r', 0.05), ('cytoplasm_g', 0.05), ('cytoplasm_b', 0.05)) AS least (name, value)
          ON least.name = own.name
       CROSS JOIN LATERAL (
          SELECT array_agg((one.profile ->> own.name)::float8) AS known
            FROM jsonb_array_elements(earlier.profiles) AS one (profile) WHERE one.profile ? own.name
       ) AS told
       CROSS JOIN LATERAL (
          SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY known.value) AS value
            FROM unnest(told.known) AS known (value)
       ) AS middle
       CROSS JOIN LATERAL (
          SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(known.value - middle.value)) AS value
            FROM unnest(told.known) AS known (value)
       ) AS spread
       WHERE cardinality(told.known) >= 20
    ) AS distance
   WHERE run.id = of_run AND run.state = 'done' AND run.stain_profile IS NOT NULL;
END $$;

CREATE FUNCTION stain_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM stain_read(NEW.id);
  RETURN NULL;
END $$;

CREATE TRIGGER stain_kept AFTER UPDATE ON run FOR EACH ROW
  WHEN (NEW.state = 'done' AND (OLD.state, OLD.stain_profile) IS DISTINCT FROM (NEW.state, NEW.stain_profile))
  EXECUTE FUNCTION stain_kept();

-- Makes every sum anew from what it sums up; for upgrades, and for tests to compare with.
CREATE FUNCTION sum_up_again() RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('marrowline audit', 6));
  DELETE FROM lab_day;
  DELETE FROM lab_day_time;
  DELETE FROM lab_finding;
  PERFORM lab_day_add(0, NULL);
  INSERT INTO lab_finding (lab_id, model_version_id, finding, patients)
  SELECT patient.lab_id, verdict.model_version_id, verdict.finding, count(*)
    FROM verdict JOIN patient ON patient.id = verdict.patient_id GROUP BY 1, 2, 3;
END $$;

SELECT sum_up_again();
DO $$
BEGIN  -- each is told of those before it
  PERFORM stain_read(id) FROM run WHERE state = 'done' AND stain_profile IS NOT NULL ORDER BY finished_at, id;
END $$;

-- The rules of rows as roles.sql makes them now: each row asks for its own patient, slide or run, by an index, where before
-- every query looked up all of the laboratory's first.
DO $$
DECLARE guarded record;
BEGIN
  FOR guarded IN SELECT * FROM (VALUES
    ('slide', 'patient', 'patient_id'),
    ('verdict', 'patient', 'patient_id'),
    ('verdict_history', 'patient', 'patient_id'),
    ('slide_file', 'slide', 'slide_id'),
    ('run', 'slide', 'slide_id'),
    ('run_count', 'run', 'run_id'),
    ('batch', 'run', 'run_id'),
    ('area', 'run', 'run_id'),
    ('tile_defect', 'run', 'run_id'),
    ('correction', 'run', 'run_id'),
    ('transition', 'run', 'run_id')
  ) AS rule (name, owner, key)
  WHERE EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass('public.' || rule.name) AND polname = 'of_lab')
  LOOP
    EXECUTE format('ALTER POLICY of_lab ON public.%1$I USING (EXISTS (SELECT FROM public.%2$I WHERE %2$I.id = %1$I.%3$I))',
                   guarded.name, guarded.owner, guarded.key);
  END LOOP;
END $$;
