-- One row per tile that could not be decoded; nothing was counted in it.
CREATE VIEW report.tile_defects AS
SELECT runs.lab,
       runs.patient,
       runs.slide_id,
       runs.key,
       runs.run_id,
       tile_defect.tile_no,
       tile_defect.x_l0,
       tile_defect.y_l0,
       tile_defect.width_l0,
       tile_defect.height_l0,
       tile_defect.code AS error_code,
       tile_defect.cause AS reason
  FROM report.runs
  JOIN public.tile_defect ON tile_defect.run_id = runs.run_id;

COMMENT ON VIEW report.tile_defects IS
  'Places that could not be decoded. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.tile_defects.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.tile_defects.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.tile_defects.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.tile_defects.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.tile_defects.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.tile_defects.tile_no IS 'Number of the tile within the reading';
COMMENT ON COLUMN report.tile_defects.x_l0 IS 'Left edge, level-0 pixels';
COMMENT ON COLUMN report.tile_defects.y_l0 IS 'Upper edge, level-0 pixels';
COMMENT ON COLUMN report.tile_defects.width_l0 IS 'Width, level-0 pixels';
COMMENT ON COLUMN report.tile_defects.height_l0 IS 'Height, level-0 pixels';
COMMENT ON COLUMN report.tile_defects.error_code IS 'What went wrong, as one word';
COMMENT ON COLUMN report.tile_defects.reason IS 'What was wrong with it, in words';
