import re
from pathlib import Path

PACKAGES = ("worker", "scheduler", "db")
EXECUTES = re.compile(
    r"torch\.load\b|\b(?:import|from) c?[pP]ickle\b|\bpickle\.|\ballow_pickle=True|\bjoblib\b|\bdill\b"
)


def test_nothing_reads_files_that_can_execute() -> None:
    root = Path(__file__).parents[4]
    sources = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    found = [f"{path}: {match[0]}" for path in sources if (match := EXECUTES.search(path.read_text("utf-8")))]
    assert len(sources) > 100
    assert found == []
