-- How many readings took how long, in steps; percentiles of any time can be had from it.
CREATE VIEW report.turnaround_steps AS
SELECT lab.code AS lab,
       kept.day,
       kept.span,
       kept.step,
       CASE WHEN kept.step = 0 THEN 0 ELSE power(2, kept.step / 16.0::float8) END AS from_s,
       power(2, (kept.step + 1) / 16.0::float8) AS to_s,
       kept.readings
  FROM public.lab_day_time AS kept
  JOIN public.lab ON lab.id = kept.lab_id;

COMMENT ON VIEW report.turnaround_steps IS
  'How many readings of a day took how long. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.turnaround_steps.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.turnaround_steps.day IS 'Day in UTC on which the readings ended';
COMMENT ON COLUMN report.turnaround_steps.span IS
  'waiting (until a worker took it), reading (from the last take to its end) or turnaround (from when it became due)';
COMMENT ON COLUMN report.turnaround_steps.step IS 'Number of the step: the whole part of 16 * log2(seconds)';
COMMENT ON COLUMN report.turnaround_steps.from_s IS 'Least time of the step, seconds';
COMMENT ON COLUMN report.turnaround_steps.to_s IS 'Time at which the next step begins, seconds';
COMMENT ON COLUMN report.turnaround_steps.readings IS 'Readings that took so long';
