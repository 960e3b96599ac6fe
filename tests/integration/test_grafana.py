"""The Grafana dashboard over the report views: its queries run as they are, and the service is locked down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from db import reports
from scheduler.cli import NOTICE
from tests.support.rows import add_slide, read
from tests.unit.test_deploy import COMPOSE, SECRET, VARIABLE, schema_errors

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((FOLDER / "dashboards" / "marrowline.json").read_text(encoding="utf-8"))
OVERLAY_TEXT = (ROOT / "deploy" / "grafana.compose.yml").read_text(encoding="utf-8")
OVERLAY: dict[str, Any] = yaml.safe_load(OVERLAY_TEXT)
SERVICE: dict[str, Any] = OVERLAY["services"]["grafana"]
SOURCE: dict[str, Any] = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "marrowline.yaml").read_text())
QUERIES = {panel["title"]: one["rawSql"] for panel in DASHBOARD["panels"] for one in panel.get("targets", ())}
MACROS = {
    r"\$__timeFilter\((\w+)\)": r"\1 BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'",
    r"\$__timeFrom\(\)": "'2020-01-01T00:00:00Z'",
    r"\$__timeTo\(\)": "'2100-01-01T00:00:00Z'",
    r"\$lab\b": "'lab'",
}
"""What Grafana puts in their places."""


def filled_in(sql: str) -> str:
    for macro, text in MACROS.items():
        sql = re.sub(macro, text, sql)
    return sql


@pytest.mark.parametrize("title", list(QUERIES))
def test_a_panels_query_runs_as_the_reporting_role(lab: Engine, title: str) -> None:
    read(lab, add_slide(lab), ["lymphoblast"])
    sql = filled_in(QUERIES[title])
    assert "$" not in sql
    columns, _ = reports.query(lab, sql)
    assert columns
    if "time_series" in json.dumps([panel for panel in DASHBOARD["panels"] if panel["title"] == title]):
        assert columns[0] == "time"


def test_panels_show_what_is_there(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphoblast"] * 3)
    shown = {title: reports.query(lab, filled_in(sql))[1] for title, sql in QUERIES.items()}
    assert (shown["Slides read"], shown["Cells"]) == ([(1,)], [(3,)])
    assert [row[1:] for row in shown["Readings a day"]] == [(1, 0, 0)]
    assert shown["Findings of the active model version"] == [("consistent_with_ALL", 1)]


def test_the_laboratories_to_choose_from_are_those_with_readings(lab: Engine) -> None:
    add_slide(lab)
    (variable,) = DASHBOARD["templating"]["list"]
    assert reports.query(lab, variable["query"])[1] == [("lab",)]


def test_panels_ask_the_source_that_is_provisioned_and_do_not_overlap() -> None:
    (source,) = SOURCE["datasources"]
    used = re.findall(r'"uid": "(\w+)"', json.dumps(DASHBOARD["panels"]))
    assert set(used) == {source["uid"]}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        place = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not place & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= place


def test_the_dashboard_says_what_it_may_be_used_for() -> None:
    assert NOTICE.lower().rstrip(".") in json.dumps(DASHBOARD).lower()


def test_the_service_is_valid_and_locked_down_as_the_others() -> None:
    assert schema_errors(OVERLAY) == []
    assert (SERVICE["read_only"], SERVICE["cap_drop"]) == (True, ["ALL"])
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", SERVICE["user"])
    assert all(port.startswith("127.0.0.1:") for port in SERVICE["ports"])
    assert re.search(r":\d+\.\d+\.\d+$", SERVICE["image"])
    assert set(SERVICE["networks"]) <= set(COMPOSE["networks"])


def test_files_and_dashboards_lie_where_the_service_looks() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICE["volumes"])
    assert all((ROOT / source).is_dir() for source in mounts)
    assert all(volume.endswith(":ro") for volume in SERVICE["volumes"])
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "marrowline.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] in mounts.values()
    assert SERVICE["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(provider["options"]["path"])


def test_passwords_come_from_the_environment_and_the_source_is_the_reading_login() -> None:
    secrets = {name: value for name, value in SERVICE["environment"].items() if SECRET.search(name)}
    assert set(secrets) == {"GF_SECURITY_ADMIN_PASSWORD", "REPORT_DB_PASSWORD"}
    assert all(VARIABLE.fullmatch(value) for value in secrets.values())
    (source,) = SOURCE["datasources"]
    assert (source["user"], source["secureJsonData"]["password"]) == ("report", "${REPORT_DB_PASSWORD}")


def test_the_deployment_page_names_the_variables_that_it_adds() -> None:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    added = {found["name"] for found in VARIABLE.finditer(OVERLAY_TEXT)} - {"REPORT_DB_PASSWORD"}
    assert added == {"GRAFANA_ADMIN_PASSWORD", "GRAFANA_PORT"}
    assert {name for name in added if f"`{name}`" not in page} == set()
