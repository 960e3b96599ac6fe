-- One row per run and reason: which part of the slide was counted, and why the rest was not.
CREATE VIEW report.area_shares AS
SELECT runs.lab,
       runs.patient,
       runs.slide_id,
       runs.key,
       runs.run_id,
       told.reason,
       told.share
  FROM report.runs
  JOIN public.run ON run.id = runs.run_id
 CROSS JOIN LATERAL (
    SELECT key AS reason, value::float8 AS share FROM jsonb_each_text(run.area_shares)
  ) AS told;

COMMENT ON VIEW report.area_shares IS
  'Which part of each slide was counted, and why the rest was not. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.area_shares.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.area_shares.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.area_shares.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.area_shares.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.area_shares.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.area_shares.reason IS 'countable, or what kept cells from being counted there';
COMMENT ON COLUMN report.area_shares.share IS 'Part of the slide, 0-1';
