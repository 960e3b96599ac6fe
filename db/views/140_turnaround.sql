-- Percentiles of times per laboratory and day, week and month. A percentile is the middle (geometric mean) of the step in
-- which it lies, so within 2.2 % of the true one from 1 s on.
CREATE VIEW report.turnaround AS
SELECT of_period.lab,
       of_period.period,
       of_period.since,
       of_period.span,
       of_period.readings,
       percentile.p50_s,
       percentile.p90_s,
       percentile.p95_s,
       percentile.p99_s
  FROM (
    SELECT steps.lab, period.name AS period, date_trunc(period.name, steps.day::timestamp)::date AS since, steps.span,
           sum(steps.readings) AS readings,
           array_agg(steps.step ORDER BY steps.step, steps.day) AS step,
           array_agg(steps.readings ORDER BY steps.step, steps.day) AS of_step
      FROM (SELECT lab.code AS lab, kept.* FROM public.lab_day_time AS kept JOIN public.lab ON lab.id = kept.lab_id)
             AS steps
     CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS period (name)
     GROUP BY 1, 2, 3, 4
  ) AS of_period
 CROSS JOIN LATERAL (
    SELECT min(at_s) FILTER (WHERE upto >= 0.50 * of_period.readings) AS p50_s,
           min(at_s) FILTER (WHERE upto >= 0.90 * of_period.readings) AS p90_s,
           min(at_s) FILTER (WHERE upto >= 0.95 * of_period.readings) AS p95_s,
           min(at_s) FILTER (WHERE upto >= 0.99 * of_period.readings) AS p99_s
      FROM (SELECT power(2, (one.step + 0.5) / 16.0::float8) AS at_s, sum(one.readings) OVER (ORDER BY one.place) AS upto
              FROM unnest(of_period.step, of_period.of_step) WITH ORDINALITY AS one (step, readings, place)) AS upward
  ) AS percentile;

COMMENT ON VIEW report.turnaround IS
  'How long readings took, per laboratory and time. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.turnaround.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.turnaround.period IS 'What a row is about: day, week or month';
COMMENT ON COLUMN report.turnaround.since IS 'First day of that day, week (Monday) or month, in UTC';
COMMENT ON COLUMN report.turnaround.span IS
  'waiting (until a worker took it), reading (from the last take to its end) or turnaround (from when it became due)';
COMMENT ON COLUMN report.turnaround.readings IS 'Readings that ended well';
COMMENT ON COLUMN report.turnaround.p50_s IS 'Median, seconds, within 2.2 %';
COMMENT ON COLUMN report.turnaround.p90_s IS '90th percentile, seconds, within 2.2 %';
COMMENT ON COLUMN report.turnaround.p95_s IS '95th percentile, seconds, within 2.2 %';
COMMENT ON COLUMN report.turnaround.p99_s IS '99th percentile, seconds, within 2.2 %';
