"""The inbox of events on a real Postgres: what is noted once, whose turn comes, and what is forgotten."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from db import inbox, migrate
from db.hints import Hint, HintOutcome
from db.session import make_engine, transaction
from tests.support.rows import add_slide, execute, scalar, use_model


def _hint(name: str = "a", *, sequencer: str = "", bucket: str = "bucket") -> Hint:
    return Hint(msg_id=f"{name}{sequencer}", bucket=bucket, key=f"lab/p/{name}.svs", sequencer=sequencer)


def _note(engine: Engine, *hints: Hint, source: str = "webhook") -> int:
    with transaction(engine) as conn:
        return inbox.note(conn, source, hints)


def _take(engine: Engine, *, limit: int = 100, hold_s: float = 60.0, bucket: str = "bucket") -> list[str]:
    with transaction(engine) as conn:
        return [hint.key for hint in inbox.take(conn, bucket, limit=limit, hold_s=hold_s)]


def _settle(engine: Engine, outcome: HintOutcome = HintOutcome.LOOKED) -> None:
    with transaction(engine) as conn:
        inbox.settle(conn, range(1000), outcome)


def test_fifty_deliveries_of_an_event_are_one_hint(engine: Engine) -> None:
    assert [_note(engine, *[_hint()] * 10) for _ in range(5)] == [1, 0, 0, 0, 0]
    assert _note(engine, _hint(), source="sqs") == 1
    assert _note(engine) == 0
    assert scalar(engine, "SELECT count(*) FROM event_inbox") == 2


def test_a_delivery_of_a_settled_event_is_looked_at_again_only_after_a_while(engine: Engine) -> None:
    _note(engine, _hint())
    _take(engine)
    _settle(engine)
    assert (_note(engine, _hint()), _take(engine)) == (0, [])
    execute(engine, "UPDATE event_inbox SET handled_at = now() - interval '11 minutes'")
    assert (_note(engine, _hint()), _take(engine)) == (1, ["lab/p/a.svs"])


def test_a_turn_comes_once_and_again_when_nobody_settles_it(engine: Engine) -> None:
    _note(engine, _hint("a"), _hint("b"), _hint("c", bucket="other"))
    assert _take(engine, hold_s=0) == ["lab/p/a.svs", "lab/p/b.svs"]
    assert _take(engine) == ["lab/p/a.svs", "lab/p/b.svs"]
    assert _take(engine) == []
    assert scalar(engine, "SELECT max(tries) FROM event_inbox") == 2
    assert _take(engine, bucket="other") == ["lab/p/c.svs"]


def test_two_schedulers_never_hold_the_same_hint(engine: Engine) -> None:
    _note(engine, *(_hint(str(number)) for number in range(10)))
    with transaction(engine) as first, transaction(engine) as second:
        mine = inbox.take(first, "bucket", limit=6, hold_s=60)
        theirs = inbox.take(second, "bucket", limit=6, hold_s=60)
    assert (len(mine), len(theirs)) == (6, 4)
    assert {hint.id for hint in mine}.isdisjoint(hint.id for hint in theirs)


def test_sequencers_are_compared_after_padding_on_the_right(engine: Engine) -> None:
    _note(engine, _hint(sequencer="0055"), _hint(sequencer="00a"), _hint(sequencer="0056"), _hint("b"))
    _settle(engine)
    _note(engine, _hint(sequencer="ff"))
    with transaction(engine) as conn:
        assert inbox.looked_at(conn, "bucket", ["lab/p/a.svs", "lab/p/b.svs"]) == {"lab/p/a.svs": "00a"}
        assert inbox.looked_at(conn, "other", ["lab/p/a.svs"]) == {}


def test_a_full_inbox_is_known(engine: Engine) -> None:
    _note(engine, *(_hint(str(number)) for number in range(3)))
    with transaction(engine) as conn:
        assert (inbox.is_full(conn, 2), inbox.is_full(conn, 3)) == (True, False)
    _settle(engine)
    with transaction(engine) as conn:
        assert not inbox.is_full(conn, 0)


def test_hints_are_forgotten_after_thirty_days(engine: Engine) -> None:
    _note(engine, _hint("old"), _hint("new"))
    execute(engine, "UPDATE event_inbox SET received_at = now() - interval '31 days' WHERE msg_id = 'old'")
    with transaction(engine) as conn:
        assert timedelta(days=30) == inbox.KEPT
        assert inbox.forget(conn) == 1
    assert scalar(engine, "SELECT msg_id FROM event_inbox") == "new"


def test_a_database_of_the_revision_before_keeps_its_rows(own_database_url: str) -> None:
    own = make_engine(own_database_url)
    use_model(own)
    run_id = add_slide(own)
    migrate.downgrade(own, "0003")
    execute(own, "INSERT INTO event_inbox (source, msg_id, bucket, key) VALUES ('sqs', 'm', 'bucket', 'lab/p/a.svs')")
    migrate.upgrade(own)
    assert migrate.check(own) == []
    assert scalar(own, "SELECT id FROM run") == run_id
    assert _take(own) == ["lab/p/a.svs"]
    own.dispose()
