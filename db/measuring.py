"""What the cells of a finished run are like, class by class; found from its own rows alone.

Whether a class is spread evenly over the slide is told by Pearson's chi-square of its called cells over groups of
batches. A batch is a patch of neighbouring tiles, and the order of batches is drawn, so that every n-th of them are
patches from all over the slide; groups of several keep the expected counts from being too small for the test.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from db.counts import AREAS
from db.records import NOT_COUNTED, CellClass

_OFFSETS = 2000
"""So many plasma cells, from the first batches on, are enough for the median offset of their nuclei."""

_LOOKS = text(
    """
    UPDATE run_count SET mean_probability = found.probability, median_nc_ratio = found.nc_ratio,
           median_nucleus_um2 = found.nucleus_um2, of_cell_width = found.of_cell_width
      FROM (SELECT cell.cell_class,
                   avg(cell.probabilities[array_position(model_version.classes, cell.cell_class)])
                     FILTER (WHERE NOT abstained) AS probability,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY features[array_position(feature_names, 'nc_ratio')])
                     FILTER (WHERE NOT abstained) AS nc_ratio,
                   percentile_cont(0.5) WITHIN GROUP
                     (ORDER BY features[array_position(feature_names, 'nucleus_area_um2')])
                     FILTER (WHERE NOT abstained) AS nucleus_um2,
                   CASE WHEN bool_and('cell_area_um2' = ANY (feature_names)) THEN count(*) FILTER (
                     WHERE 2 * sqrt(features[array_position(feature_names, 'cell_area_um2')] / pi()) BETWEEN 5 AND 30)
                     END AS of_cell_width
              FROM cell JOIN run ON run.id = cell.run_id JOIN model_version ON model_version.id = model_version_id
             WHERE cell.run_id = :run_id GROUP BY cell.cell_class) AS found
     WHERE run_count.run_id = :run_id AND run_count.cell_class = found.cell_class
    """
)
_SPREAD = text(
    """
    WITH part AS (SELECT mod(batch_no, :areas) AS area, cell_class, count(*) FILTER (WHERE NOT abstained) AS called,
                         count(*) AS cells
                    FROM cell WHERE run_id = :run_id AND NOT cell_class = ANY (:not_counted)
                   GROUP BY area, cell_class),
         area AS (SELECT area, sum(cells) AS cells FROM part GROUP BY area),
         total AS (SELECT sum(cells) AS cells, count(*) AS areas FROM area),
         class AS (SELECT cell_class, sum(called) AS called, sum(called * called / area.cells) AS squares
                     FROM part JOIN area USING (area) GROUP BY cell_class)
    UPDATE run_count SET areas_df = total.areas - 1, areas_chi2 = greatest(0,
             (squares - class.called * class.called / total.cells) * total.cells * total.cells
             / (class.called * (total.cells - class.called)))
      FROM class, total
     WHERE run_count.run_id = :run_id AND run_count.cell_class = class.cell_class AND total.areas > 1
           -- With fewer than one expected in an area the statistic does not follow chi-square.
           AND least(class.called, total.cells - class.called) >= total.areas
    """
)
_OFFSET = text(
    """
    UPDATE run_count SET median_nucleus_offset = found.offset_radii
      FROM (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY
                     sqrt(power(x_l0 - x_first - x_sum / (3 * twice_area), 2)
                          + power(y_l0 - y_first - y_sum / (3 * twice_area), 2))
                     * mpp_um / sqrt(cell_um2 / pi())) AS offset_radii
              FROM (SELECT x_l0, y_l0, points_l0 AS p, points_l0[1] AS x_first, points_l0[2] AS y_first, run.mpp_um,
                           features[array_position(feature_names, 'cell_area_um2')] AS cell_um2
                      FROM cell JOIN outline USING (run_id, batch_no, cell_no) JOIN run ON run.id = cell.run_id
                     WHERE cell.run_id = :run_id AND cell_class = :cell_class AND NOT abstained
                     ORDER BY batch_no, cell_no LIMIT :most) AS one,
                   LATERAL (SELECT sum(x * y_next - x_next * y) AS twice_area,
                                   sum((x + x_next) * (x * y_next - x_next * y)) AS x_sum,
                                   sum((y + y_next) * (x * y_next - x_next * y)) AS y_sum
                              FROM (SELECT CAST(p[2 * i + 1] - x_first AS double precision) AS x,
                                           CAST(p[2 * i + 2] - y_first AS double precision) AS y,
                                           p[2 * mod(i + 1, n) + 1] - x_first AS x_next,
                                           p[2 * mod(i + 1, n) + 2] - y_first AS y_next
                                      FROM (SELECT cardinality(p) / 2 AS n) AS points,
                                           generate_series(0, n - 1) AS i) AS edge) AS polygon
             WHERE twice_area <> 0 AND cell_um2 > 0) AS found
     WHERE run_count.run_id = :run_id AND run_count.cell_class = :cell_class
    """
)


def measure(conn: Connection, run_id: int) -> None:
    """Store beside the run's counts what its cells are like; the counts are there already."""
    conn.execute(_LOOKS, {"run_id": run_id})
    conn.execute(_SPREAD, {"run_id": run_id, "areas": AREAS, "not_counted": sorted(NOT_COUNTED)})
    conn.execute(_OFFSET, {"run_id": run_id, "cell_class": CellClass.PLASMA_CELL.value, "most": _OFFSETS})
