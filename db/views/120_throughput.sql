-- One row per laboratory and day on which something happened, kept by every transaction (`lab_day`).
CREATE VIEW report.throughput AS
SELECT lab.code AS lab,
       lab_day.day,
       lab_day.asked,
       lab_day.done,
       lab_day.quarantined,
       lab_day.retried,
       lab_day.cancelled,
       lab_day.cells
  FROM public.lab_day
  JOIN public.lab ON lab.id = lab_day.lab_id;

COMMENT ON VIEW report.throughput IS
  'What each laboratory''s readings came to, day by day. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.throughput.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.throughput.day IS 'Day in UTC';
COMMENT ON COLUMN report.throughput.asked IS 'Readings that became due: new slides, repeats, other model versions';
COMMENT ON COLUMN report.throughput.done IS 'Readings that ended well';
COMMENT ON COLUMN report.throughput.quarantined IS 'Readings that ended in quarantine';
COMMENT ON COLUMN report.throughput.retried IS 'Attempts after which a reading had to be tried again';
COMMENT ON COLUMN report.throughput.cancelled IS 'Readings that were cancelled';
COMMENT ON COLUMN report.throughput.cells IS 'Cells found, of every class, by the readings that ended well';
