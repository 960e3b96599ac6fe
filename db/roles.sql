-- Roles and what each may do; run at the end of every upgrade, by the owner of the tables.
-- They are NOLOGIN groups: a deployment makes its login users members of one. A role that exists is left as it is,
-- so an owner without CREATEROLE finds them made by the administrator (deploy/).
--
--   marrowline_scheduler  registers slides, moves runs, stores verdicts; deletes no record
--   marrowline_worker     claims runs, writes cells and verdicts; cannot read patient.pseudonym, and sees only that of
--                         patients whose report it is to write; deletes own batches only
--   marrowline_report     reads schema report, nothing else
--   marrowline_lab        reads schema report, nothing else, and there only rows of the labs whose roles it is in
--   marrowline_webhook    puts events into event_inbox, nothing else; it cannot read which objects they are of

DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY
    ARRAY['marrowline_scheduler', 'marrowline_worker', 'marrowline_report', 'marrowline_lab', 'marrowline_webhook']
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this cluster is upgraded at the same moment and made them
  WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'role % is missing and % may not make it: let the administrator run CREATE ROLE % NOLOGIN',
      wanted, current_user, wanted USING ERRCODE = 'insufficient_privilege';
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public
  FROM PUBLIC, marrowline_scheduler, marrowline_worker, marrowline_report, marrowline_lab, marrowline_webhook;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC, marrowline_report, marrowline_lab;
GRANT USAGE ON SCHEMA public TO marrowline_scheduler, marrowline_worker, marrowline_webhook;
GRANT ALL ON SCHEMA public TO CURRENT_USER;  -- after a restore the owner of the tables need not own the database

-- Reading everything is the scheduler's business: it answers the command line.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO marrowline_scheduler;
GRANT INSERT, UPDATE ON lab, patient, slide, slide_file, model_version, active_model, run, event_inbox, verdict
  TO marrowline_scheduler;
GRANT INSERT ON verdict_history, correction TO marrowline_scheduler;
GRANT INSERT, UPDATE ON corrected_cell TO marrowline_scheduler, marrowline_worker;
GRANT DELETE ON event_inbox, worker TO marrowline_scheduler;
GRANT INSERT, UPDATE ON upload_status TO marrowline_scheduler;
GRANT DELETE ON status_due TO marrowline_scheduler;
GRANT UPDATE ON report_page TO marrowline_scheduler;

GRANT SELECT ON lab, model_version, active_model, slide, slide_file, run, run_count, batch, cell, outline, area,
  tile_defect, correction, corrected_cell, run_count_effective, verdict, worker, report_page TO marrowline_worker;
GRANT SELECT (id, lab_id, rev, shown_model_id), UPDATE (rev, shown_model_id) ON patient TO marrowline_worker;
GRANT UPDATE (sha256) ON slide TO marrowline_worker;
GRANT UPDATE (state, attempt, releases, fence, lease_owner, lease_until, next_at, progress_at, plan, plan_digest,
  n_batches, n_read, stop, mpp_um, mpp_source, mpp_error_um, reader, sandbox, area_shares, stain_profile, feature_names, n_cells, error_code, error_cause, error_remedy, changed_by,
  change_reason, finished_at) ON run TO marrowline_worker;
GRANT INSERT, UPDATE, DELETE ON batch, cell, outline, area, tile_defect, run_count TO marrowline_worker;
GRANT INSERT, UPDATE ON verdict TO marrowline_worker;
GRANT INSERT ON verdict_history TO marrowline_worker;
GRANT INSERT, UPDATE ON worker TO marrowline_worker;
GRANT UPDATE (wanted, written, fence, tries, next_at, document, document_wanted, document_rev, key, rev, written_at,
  error_code) ON report_page TO marrowline_worker;

-- An event that comes again later has its row looked at anew; to find that row takes no sight of bucket or key.
GRANT INSERT (source, msg_id, bucket, key, event, version_id, sequencer), SELECT (id, source, msg_id, handled_at),
  UPDATE (received_at, due_at, handled_at, outcome, tries) ON event_inbox TO marrowline_webhook;

-- Readers read through views, and a view runs with the rights of whoever asks: so readers hold SELECT on the tables
-- below the views, but may not name one, as schema public is closed to them.
GRANT USAGE ON SCHEMA report TO marrowline_report, marrowline_lab, marrowline_scheduler;
GRANT SELECT ON ALL TABLES IN SCHEMA report TO marrowline_report, marrowline_lab, marrowline_scheduler;
GRANT SELECT ON active_model, area, audit, batch, cell, corrected_cell, correction, lab, lab_day, lab_day_time,
  lab_finding, model_version, outline, patient, run, run_count, run_count_effective, slide, stain_reading, tile_defect,
  transition, verdict, verdict_history TO marrowline_report, marrowline_lab;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA report FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA report TO marrowline_report, marrowline_lab, marrowline_scheduler;

