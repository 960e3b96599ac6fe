from io import StringIO

from rich.console import Console

from worker.progress import bars_or_lines


def shown(*, terminal: bool, every_s: float) -> str:
    """Return what is shown of three steps."""
    written = StringIO()
    with bars_or_lines(Console(file=written, force_terminal=terminal, width=80), every_s=every_s) as tell:
        for done in (1, 2, 3):
            tell("crops", done, 3)
    return written.getvalue()


def test_a_terminal_has_a_bar() -> None:
    assert "3/3" in shown(terminal=True, every_s=0)


def test_a_log_has_a_line_every_so_often() -> None:
    assert shown(terminal=False, every_s=0) == "crops 1/3\ncrops 2/3\n"
    assert shown(terminal=False, every_s=60) == ""
