"""`make upgrade`: the true code of an earlier revision and this one side by side, on a schema that grows meanwhile.

Row 49 of the matrix upgrades this code to a migration of its own. Here the migrations are those that came between.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from db import audit, migrate
from db.faultpoints import Action, Fault
from db.session import transaction
from tests.faults.earlier import Earlier, HistoryError, before_newest_migration, earlier
from tests.faults.ground import SLIDES, make_template, prepare
from tests.faults.invariants import INVARIANTS, broken, digest
from tests.faults.rig import LEASE_S, Rig
from tests.faults.rows_upgrade import watched
from tests.faults.stage import line_for, prepared

_OUT = Console(soft_wrap=True, markup=False, highlight=False)
_OLD, _NEW = ("scheduler-old", "worker-old"), ("scheduler", "worker")
_SLOW_S = 0.5
"""So long every batch takes while the schema grows: slides are then read before, during and after it."""
_BOTH = 8
"""So many slides come in while both versions serve."""
_FRESH, _GOLDEN = 8, 9
_STALE = "I8: the verdict of patient {} is stale"
_PAGES = "SELECT count(*) FROM report_page WHERE written"
_STRANGE = b"raised unexpected"
"""What Celery logs of a task that its worker could not make sense of."""
_ACROSS = """
    SELECT count(*) FROM (SELECT run_id FROM batch GROUP BY run_id, fence
                          HAVING min(written_at) < '{begun}' AND max(written_at) > '{grown}') AS one
"""
_NOT_READ = "SELECT state, error_code, error_cause, count(*) FROM run WHERE state <> 'done' GROUP BY 1, 2, 3"
_FENCES = "SELECT array_agg(DISTINCT fence ORDER BY fence) FROM batch WHERE run_id = (SELECT max(id) FROM run)"


def upgraded(rig: Rig, old: Earlier) -> None:
    """Upgrade a line of the earlier version by steps to one of this; what does not hold is an AssertionError."""
    rig.nurseries.update(dict.fromkeys(_OLD, old.nursery))
    was = _undisturbed(rig)
    _grown_under_way(rig)
    _handed_on(rig, "worker-old", "worker", scheduler="scheduler-old")
    _handed_on(rig, "worker", "worker-old", scheduler="scheduler")
    _side_by_side(rig)
    for name in _OLD:
        assert (code := rig.stop(name)) == 0, f"{name} ended with {code}"
    rig.upload("last", patient="last")
    _read_whole(rig)
    rig.until(lambda: rig.value(f"{_PAGES} < wanted") == 0, "every report is written")
    rig.until(lambda: rig.value("SELECT count(*) FROM status_due") == 0, "every status is written")
    _check(rig, was, old)


def _undisturbed(rig: Rig) -> Mapping[str, str]:
    """Return how the earlier version reads each slide, on its own schema."""
    rig.line("worker-old", schedulers=("scheduler-old",))
    keys = {name: rig.upload(f"before-{name}", name, patient="before") for name in SLIDES}
    rig.settled(hasten=False)
    return {name: digest(rig, key) for name, key in keys.items()}


def _grown_under_way(rig: Rig) -> None:
    """Migrate to this version's schema while the earlier scheduler and worker are at work and reports are read."""
    rig.arm(Fault(name="slow", point="batch.read", action=Action.SLEEP, seconds=_SLOW_S, times=500))
    for name in SLIDES:
        rig.upload(f"under-way-{name}", name, patient="under-way")
    rig.until_struck("slow", times=3)
    tries, begun = 0, rig.value("SELECT now()")

    def grown() -> bool:
        nonlocal tries
        tries += 1
        ended = prepare(rig.ground, rig.database)
        assert ended.returncode == 0 or "lock" in ended.stderr, ended.stderr  # it waits but briefly for a lock
        return ended.returncode == 0

    with watched(rig):
        rig.until(grown, "the schema has grown", within_s=20 * LEASE_S)
    done, struck = rig.value("SELECT now()"), rig.struck("slow")
    rig.until_struck("slow", times=struck + 3)
    rig.arm()
    _read_whole(rig)
    assert rig.value(_ACROSS.format(begun=begun, grown=done)), "no slide was being read while the schema grew"
    rig.note(f"migrated at try {tries} while the earlier version read")


