"""Tables of what one run found: batches, cells, outlines, areas and defects.

Cells and outlines are partitioned by hash of the run, so that a slide's rows lie together and old runs can go
without a long DELETE on one huge table.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Table,
)

from db.columns import metadata, moment, one_of, words
from db.records import CellClass

PARTITIONS = 16
PARTITIONED = ("cell", "outline")

batch = Table(
    "batch",
    metadata,
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("no", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("n_cells", Integer, nullable=False),
    moment("written_at"),
    *(Column(name, Double) for name in ("x_min_l0", "y_min_l0", "x_max_l0", "y_max_l0")),  # of the cells' centroids
    PrimaryKeyConstraint("run_id", "no"),
    CheckConstraint("no >= 0 AND n_cells >= 0", name="numbers"),
)


def _cell_key() -> list[Column[int]]:
    names = {"run_id": BigInteger, "batch_no": Integer, "cell_no": Integer}
    return [Column(name, kind, nullable=False) for name, kind in names.items()]


def _batch_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run_id", "batch_no"], ["batch.run_id", "batch.no"], ondelete="CASCADE")


def _box_l0() -> list[Column[int]]:
    return [Column(name, Integer, nullable=False) for name in ("x_l0", "y_l0", "width_l0", "height_l0")]


cell = Table(
    "cell",
    metadata,
    *_cell_key(),
    Column("x_l0", Double, nullable=False),
    Column("y_l0", Double, nullable=False),
    words("cell_class"),
    Column("abstained", Boolean, nullable=False),
    Column("probabilities", ARRAY(REAL), nullable=False),  # in the order of the model version's classes
    Column("features", ARRAY(REAL), nullable=False),  # in the order of run.feature_names
    PrimaryKeyConstraint("run_id", "batch_no", "cell_no"),
    _batch_key(),
    one_of("cell_class", CellClass),
    # Postgres holds NaN greater than every number, so an upper bound refuses it.
    CheckConstraint(
        "cardinality(probabilities) > 0 AND array_position(probabilities, NULL) IS NULL"
        " AND 0 <= ALL (probabilities) AND 1 >= ALL (probabilities)",
        name="probabilities",
    ),
    CheckConstraint(
        "array_position(features, NULL) IS NULL AND '-Infinity' < ALL (features) AND 'Infinity' > ALL (features)",
        name="features",
    ),
    CheckConstraint("x_l0 >= 0 AND x_l0 < 'Infinity' AND y_l0 >= 0 AND y_l0 < 'Infinity'", name="centroid"),
    postgresql_partition_by="HASH (run_id)",
)

outline = Table(
    "outline",
    metadata,
    *_cell_key(),
    Column("points_l0", ARRAY(Integer), nullable=False),  # x, y, x, y ... without the repeated first point
    PrimaryKeyConstraint("run_id", "batch_no", "cell_no"),
    _batch_key(),
    CheckConstraint("cardinality(points_l0) >= 6 AND mod(cardinality(points_l0), 2) = 0", name="points_l0"),
    postgresql_partition_by="HASH (run_id)",
)

area = Table(
    "area",
    metadata,
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("no", Integer, nullable=False),
    words("kind"),
    *_box_l0(),
    Column("mm2", Double, nullable=False),
    PrimaryKeyConstraint("run_id", "no"),
    CheckConstraint("width_l0 > 0 AND height_l0 > 0", name="box"),
    CheckConstraint("mm2 > 0 AND mm2 < 'Infinity'", name="mm2"),
)

tile_defect = Table(
    "tile_defect",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("batch_no", Integer, nullable=False),
    Column("tile_no", Integer, nullable=False),
    *_box_l0(),
    words("code"),
    words("cause"),
    PrimaryKeyConstraint("run_id", "batch_no", "tile_no"),
    _batch_key(),
)
