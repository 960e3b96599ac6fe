-- Cells by what the model called and what a person gave; each person's last word on each cell.
CREATE VIEW report.confusions AS
SELECT lab,
       model_version,
       made_by,
       CASE WHEN abstained THEN 'abstained' ELSE called END AS called,
       cell_class AS given,
       count(*) AS cells
  FROM report.corrections
 WHERE last_word AND called IS NOT NULL
 GROUP BY GROUPING SETS (
   (lab, model_version, made_by, CASE WHEN abstained THEN 'abstained' ELSE called END, cell_class),
   (lab, model_version, CASE WHEN abstained THEN 'abstained' ELSE called END, cell_class));

COMMENT ON VIEW report.confusions IS
  'Confusion of model and persons, per lab, model version and person. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.confusions.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.confusions.model_version IS 'The model version that called';
COMMENT ON COLUMN report.confusions.made_by IS 'The person; NULL: all of the laboratory';
COMMENT ON COLUMN report.confusions.called IS 'The class that the model called; abstained where it would not call';
COMMENT ON COLUMN report.confusions.given IS 'The class that the person gave';
COMMENT ON COLUMN report.confusions.cells IS 'How many cells; one that two persons judged counts twice where made_by is NULL';