def _handed_on(rig: Rig, victim: str, heir: str, *, scheduler: str) -> None:
    """Kill a worker of one version in mid-slide; one of the other version ends what it began."""
    name = f"left-by-{victim}"
    rig.line(victim, schedulers=(scheduler,))
    rig.arm(Fault(name=name, point="batch.read", action=Action.STOP, skip=5))
    rig.upload(name, patient="handed-on")
    rig.until_struck(name)
    rig.line(victim, heir, schedulers=(scheduler,))
    rig.kill(victim)
    _read_whole(rig)
    fences = rig.value(_FENCES)
    assert max(fences) == 2, f"nobody took over: claims {fences}"
    rig.note(f"{heir} {'went on with' if len(fences) > 1 else 'began anew'} what {victim} left")


def _side_by_side(rig: Rig) -> None:
    """Let schedulers and workers of both versions serve at once; each version must read some slides."""
    rig.line(_OLD[1], _NEW[1], schedulers=(_OLD[0], _NEW[0]))
    before = {name: _read_by(rig, name) for name in (_OLD[1], _NEW[1])}
    for number in range(_BOTH):
        rig.upload(f"both-{number}", SLIDES[number % len(SLIDES)], patient=f"both-{number % 3}")
    _read_whole(rig)
    rig.until(lambda: sum(_read_by(rig, name) for name in before) == sum(before.values()) + _BOTH, "all are told of")
    shares = {name: _read_by(rig, name) - count for name, count in before.items()}
    assert all(shares.values()), f"one version read nothing beside the other: {shares}"
    rig.note(f"side by side the earlier version read {shares[_OLD[1]]} slides, this one {shares[_NEW[1]]}")


def _read_whole(rig: Rig) -> None:
    """Wait until all slides are read; none may have ended otherwise."""
    rig.settled()
    ends = rig.rows(_NOT_READ)
    assert not ends, f"slides were not read: {ends}"


def _read_by(rig: Rig, name: str) -> int:
    return sum(1 for one in rig.entries_of(name) if one.get("event") == "left" and one["outcome"] == "done")


def _check(rig: Rig, was: Mapping[str, str], old: Earlier) -> None:
    """Ask the invariants; a verdict and a slide's cells must be what either version gives, and never a mixture."""
    wrong = broken(rig, (number for number in INVARIANTS if number not in (_FRESH, _GOLDEN)))
    judged_then = {_STALE.format(one) for one in old.judges_so(rig.engine.url.render_as_string(hide_password=False))}
    wrong += [one for one in broken(rig, [_FRESH]) if one not in judged_then]
    for key, slide in rig.uploaded.items():
        if slide is not None and digest(rig, key) not in (was[slide], rig.ground.golden[slide]):
            wrong.append(f"I{_GOLDEN}: {key.rpartition('-')[2]} reads otherwise than by either version undisturbed")
    wrong += migrate.check(rig.engine)
    with transaction(rig.engine) as conn:
        wrong += audit.verify(conn).faults
    assert not wrong, "; ".join(map(str, wrong))
    alike = sum(was[slide] == rig.ground.golden[slide] for slide in SLIDES)
    rig.note(f"{len(rig.uploaded)} slides, {alike} of {len(SLIDES)} drawings read alike by both versions")
    pages = rig.value(f"{_PAGES} > 0")
    assert pages, "no report was written"
    puzzled = [path.stem for path in sorted((rig.folder / "logs").glob("*.log")) if _STRANGE in path.read_bytes()]
    assert not puzzled, f"asked of {', '.join(puzzled)} what the version does not understand: see the logs"
    rig.note(f"{pages} reports written")


def main(arguments: Sequence[str] | None = None) -> int:
    """Upgrade from the revision given; 0 when both versions served side by side and every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.upgrade", description=__doc__)
    parser.add_argument("--from", dest="revision", help="by default the last one before the newest migration")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="where logs are copied to when something broke")
    chosen = parser.parse_args(arguments)
    try:
        with earlier(chosen.revision or before_newest_migration()) as old:
            _OUT.print(f"from {old.revision} (schema {old.schema}) to this version (schema {migrate.head_revision()})")
            return _run(old, chosen.keep_logs)
    except HistoryError as error:
        _OUT.print(str(error))
        return 1


def _run(old: Earlier, keep_logs: Path | None) -> int:
    with prepared() as made:
        make_template(made, program=old.program, code=old.code)
        with line_for(made, "upgrade") as line:
            line.settings.update({"status_files": "true", "reports": "true"})
            try:
                upgraded(line, old)
            except AssertionError as error:
                _OUT.print(f"BROKEN: {error}")
                if keep_logs is not None:
                    shutil.copytree(line.folder / "logs", keep_logs, dirs_exist_ok=True)
                return 1
            for figure in line.notes:
                _OUT.print(figure)
    _OUT.print("every invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
