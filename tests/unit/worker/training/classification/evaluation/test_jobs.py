from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.evaluations import TINY, begun, small_sets
from worker.training.classification.evaluation import jobs, outcome, tasks
from worker.training.classification.evaluation.jobs import Job

PBC, TALEQANI = (tasks.chosen((name,))[0] for name in ("pbc", "taleqani"))
ALL = ("hybrid", "hybrid-merged", "resnet50", "svm", "colour")


def test_a_trunk_is_pretrained_once_for_all_that_start_from_it(tmp_path: Path) -> None:
    prepared = list(jobs.preparations(begun(tmp_path), (PBC, TALEQANI), ALL))
    assert [job.system for job in prepared] == ["vgg16", "vgg19", "resnet50", "features"] * 2


def test_imagenet_takes_the_place_of_pretraining_where_it_has_weights(tmp_path: Path) -> None:
    whole = replace(begun(tmp_path), imagenet=tmp_path)
    assert [job.system for job in jobs.preparations(whole, (PBC,), ("hybrid", "resnet50", "dcnn"))] == ["dcnn"]


def test_every_fold_has_a_file_of_its_own(tmp_path: Path) -> None:
    whole = begun(tmp_path)
    planned = list(jobs.folds(whole, (PBC, TALEQANI), outcome.PROTOCOLS, ALL))
    assert len(planned) == 2 * 2 * len(ALL) * TINY.folds
    assert len({jobs.file_of(whole, job) for job in planned}) == len(planned)
    assert planned[0].protocol == "grouped"


def test_no_picture_is_trained_on_and_judged_and_no_group_under_the_grouped_protocol() -> None:
    own = tasks.asked(small_sets(), TALEQANI)
    for protocol, names in (("paper", own.picture), ("grouped", own.group)):
        tested = []
        for number in range(TINY.folds):
            fold = jobs.division(own, Job(task=TALEQANI, system="svm", protocol=protocol, fold=number), TINY, 1)
            train, val, test = (set(names[rows].tolist()) for rows in (fold.train, fold.val, fold.test))
            assert train.isdisjoint(val | test)
            assert val.isdisjoint(test)
            tested += fold.test.tolist()
        assert protocol == "paper" or sorted(tested) == list(range(len(own)))


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> outcome.Outcome:
    whole = begun(tmp_path_factory.mktemp("jobs"))
    job = Job(task=TALEQANI, system="colour", protocol="grouped", fold=1)
    jobs.perform(whole, job)
    return outcome.stored(jobs.file_of(whole, job))


def test_a_fold_is_answered_by_field_with_what_the_report_needs(answered: outcome.Outcome) -> None:
    assert (answered.task, answered.protocol, answered.arch) == ("taleqani", "grouped", "colour")
    assert (answered.classes, answered.positive) == (("benign", "ALL"), ("ALL",))
    assert set(answered.fold.tolist()) == {1}
    assert len(np.unique(answered.unit)) == len(answered) == 12  # half of 24 fields
    assert answered.grouping == "run of pictures"


def test_colour_alone_tells_discs_apart(answered: outcome.Outcome) -> None:
    assert (answered.called == answered.truth).all()


def test_a_job_whose_file_is_there_is_not_done_again(tmp_path: Path) -> None:
    whole = begun(tmp_path)
    job = Job(task=PBC, system="colour", protocol="paper", fold=0)
    file = jobs.file_of(whole, job)
    file.parent.mkdir(parents=True)
    file.write_text("kept")
    jobs.perform(whole, job)
    assert file.read_text() == "kept"


def test_a_job_says_what_it_is() -> None:
    named = [Job(task=PBC, system="vgg16"), Job(task=PBC, system="features")]
    named.append(Job(task=PBC, system="svm", protocol="paper", fold=0))
    assert [str(job) for job in named] == ["pbc: trunk vgg16", "pbc: features of the cells", "pbc, paper 1: svm"]