-- The barrier keeps a reader's own functions from seeing rows that a view leaves out. Audit and runs leave out none but other
-- laboratories', which the rules of rows below keep back from all that they read; without it a page of them is found at once.
DO $$
DECLARE view record;
BEGIN
  FOR view IN SELECT oid::regclass AS name, relname NOT IN ('audit', 'runs') AS barred
                FROM pg_class WHERE relnamespace = 'report'::regnamespace AND relkind = 'v'
  LOOP
    EXECUTE format('ALTER VIEW %s SET (security_invoker = true, security_barrier = %s)', view.name, view.barred);
  END LOOP;
END $$;

-- Rows of labs. Who is in role marrowline_lab_CODE sees those of the lab CODE; membership is the administrator's to
-- give, unlike a setting, which everybody may set. `cell` and `outline` have no policies, as COPY does not work with
-- them: the views join them to `run`, which has. Policies that exist are left alone, as a change would lock the table.
DO $$
DECLARE guarded record;
BEGIN
  FOR guarded IN SELECT * FROM (VALUES
    ('lab', $p$ EXISTS (SELECT FROM pg_catalog.pg_roles AS of_lab
                         WHERE of_lab.rolname = 'marrowline_lab' || '_' || code AND pg_has_role(of_lab.oid, 'USAGE')) $p$),
    ('patient', 'lab_id IN (SELECT id FROM public.lab)'),
    ('slide', 'EXISTS (SELECT FROM public.patient WHERE patient.id = slide.patient_id)'),
    ('verdict', 'EXISTS (SELECT FROM public.patient WHERE patient.id = verdict.patient_id)'),
    ('verdict_history', 'EXISTS (SELECT FROM public.patient WHERE patient.id = verdict_history.patient_id)'),
    ('slide_file', 'EXISTS (SELECT FROM public.slide WHERE slide.id = slide_file.slide_id)'),
    ('run', 'EXISTS (SELECT FROM public.slide WHERE slide.id = run.slide_id)'),
    ('run_count', 'EXISTS (SELECT FROM public.run WHERE run.id = run_count.run_id)'),
    ('batch', 'EXISTS (SELECT FROM public.run WHERE run.id = batch.run_id)'),
    ('area', 'EXISTS (SELECT FROM public.run WHERE run.id = area.run_id)'),
    ('tile_defect', 'EXISTS (SELECT FROM public.run WHERE run.id = tile_defect.run_id)'),
    ('correction', 'EXISTS (SELECT FROM public.run WHERE run.id = correction.run_id)'),
    ('corrected_cell', 'EXISTS (SELECT FROM public.run WHERE run.id = corrected_cell.run_id)'),
    ('transition', 'EXISTS (SELECT FROM public.run WHERE run.id = transition.run_id)'),
    ('audit', 'EXISTS (SELECT FROM public.patient WHERE patient.id = audit.patient_id)'),
    ('lab_day', 'lab_id IN (SELECT id FROM public.lab)'),
    ('lab_day_time', 'lab_id IN (SELECT id FROM public.lab)'),
    ('lab_finding', 'lab_id IN (SELECT id FROM public.lab)'),
    ('stain_reading', 'lab_id IN (SELECT id FROM public.lab)')
  ) AS rule (name, shows)
  WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = to_regclass('public.' || rule.name))
  LOOP
    EXECUTE format('CREATE POLICY of_parts ON public.%I', guarded.name)
      || ' TO marrowline_scheduler, marrowline_worker, marrowline_report USING (true)';
    EXECUTE format('CREATE POLICY of_lab ON public.%I FOR SELECT TO marrowline_lab USING (%s)',
                   guarded.name, guarded.shows);
    -- The owner, when it asks itself: a view that runs with its rights by mistake then shows nothing to anybody else.
    EXECUTE format('CREATE POLICY of_owner ON public.%I USING (pg_has_role((SELECT relowner FROM pg_catalog.pg_class'
                   ' WHERE oid = %L::regclass), ''USAGE''))', guarded.name, 'public.' || guarded.name);
    EXECUTE format('ALTER TABLE public.%1$I ENABLE ROW LEVEL SECURITY', guarded.name);
    EXECUTE format('ALTER TABLE public.%1$I FORCE ROW LEVEL SECURITY', guarded.name);
  END LOOP;
  IF has_schema_privilege('marrowline_lab', 'public', 'USAGE') THEN
    RAISE EXCEPTION 'readers may name tables: let the administrator run REVOKE ALL ON SCHEMA public FROM PUBLIC';
  END IF;
END $$;
