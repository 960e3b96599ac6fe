"""docker-compose.yml and its environment, checked without a container engine."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from db.config import DatabaseSettings
from db.records import Specimen
from scheduler.cli import make_group
from scheduler.config import HomeSettings, SchedulerSettings, WebhookSettings
from scheduler.intake import Sidecar
from worker.config import QueueSettings, StoreSettings, WorkerSettings
from worker.rules import RULES
from worker.storage import RESULTS_PREFIX

ROOT = Path(__file__).resolve().parents[2]
TEXT = "".join(  # without comments, as they may speak of variables
    line for line in (ROOT / "docker-compose.yml").read_text(encoding="utf-8").splitlines(True) if line[0] != "#"
)
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("bucket", "migrate", "scheduler", "webhook", "worker-cpu", "worker-gpu")
ONE_SHOTS = ("bucket", "migrate")
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy" / "example.env").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN|AUTH$")
MAY_STAY_EMPTY = {"WEBHOOK_SECRET", "WEBHOOK_OLD_SECRET", "WEBHOOK_TOKEN"}
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?::(?P<sign>[?-])(?P<rest>[^}]*))?\}")
every_service = pytest.mark.parametrize("name", list(SERVICES))


def schema_errors(compose: Any) -> list[str]:
    shipped = resources.files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json"
    validator = Draft202012Validator(json.loads(shipped.read_text(encoding="utf-8")))
    return [error.message for error in validator.iter_errors(compose)]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    assert schema_errors(COMPOSE) == []


def test_the_specification_finds_a_misspelt_key() -> None:
    assert schema_errors({"services": {"redis": {"image": "redis:8", "read_onyl": True}}})


def test_the_example_environment_names_exactly_the_variables_in_use() -> None:
    assert {found["name"] for found in VARIABLE.finditer(TEXT)} == set(EXAMPLE)


def test_the_example_names_a_rule_and_a_specimen_that_exist() -> None:
    assert EXAMPLE["RULE"] in RULES
    assert EXAMPLE["DEFAULT_SPECIMEN"] in set(Specimen)


def test_every_specimen_that_may_be_chosen_is_named_where_it_is_chosen() -> None:
    example = (ROOT / "deploy" / "example.env").read_text(encoding="utf-8").split("DEFAULT_SPECIMEN=")[0]
    row = next(line for line in (ROOT / "docs/deployment.md").read_text().splitlines() if "`DEFAULT_SPECIMEN`" in line)
    for specimen in Specimen:
        assert specimen in "".join(example.splitlines(True)[-2:])
        assert specimen in row


def test_every_use_of_a_variable_has_a_default_or_stops_with_a_reason() -> None:
    assert all(found["sign"] for found in VARIABLE.finditer(TEXT))


def test_no_password_or_key_has_a_value_or_a_default() -> None:
    for found in VARIABLE.finditer(TEXT):
        if found["name"] in MAY_STAY_EMPTY:
            assert (found["sign"], found["rest"], EXAMPLE[found["name"]]) == ("-", "", ""), found["name"]
        elif SECRET.search(found["name"]):
            assert (found["sign"], found["rest"], EXAMPLE[found["name"]]) == ("?", "set it in .env", ""), found["name"]
        elif found["sign"] == "-":
            assert found["rest"] == EXAMPLE[found["name"]], found["name"]


@every_service
def test_secrets_stand_in_the_environment_only_and_never_as_text(name: str) -> None:
    service = SERVICES[name]
    for key, value in service.get("environment", {}).items():
        if SECRET.search(key):
            assert VARIABLE.fullmatch(value), key
        if "@" in value:
            assert re.fullmatch(rf"[a-z]+://[a-z]*:{VARIABLE.pattern}@[^@]+", value), key
    assert not VARIABLE.search(json.dumps([service.get("command"), service.get("entrypoint")]))


def test_every_marrowline_variable_is_a_setting() -> None:
    fields = {
        f"MARROWLINE_{field.upper()}"
        for settings in (
            DatabaseSettings,
            StoreSettings,
            QueueSettings,
            WorkerSettings,
            SchedulerSettings,
            WebhookSettings,
            HomeSettings,
        )
        for field in settings.model_fields
    }
    used = {key for service in SERVICES.values() for key in service.get("environment", {}) if "MARROWLINE" in key}
    assert used
    assert used <= fields


@pytest.mark.parametrize(
    ("name", "settings", "fields"),
    [
        ("worker-cpu", WorkerSettings, {"sandbox", "read_threads", "read_deadline_s", "device"}),
        ("worker-gpu", WorkerSettings, {"sandbox", "read_threads", "read_deadline_s", "device"}),
        ("worker-cpu", StoreSettings, {"cache_dir", "cache_max_bytes"}),
        ("scheduler", SchedulerSettings, {"default_specimen", "rule", "set_quiet_s", "max_attempts", "reports"}),
        ("webhook", WebhookSettings, {"webhook_per_s"}),
    ],
)
def test_what_a_site_may_have_to_change_is_passed_on_with_its_own_default(
    name: str, settings: type[BaseModel], fields: set[str]
) -> None:
    environment = SERVICES[name]["environment"]
    for field in fields:
        found = VARIABLE.fullmatch(environment[f"MARROWLINE_{field.upper()}"])
        if found is not None:
            assert settings.model_validate({field: found["rest"]}) == settings.model_validate({}), field


def test_the_deployment_page_names_every_variable_with_a_default() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    chosen = {name for name in EXAMPLE if not SECRET.search(name)}
    assert {name for name in chosen if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", OURS)
def test_commands_exist_in_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = SERVICES[name]["command"]
    if program == "python":
        assert [volume.split(":")[1] for volume in SERVICES[name]["volumes"]] == arguments
        return
    assert program == "marrowline"
    with pytest.raises(SystemExit) as ended:
        make_group().main([*arguments, "--help"], prog_name="marrowline")
    assert ended.value.code == 0
    assert f"Usage: marrowline {' '.join(arguments)}" in capsys.readouterr().out


@every_service
def test_images_are_pinned_to_a_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.match(r"\d+\.\d+", tag)
    if name in OURS:
        version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
        assert version is not None
        assert tag.split("-")[0] == version[1]


@every_service
def test_containers_are_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert any(mount.startswith("/tmp:size=") for mount in service["tmpfs"])  # noqa: S108 - a mount point
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(service)
    assert service["restart"] == ("on-failure:5" if name in ONE_SHOTS else "unless-stopped")


def test_only_s3_postgres_and_the_webhook_are_published_and_only_they_reach_outside() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"s3", "postgres", "webhook"}
    assert published["postgres"][0].startswith("127.0.0.1:")
    assert [EXAMPLE[name] for name in ("S3_ADDRESS", "WEBHOOK_ADDRESS")] == ["127.0.0.1"] * 2
    outside = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name, service in SERVICES.items() if outside & set(service["networks"])} == set(published)


@every_service
def test_networks_volumes_and_files_that_are_named_exist(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", ()):
        source, _, *options = volume.split(":")
        if source.startswith("."):
            assert (ROOT / source).is_file()
            assert options == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def has_healthcheck(service: dict[str, Any]) -> bool:
    if "healthcheck" in service:
        return "test" in service["healthcheck"]
    return "build" in service and "HEALTHCHECK" in (ROOT / service["build"]["dockerfile"]).read_text(encoding="utf-8")


@every_service
def test_services_wait_for_what_can_be_waited_for(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_completed_successfully":
            assert other in ONE_SHOTS
        else:
            assert wait["condition"] == "service_healthy"
            assert has_healthcheck(SERVICES[other])
    assert has_healthcheck(SERVICES[name]) is (name not in ONE_SHOTS)


def test_the_webhook_holds_nothing_but_its_own_login_and_its_secrets() -> None:
    service = SERVICES["webhook"]
    secrets = {found["name"] for value in service["environment"].values() for found in VARIABLE.finditer(value)}
    assert {name for name in secrets if SECRET.search(name)} == {
        "WEBHOOK_DB_PASSWORD",
        "WEBHOOK_SECRET",
        *MAY_STAY_EMPTY,
    }
    assert "volumes" not in service
    assert {name for name, other in SERVICES.items() if "WEBHOOK_SECRET" in str(other)} == {"webhook"}


def test_logins_are_made_in_the_order_of_their_names_before_anything_rests_on_them() -> None:
    mounts = [volume.split(":")[1] for volume in SERVICES["postgres"]["volumes"] if "initdb.d" in volume]
    assert [Path(mount).name for mount in mounts] == sorted(path.name for path in (ROOT / "deploy/postgres").iterdir())


def test_the_gpu_worker_takes_one_gpu_and_what_a_site_may_leave_out_has_a_profile() -> None:
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert "gpu" in device["capabilities"]
    assert len(device["device_ids"]) == 1
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "webhook": ["webhook"],
        "worker-cpu": ["cpu"],
        "worker-gpu": ["gpu"],
    }


def test_s3_identities_take_their_keys_from_the_environment_and_may_do_no_more_than_they_need() -> None:
    identities = json.loads((ROOT / "deploy" / "s3" / "identities.json").read_text(encoding="utf-8"))["identities"]
    keys = [key for one in identities for credential in one["credentials"] for key in credential.values()]
    assert {VARIABLE.fullmatch(key)["name"] for key in keys} == set(SERVICES["s3"]["environment"])  # type: ignore[index]
    assert len(set(keys)) == len(keys)
    bucket = SERVICES["scheduler"]["environment"]["MARROWLINE_BUCKET"].removeprefix("s3://")
    assert {one["name"]: one["actions"] for one in identities} == {
        "admin": ["Admin"],
        "scheduler": [f"{verb}:{bucket}" for verb in ("List", "Read", "Write")],  # it writes statuses beside uploads
        "worker": [f"Read:{bucket}", f"Write:{bucket}/{RESULTS_PREFIX}*"],
        "lab-central": [
            *(f"{verb}:{bucket}/central/*" for verb in ("List", "Read", "Write")),
            f"Read:{bucket}/{RESULTS_PREFIX}central/*",
        ],
    }


def test_the_documented_sidecar_is_one() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.+?)```", page, re.DOTALL)
    sidecar = Sidecar.model_validate_json(example)
    assert sidecar.mpp == 0.25
    assert sidecar.specimen is Specimen.MARROW
