from __future__ import annotations

from worker.training.fields import ANSWERS, table


def test_answers_are_counted_by_set_and_label() -> None:
    told = [("a", "MM", "MM")] * 2 + [("a", "MM", "not told"), ("a", "normal", "no sign"), ("b", "HE", "refused")]
    head, rule, *lines = table(told).splitlines()
    assert head == f"| set | label | fields | {' | '.join(ANSWERS)} |"
    assert rule.count("|") == head.count("|")
    assert lines == [
        "| a | MM | 3 | 0 | 2 | 0 | 0 | 1 | 0 |",
        "| a | normal | 1 | 0 | 0 | 0 | 1 | 0 | 0 |",
        "| b | HE | 1 | 0 | 0 | 0 | 0 | 0 | 1 |",
    ]
