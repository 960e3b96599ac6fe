-- The cells of one place of a slide. Batches know the box around their cells, so that only those are read that meet the
-- place; batches written before they knew are read whole. The fixed search path also keeps the function from being
-- dissolved in a query, where a reader's own function could see rows before the rules of rows have sorted them out.
CREATE FUNCTION report.cells_within(
  of_run bigint, left_l0 double precision, top_l0 double precision, right_l0 double precision, bottom_l0 double precision
)
RETURNS TABLE (run_id bigint, batch_no integer, cell_no integer, x_l0 double precision, y_l0 double precision,
               cell_class text, abstained boolean, probability real)
LANGUAGE sql STABLE SET search_path = report, pg_temp
BEGIN ATOMIC
  SELECT cell.run_id, cell.batch_no, cell.cell_no, cell.x_l0, cell.y_l0, cell.cell_class, cell.abstained,
         greatest(cell.probabilities[1], cell.probabilities[2], cell.probabilities[3], cell.probabilities[4],
                  cell.probabilities[5], cell.probabilities[6], cell.probabilities[7], cell.probabilities[8],
                  cell.probabilities[9], cell.probabilities[10], cell.probabilities[11], cell.probabilities[12],
                  cell.probabilities[13], cell.probabilities[14], cell.probabilities[15], cell.probabilities[16])
    FROM public.run
    JOIN public.batch ON batch.run_id = run.id
   CROSS JOIN LATERAL (  -- OFFSET keeps the planner from reading the whole slide at once
      SELECT * FROM public.cell AS one
       WHERE one.run_id = batch.run_id AND one.batch_no = batch.no
         AND one.x_l0 >= left_l0 AND one.x_l0 < right_l0 AND one.y_l0 >= top_l0 AND one.y_l0 < bottom_l0 OFFSET 0
   ) AS cell
   WHERE run.id = of_run AND run.state = 'done'
     AND (batch.x_min_l0 IS NULL OR batch.x_min_l0 < right_l0 AND batch.x_max_l0 >= left_l0
                                AND batch.y_min_l0 < bottom_l0 AND batch.y_max_l0 >= top_l0)
   ORDER BY cell.batch_no, cell.cell_no;
END;

COMMENT ON FUNCTION report.cells_within IS
  'Cells of a finished reading whose centroid lies in a box of level-0 pixels, its left and upper edge included. '
  'Research use only, not for diagnostic procedures.';
