-- One row per stored object version, with the run that its patient's verdict rests on.
CREATE VIEW report.slides AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.bucket,
       slide.key,
       CASE WHEN slide.state = 'superseded' THEN 'cancelled'
            WHEN reading.state = 'cancelled' AND reading.error_code = 'withdrawn' THEN 'cancelled'
            WHEN slide.state <> 'current' THEN 'waiting'
            WHEN reading.state = 'running' THEN 'reading'
            WHEN reading.state IN ('done', 'quarantined', 'cancelled') THEN reading.state
            ELSE 'waiting' END AS state,
       coalesce(reading.error_code, CASE WHEN slide.state <> 'current' THEN slide.state END) AS error_code,
       coalesce(reading.error_cause, CASE slide.state
         WHEN 'missing' THEN 'the object is gone from the bucket'
         WHEN 'superseded' THEN 'another object stands under its key'
         WHEN 'incomplete' THEN 'not all of its files have arrived' END) AS reason,
       coalesce(reading.error_remedy, CASE slide.state
         WHEN 'missing' THEN 'upload the object again'
         WHEN 'incomplete' THEN 'upload the other files' END) AS remedy,
       CASE WHEN reading.state = 'done' THEN reading.n_cells END AS cells,
       reading.mpp_um,
       reading.mpp_source,
       reading.mpp_error_um,
       reading.sandbox,
       torn.n AS tile_defects,
       slide.specimen,
       slide.stain,
       slide.size_bytes,
       model_version.name AS model_version,
       reading.id AS run_id,
       reading.attempt AS attempts,
       written.n AS batches_written,
       reading.n_batches AS batches,
       slide.state AS object_state,
       slide.registered_at,
       reading.finished_at
  FROM public.slide
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
  LEFT JOIN LATERAL (
    SELECT * FROM public.run WHERE run.slide_id = slide.id
     ORDER BY run.model_version_id IS NOT DISTINCT FROM patient.shown_model_id DESC, run.id DESC LIMIT 1
  ) AS reading ON true
  LEFT JOIN public.model_version ON model_version.id = reading.model_version_id
  LEFT JOIN LATERAL (
    SELECT CASE WHEN reading.state = 'done' THEN coalesce(reading.n_read, reading.n_batches)  -- so none need be counted
                ELSE (SELECT count(*) FROM public.batch WHERE batch.run_id = reading.id) END AS n
  ) AS written ON true
  LEFT JOIN LATERAL (
    SELECT count(*) AS n FROM public.tile_defect WHERE tile_defect.run_id = reading.id
  ) AS torn ON true;

COMMENT ON VIEW report.slides IS
  'Every slide and how its reading stands. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.slides.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.slides.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.slides.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.slides.bucket IS 'Bucket, or folder, in which the object lies';
COMMENT ON COLUMN report.slides.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.slides.specimen IS 'What was smeared: marrow, blood or unknown';
COMMENT ON COLUMN report.slides.stain IS 'Stain as the laboratory named it';
COMMENT ON COLUMN report.slides.size_bytes IS 'Size of the object, bytes';
COMMENT ON COLUMN report.slides.model_version IS 'Name of the model version that read it';
COMMENT ON COLUMN report.slides.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.slides.attempts IS 'How often a worker took the slide up under this model version';
COMMENT ON COLUMN report.slides.batches_written IS 'Batches of them that are written';
COMMENT ON COLUMN report.slides.batches IS 'Batches that the reading was planned in';
COMMENT ON COLUMN report.slides.registered_at IS 'When the slide was registered';
COMMENT ON COLUMN report.slides.finished_at IS 'When the reading ended';
COMMENT ON COLUMN report.slides.state IS 'waiting, reading, done, quarantined or cancelled';
COMMENT ON COLUMN report.slides.error_code IS 'What went wrong last, as one word';
COMMENT ON COLUMN report.slides.reason IS 'What went wrong last';
COMMENT ON COLUMN report.slides.remedy IS 'What to do about it';
COMMENT ON COLUMN report.slides.cells IS 'Cells found, of every class; NULL until the slide is done';
COMMENT ON COLUMN report.slides.mpp_um IS 'Micrometres per level-0 pixel that the slide was read with';
COMMENT ON COLUMN report.slides.mpp_source IS 'Where that scale comes from: header, sidecar, site, or estimated from the red cells';
COMMENT ON COLUMN report.slides.mpp_error_um IS 'Standard error of an estimated scale';
COMMENT ON COLUMN report.slides.sandbox IS 'How well the reading process was locked in: full, strong or weak';
COMMENT ON COLUMN report.slides.tile_defects IS 'Tiles that could not be decoded: nothing was counted in them';
COMMENT ON COLUMN report.slides.object_state IS 'incomplete, current, superseded or missing';
