-- Cells per run and class with what persons corrected applied: what verdicts and the differential count.
-- It lies beside the tables, and not in schema report, as workers judge by it and have no business there.
CREATE VIEW public.run_count_effective WITH (security_invoker = true) AS
SELECT run_id,
       cell_class,
       sum(called)::integer AS called,
       sum(abstained)::integer AS abstained,
       coalesce(bool_or(counted), cell_class NOT IN ('megakaryocyte', 'platelet', 'smudge', 'artefact')) AS counted
  FROM (SELECT run_id, cell_class, called, abstained, counted FROM public.run_count
        UNION ALL
        SELECT run_id, called, abstained::integer - 1, -abstained::integer, NULL FROM public.corrected_cell
        UNION ALL
        SELECT run_id, cell_class, 1, 0, NULL FROM public.corrected_cell) AS told
 GROUP BY run_id, cell_class
HAVING sum(called) <> 0 OR sum(abstained) <> 0;
