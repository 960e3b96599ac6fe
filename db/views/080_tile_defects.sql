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
