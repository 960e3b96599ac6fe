"""The fault matrix as data: 50 rows, each with its scenario, or with none while it is not written."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import rows_altered as altered
from tests.faults import rows_broker as broker
from tests.faults import rows_clock as clock
from tests.faults import rows_database as database
from tests.faults import rows_events as events
from tests.faults import rows_finish as finish
from tests.faults import rows_nemesis as nemesis
from tests.faults import rows_objects as objects
from tests.faults import rows_output as output
from tests.faults import rows_queue as queue
from tests.faults import rows_remote as remote
from tests.faults import rows_scheduler as scheduler
from tests.faults import rows_slides as slides
from tests.faults import rows_torn as torn
from tests.faults import rows_upgrade as upgrade
from tests.faults import rows_workers as workers
from tests.faults.invariants import INVARIANTS
from tests.faults.rig import Rig

Scenario = Callable[[Rig], None]
_MATRIX = Path(__file__).with_name("matrix.toml")
SCENARIOS: Mapping[int, Scenario] = {
    1: workers.child_killed,
    2: workers.worker_killed,
    3: workers.worker_stopped,
    4: workers.worker_stopped_then_killed,
    5: workers.worker_paused,
    6: workers.every_point,
    7: scheduler.killed_before_the_ring,
    8: events.killed_before_registration,
    9: scheduler.two_schedulers,
    10: broker.killed,
    11: broker.flushed,
    12: broker.away,
    13: broker.full,
    14: database.commit_answer_lost,
    15: database.crashed_in_copy,
    16: database.clients_thrown_out,
    17: database.away,
    18: database.deadlocked,
    19: database.no_connection_left,
    20: output.beyond_one,
    21: events.repeated,
    22: events.out_of_order,
    23: events.lost,
    24: events.none_of_ours,
    25: events.forged,
    26: objects.overwritten,
    27: objects.deleted,
    28: objects.late_file,
    29: slides.truncated,
    30: torn.torn_tile,
    31: slides.no_slides,
    32: slides.huge,
    33: slides.reader_struck,
    34: altered.altered_slides,
    35: remote.odd_keys,
    36: objects.disk_full,
    37: remote.slow_or_broken,
    38: remote.another_secret,
    39: output.out_of_memory,
    40: output.device_broken,
    41: output.not_a_number,
    42: output.weights_altered,
    43: clock.wrong_clock,
    44: finish.together,
    45: objects.moved,
    46: queue.burst,
    47: queue.poison,
    48: queue.garbage,
    49: upgrade.in_steps,
    50: nemesis.three_minutes,
}
"""What strikes a row; a row that is not here is not written."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the matrix."""

    number: int
    title: str
    fault: str
    expected: str
    invariants: tuple[int, ...]
    scenario: Scenario | None


def rows() -> tuple[Row, ...]:
    """Return the rows in the order of their numbers."""
    stored = tomllib.loads(_MATRIX.read_text(encoding="utf-8"))["row"]
    return tuple(
        Row(
            number=row["number"],
            title=row["title"],
            fault=row["fault"],
            expected=row["expected"],
            invariants=tuple(row.get("invariants", INVARIANTS)),
            scenario=SCENARIOS.get(row["number"]),
        )
        for row in stored
    )
