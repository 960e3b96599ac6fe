from __future__ import annotations

import re
from dataclasses import replace

from db.counts import SlideTally, SpecimenTally, Tally
from db.patients import digest
from db.records import Confusion, Specimen

MARROW = SpecimenTally(specimen=Specimen.MARROW, counts={"lymphocyte": 3, "smudge": 1}, abstained=2, slides_done=1)
TALLY = Tally(model_version="m", rule="r", specimens=(MARROW,), slides_done=1, slides_open=0, slides_quarantined=0)


def test_equal_tallies_have_equal_digests_whatever_the_order_of_their_counts() -> None:
    turned = replace(MARROW, counts={"smudge": 1, "lymphocyte": 3})
    assert digest(replace(TALLY, specimens=(turned,))) == digest(TALLY)
    assert re.fullmatch(r"[0-9a-f]{64}", digest(TALLY))


def test_every_part_of_a_tally_changes_its_digest() -> None:
    others = [
        replace(TALLY, model_version="other"),
        replace(TALLY, rule="other"),
        replace(TALLY, slides_done=2),
        replace(TALLY, slides_open=1),
        replace(TALLY, slides_quarantined=1),
        replace(TALLY, confusion=Confusion(classes=("lymphocyte",), counts=((9, 1),))),
        replace(TALLY, confusion=Confusion(classes=("lymphocyte",), counts=((9, 2),))),
        replace(TALLY, specimens=()),
        replace(TALLY, specimens=(replace(MARROW, specimen=Specimen.BLOOD),)),
        replace(TALLY, specimens=(replace(MARROW, counts={"lymphocyte": 4, "smudge": 1}),)),
        replace(TALLY, specimens=(replace(MARROW, abstained=3),)),
        replace(TALLY, specimens=(replace(MARROW, slides_done=2),)),
        replace(TALLY, specimens=(replace(MARROW, slides=(SlideTally(slide_id=1, counts={}, abstained=0),)),)),
    ]
    assert len({digest(one) for one in (TALLY, *others)}) == len(others) + 1


def test_a_tally_without_later_additions_keeps_the_digest_that_is_stored_of_it() -> None:
    assert digest(TALLY) == "cc9b21b6aadcb8a1aa67e553335cc3893c95d084be9eff8bf66d9eee72327cb7"
