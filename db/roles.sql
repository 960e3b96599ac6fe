-- Roles and what each may do; run at the end of every upgrade, by the owner of the tables.
-- They are NOLOGIN groups: a deployment makes its login users members of one. A role that exists is left as it is,
-- so an owner without CREATEROLE finds them made by the administrator (deploy/).
--
--   marrowline_scheduler  registers slides, moves runs, stores verdicts; deletes no record
--   marrowline_worker     claims runs, writes cells and verdicts; cannot read patient.pseudonym; deletes own batches only
--   marrowline_report     reads schema report, nothing else

DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['marrowline_scheduler', 'marrowline_worker', 'marrowline_report'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;  -- another database of this cluster is upgraded at the same moment and made them
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, marrowline_scheduler, marrowline_worker, marrowline_report;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO marrowline_scheduler, marrowline_worker;

-- Reading everything is the scheduler's business: it answers the command line.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO marrowline_scheduler;
GRANT INSERT, UPDATE ON lab, patient, slide, slide_file, model_version, active_model, run, event_inbox, verdict
  TO marrowline_scheduler;
GRANT INSERT ON verdict_history, correction TO marrowline_scheduler;
GRANT DELETE ON event_inbox, worker TO marrowline_scheduler;
GRANT INSERT, UPDATE ON upload_status TO marrowline_scheduler;
GRANT DELETE ON status_due TO marrowline_scheduler;

GRANT SELECT ON lab, model_version, active_model, slide, slide_file, run, run_count, batch, cell, outline, area,
  tile_defect, correction, verdict, worker TO marrowline_worker;
GRANT SELECT (id, lab_id, rev, shown_model_id), UPDATE (rev, shown_model_id) ON patient TO marrowline_worker;
GRANT UPDATE (sha256) ON slide TO marrowline_worker;
GRANT UPDATE (state, attempt, releases, fence, lease_owner, lease_until, next_at, progress_at, plan, plan_digest,
  n_batches, mpp_um, mpp_source, mpp_error_um, reader, sandbox, area_shares, stain_profile, feature_names, n_cells, error_code, error_cause, error_remedy, changed_by,
  change_reason, finished_at) ON run TO marrowline_worker;
GRANT INSERT, UPDATE, DELETE ON batch, cell, outline, area, tile_defect, run_count TO marrowline_worker;
GRANT INSERT, UPDATE ON verdict TO marrowline_worker;
GRANT INSERT ON verdict_history TO marrowline_worker;
GRANT INSERT, UPDATE ON worker TO marrowline_worker;

GRANT USAGE ON SCHEMA report TO marrowline_report, marrowline_scheduler;
GRANT SELECT ON ALL TABLES IN SCHEMA report TO marrowline_report, marrowline_scheduler;
