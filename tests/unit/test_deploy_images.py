"""The Dockerfiles and what reaches their builder, checked without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("scheduler", "worker")
every_image = pytest.mark.parametrize("name", NAMES)
NOTICE = "research use only, not for diagnostic procedures"


def path_of(name: str) -> Path:
    return ROOT / "deploy" / f"{name}.Dockerfile"


def stages(name: str) -> list[list[str]]:
    """The instructions of each stage, without comments and with continued lines joined."""
    lines = [line for line in path_of(name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    instructions = [one.strip() for one in "\n".join(lines).replace("\\\n", " ").splitlines() if one.strip()]
    starts = [number for number, one in enumerate(instructions) if one.startswith("FROM ")]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def sent_to_the_builder() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert lines[1] == "*"
    return [line[1:] for line in lines if line.startswith("!")]


@every_image
def test_the_linter_finds_nothing(name: str) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([hadolint, "--no-color", path_of(name)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@every_image
def test_all_stages_start_from_one_exact_version_of_python(name: str) -> None:
    bases = {stage[0].split()[1] for image in NAMES for stage in stages(image)}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases.pop())
    assert len(stages(name)) == 2


@every_image
def test_what_is_copied_exists_and_reaches_the_builder(name: str) -> None:
    allowed = sent_to_the_builder()
    for instruction in (one for stage in stages(name) for one in stage if one.startswith("COPY ")):
        if "--from=" in instruction:
            continue
        for source in instruction.split()[1:-1]:
            assert (ROOT / source).exists()
            assert source in allowed


def test_neither_the_environment_file_nor_the_history_reaches_the_builder_or_git() -> None:
    assert not {".env", ".git", "deploy", "tests"} & set(sent_to_the_builder())
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@every_image
def test_the_image_runs_as_the_user_of_the_compose_file(name: str) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    users = {
        one["user"] for one in services.values() if one.get("build", {}).get("dockerfile", "").startswith("deploy")
    }
    assert [f"USER {user}" for user in users] == [one for one in stages(name)[-1] if one.startswith("USER ")]


@every_image
def test_the_final_stage_installs_nothing_and_says_how_it_feels(name: str) -> None:
    final = stages(name)[-1]
    assert not any(re.search(r"\b(apt|apt-get|pip install|curl|wget|gcc|make)\b", one) for one in final)
    assert any("pip uninstall" in one for one in final)
    assert [one for one in final if one.startswith("HEALTHCHECK ")] == [one for one in final if f'"{name}"]' in one][:1]


@every_image
def test_everything_is_installed_by_the_tested_versions(name: str) -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install (.+?)(?:&&|$)", "\n".join(stages(name)[0]), re.MULTILINE)
    assert installs
    assert all("--constraint constraints.txt" in one for one in installs)
    assert ("[worker]" in " ".join(installs)) is (name == "worker")


@pytest.mark.parametrize(
    "path",
    ["docker-compose.yml", "deploy/example.env", "deploy/scheduler.Dockerfile", "deploy/worker.Dockerfile",
     "docs/deployment.md", "CONTRIBUTING.md", "CHANGELOG.md"],
)  # fmt: skip
def test_what_people_read_says_what_it_is_for(path: str) -> None:
    assert NOTICE in " ".join((ROOT / path).read_text(encoding="utf-8").replace("#", " ").lower().split())
