-- One row per slide and model version that read it, past ones too. Areas and defects are asked for in the columns, so that a page
-- asks for those of its own rows only.
CREATE VIEW report.runs AS
SELECT run.id AS run_id,
       lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.key,
       model_version.name AS model_version,
       model_version.weights_sha256,
       run.state,
       run.attempt AS attempts,
       run.releases,
       run.max_attempts,
       run.error_code,
       run.error_cause AS reason,
       run.error_remedy AS remedy,
       run.change_reason,
       run.lease_owner AS worker,
       run.n_cells AS cells,
       run.n_batches AS batches,
       coalesce(run.n_read, CASE WHEN run.state = 'done' THEN run.n_batches END) AS batches_read,
       run.stop ->> 'rule' AS stop_rule,
       (run.stop ->> 'look')::int AS stop_look,
       (run.stop ->> 'cells')::int AS stop_cells,
       run.stop ->> 'reason' AS stop_reason,
       run.mpp_um,
       run.mpp_source,
       run.mpp_error_um,
       run.reader,
       run.sandbox,
       round((run.area_shares ->> 'countable')::numeric, 4)::float8 AS countable_share,
       (SELECT sum(area.mm2) FROM public.area WHERE area.run_id = run.id) AS areas_mm2,
       (SELECT count(*) FROM public.tile_defect WHERE tile_defect.run_id = run.id) AS tile_defects,
       run.created_at,
       run.next_at,
       run.progress_at,
       run.finished_at,
       run.model_version_id IS NOT DISTINCT FROM patient.shown_model_id AS shown
  FROM public.run
  JOIN public.slide ON slide.id = run.slide_id
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
  JOIN public.model_version ON model_version.id = run.model_version_id;

COMMENT ON VIEW report.runs IS
  'Every reading of a slide by a model version. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.runs.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.runs.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.runs.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.runs.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.runs.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.runs.model_version IS 'Name of the model version that read it';
COMMENT ON COLUMN report.runs.weights_sha256 IS 'SHA-256 of its weights';
COMMENT ON COLUMN report.runs.max_attempts IS 'Attempts after which the slide is quarantined';
COMMENT ON COLUMN report.runs.error_code IS 'What went wrong last, as one word';
COMMENT ON COLUMN report.runs.reason IS 'What went wrong last, in words';
COMMENT ON COLUMN report.runs.remedy IS 'What to do about it';
COMMENT ON COLUMN report.runs.worker IS 'Worker that holds the run, NULL when none does';
COMMENT ON COLUMN report.runs.cells IS 'Cells found, of every class; NULL until the run is done';
COMMENT ON COLUMN report.runs.batches IS 'Batches that the reading was planned in';
COMMENT ON COLUMN report.runs.mpp_um IS 'Micrometres per level-0 pixel that the slide was read with';
COMMENT ON COLUMN report.runs.created_at IS 'When the reading was first asked for';
COMMENT ON COLUMN report.runs.next_at IS 'When it may be tried next';
COMMENT ON COLUMN report.runs.finished_at IS 'When the reading ended';
COMMENT ON COLUMN report.runs.state IS 'pending, running, retry_wait, done, quarantined or cancelled';
COMMENT ON COLUMN report.runs.attempts IS 'How often a worker took the run';
COMMENT ON COLUMN report.runs.releases IS 'Attempts that do not count against max_attempts';
COMMENT ON COLUMN report.runs.change_reason IS 'Why the run took its last step';
COMMENT ON COLUMN report.runs.batches IS 'Batches of tiles that the plan has, in the order in which they are read';
COMMENT ON COLUMN report.runs.batches_read IS
  'Batches of a finished reading, from the first: fewer than batches where it stopped early';
COMMENT ON COLUMN report.runs.stop_rule IS 'The rule set by whose looks reading may stop early; NULL where it has none';
COMMENT ON COLUMN report.runs.stop_look IS
  'Counted cells from which the look was due that ended the reading; NULL where all was read';
COMMENT ON COLUMN report.runs.stop_cells IS 'Counted cells in the batches read, under a rule with looks';
COMMENT ON COLUMN report.runs.stop_reason IS 'Why reading ended where it did, under a rule with looks';
COMMENT ON COLUMN report.runs.mpp_source IS 'header, sidecar, site, or estimated from the red cells';
COMMENT ON COLUMN report.runs.mpp_error_um IS 'Standard error of an estimated scale';
COMMENT ON COLUMN report.runs.reader IS 'What decoded the pixels: openslide, tiled-jpeg or plain';
COMMENT ON COLUMN report.runs.sandbox IS 'How well the reading process was locked in: full, strong or weak';
COMMENT ON COLUMN report.runs.countable_share IS 'Part of the slide in which cells are counted, 0-1';
COMMENT ON COLUMN report.runs.areas_mm2 IS 'Area in which cells are counted';
COMMENT ON COLUMN report.runs.tile_defects IS 'Tiles that could not be decoded: nothing was counted in them';
COMMENT ON COLUMN report.runs.progress_at IS 'When a batch was last written';
COMMENT ON COLUMN report.runs.shown IS
  'Whether the patient''s finding rests on this model version; false for one that is compared with it, or past';
