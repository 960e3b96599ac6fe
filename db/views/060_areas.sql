-- One row per connected region in which cells are counted, of the runs that the reports show.
CREATE VIEW report.areas AS
SELECT runs.lab,
       runs.patient,
       runs.slide_id,
       runs.key,
       runs.run_id,
       area.no AS area_no,
       area.kind,
       area.x_l0,
       area.y_l0,
       area.width_l0,
       area.height_l0,
       area.mm2
  FROM report.runs
  JOIN public.area ON area.run_id = runs.run_id;

COMMENT ON VIEW report.areas IS
  'Where on each slide cells were counted. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.areas.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.areas.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.areas.slide_id IS 'Number of the slide';
COMMENT ON COLUMN report.areas.key IS 'Name of the object in the bucket';
COMMENT ON COLUMN report.areas.run_id IS 'Number of the reading';
COMMENT ON COLUMN report.areas.area_no IS 'Number of the region within the reading';
COMMENT ON COLUMN report.areas.kind IS 'What the region is: monolayer, or the like';
COMMENT ON COLUMN report.areas.y_l0 IS 'Upper edge of the box around the region, level-0 pixels';
COMMENT ON COLUMN report.areas.width_l0 IS 'Width of the box around the region, level-0 pixels';
COMMENT ON COLUMN report.areas.height_l0 IS 'Height of the box around the region, level-0 pixels';
COMMENT ON COLUMN report.areas.x_l0 IS 'Left edge of the box around the region, level-0 pixels';
COMMENT ON COLUMN report.areas.mm2 IS 'Area of the region itself, square millimetres';
