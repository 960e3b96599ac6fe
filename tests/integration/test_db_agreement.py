"""Kappa, its interval and the confusions in the database are those that are computed by hand and by another program."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from sqlalchemy import Engine

from db import agreement, corrections
from db.agreement import AgreementReport
from db.corrections import Said
from db.records import Batch
from db.runs import finish, store_plan, write_batch
from db.session import transaction
from tests.support.rows import add_slide, cell, decide, plan, read, scalar, taken

L, P, N = "lymphoblast", "plasma_cell", "lymphocyte"
Pairs = Mapping[tuple[str, str], int]
"""Called and given class: how many cells."""
FLEISS: Pairs = {(L, L): 20, (L, N): 5, (N, L): 10, (N, N): 15}


def judge(engine: Engine, pairs: Pairs, by: str = "ada", patient: str = "patient", lab: str = "lab") -> None:
    """Read a slide whose cells are called so, and have a person give them these classes."""
    both = [pair for pair, n in pairs.items() for _ in range(n)]
    run_id = add_slide(engine, lab=lab, patient=patient)
    read(engine, run_id, [called for called, _ in both])
    say(engine, run_id, [given for _, given in both], by)


def say(engine: Engine, run_id: int, given: list[str], by: str) -> None:
    words = [
        Said(where=str(no), run_id=run_id, batch_no=0, cell_no=no, cell_class=name) for no, name in enumerate(given)
    ]
    with transaction(engine) as conn:
        corrections.record(conn, words, by, decide)


def of(engine: Engine, cell_class: str | None = None, made_by: str | None = None, lab: str = "lab") -> AgreementReport:
    with transaction(engine) as conn:
        rows = agreement.agreement(conn, lab=lab)
    (one,) = [row for row in rows if (row.cell_class, row.made_by) == (cell_class, made_by)]
    return one


def test_kappa_and_its_interval_are_those_computed_by_hand(lab: Engine) -> None:
    judge(lab, FLEISS)
    found = of(lab)
    # p_o = 35/50; marginals 25, 25 called and 30, 20 given; p_e = 0.5; kappa = 0.2/0.5. Fleiss, Cohen and Everitt:
    # 0.4 (1 - 1.1 . 0.6)^2 + 0.3 (1 - 0.9 . 0.6)^2 + 0.6^2 (0.1 . 1.1^2 + 0.2 . 0.9^2) - (0.4 - 0.5 . 0.6)^2
    inner = 0.4 * 0.34**2 + 0.3 * 0.46**2 + 0.36 * (0.1 * 1.1**2 + 0.2 * 0.9**2) - 0.1**2
    error = math.sqrt(inner / 50) / 0.5
    assert (found.cells, found.agreed, found.abstained) == (50, 35, 0)
    assert found.kappa == pytest.approx(0.4)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.4 - 1.959964 * error, 0.4 + 1.959964 * error))


def test_a_class_is_held_against_all_others(lab: Engine) -> None:
    judge(lab, {(L, L): 4, (L, N): 2, (N, P): 1, (N, N): 3})
    found = of(lab, L)
    assert (found.cells, found.agreed, found.by_model, found.by_person) == (10, 4, 6, 4)
    assert found.kappa == pytest.approx((0.8 - (0.6 * 0.4 + 0.4 * 0.6)) / (1 - 0.48))
    missed = of(lab, P)
    assert (missed.agreed, missed.by_model, missed.by_person, missed.kappa) == (0, 0, 1, 0.0)


def test_where_all_agree_the_interval_still_has_a_width(lab: Engine) -> None:
    judge(lab, {(L, L): 5, (N, N): 5})
    found = of(lab)
    assert (found.kappa, found.ci_high) == (1.0, 1.0)
    assert found.ci_low == pytest.approx((0.025**0.1 - 0.5) / 0.5)


def test_one_class_on_both_sides_has_no_kappa(lab: Engine) -> None:
    judge(lab, {(N, N): 5})
    found = of(lab)
    assert (found.cells, found.agreed, found.kappa, found.ci_low, found.ci_high) == (5, 5, None, None, None)


def test_persons_and_laboratories_are_kept_apart_and_a_last_word_replaces_the_one_before(lab: Engine) -> None:
    judge(lab, {(L, L): 1, (N, N): 1}, by="ada")
    say(lab, 1, [N, N], "ben")
    say(lab, 1, [L, N], "ben")
    judge(lab, {(L, N): 1, (N, N): 1}, by="ada", lab="other")
    with transaction(lab) as conn:
        rows = [row for row in agreement.agreement(conn) if row.cell_class is None]
    assert [(row.lab, row.made_by, row.cells, row.agreed) for row in rows] == [
        ("lab", "ada", 2, 2),
        ("lab", "ben", 2, 2),
        ("lab", None, 4, 4),
        ("other", "ada", 2, 1),
        ("other", None, 2, 1),
    ]


def test_abstained_cells_are_told_beside(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    store_plan(lab, claim, plan())
    write_batch(lab, claim, Batch(no=0, cells=(cell(0, L), cell(1, N), cell(2, N, abstained=True))))
    finish(lab, claim, decide)
    say(lab, 1, [L, N, L], "ada")
    assert (of(lab).cells, of(lab).abstained, of(lab, L).abstained, of(lab, N).abstained) == (2, 1, 1, 0)
    with transaction(lab) as conn:
        pairs = {(one.called, one.given): one.cells for one in agreement.confusions(conn, made_by="ada")}
    assert pairs == {(L, L): 1, (N, N): 1, ("abstained", L): 1}


NAMES = st.sampled_from([L, P, N])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=30))
def test_kappa_is_that_of_another_program_and_its_interval_that_of_the_whole_sum(
    lab: Engine, cells: list[tuple[str, str]]
) -> None:
    assume(len({name for pair in cells for name in pair}) > 1)
    number = scalar(lab, "SELECT count(*) FROM slide")
    judge(lab, Counter(cells), lab=f"l{number}", patient=f"p{number}")
    found = of(lab, lab=f"l{number}")
    assert found.kappa == pytest.approx(cohen_kappa_score(*zip(*cells, strict=True)), abs=1e-9)
    if found.agreed < found.cells:
        assert (found.ci_low, found.ci_high) == pytest.approx(_interval(cells), abs=1e-9)


def _interval(cells: list[tuple[str, str]]) -> tuple[float, float]:
    """Return the interval of Fleiss, Cohen and Everitt from the matrix of shares, rows called, columns given."""
    names = sorted({name for pair in cells for name in pair})
    p = np.array([[cells.count((a, b)) for b in names] for a in names]) / len(cells)
    called, given = p.sum(axis=1), p.sum(axis=0)
    chance = called @ given
    kappa = (p.trace() - chance) / (1 - chance)
    weight = np.eye(len(names)) - (given[:, None] + called[None, :]) * (1 - kappa)
    variance = ((p * weight**2).sum() - (kappa - chance * (1 - kappa)) ** 2) / (len(cells) * (1 - chance) ** 2)
    half = 1.959963984540054 * math.sqrt(max(0.0, variance))
    return max(-1.0, kappa - half), min(1.0, kappa + half)
