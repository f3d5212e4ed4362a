"""The Grafana dashboard: importable, and every figure that it shows is one that igsearch gives."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from core.service.metrics import Metrics
from tests.metrics_page import samples_of

DASHBOARD: dict[str, Any] = json.loads((Path(__file__).parents[1] / "deploy/grafana-igsearch.json").read_text())
METRICS = Metrics("1", front_ends=["telegram", "discord"], has_indexer=True)
SAMPLES = samples_of(generate_latest(METRICS.registry).decode())
NAMES = {sample.partition("{")[0] for sample in SAMPLES}
LABELS = {label for sample in SAMPLES for label in re.findall(r'(\w+)="', sample)} | {"job", "instance"}
"""The last two are Prometheus' own."""
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
EXPRESSIONS: list[str] = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression asks for: its words that are no functions, labels or durations."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", "", expression)
    return set(re.findall(r"\b[a-z_]+\b(?!\s*\()", bare)) - {"sum", "max", "count"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_what_there_is(expression: str) -> None:
    """Its metrics are on our page, and its labels are theirs."""
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    matched = re.findall(r"(\w+)=~?\"", expression)

    assert names_in(expression) <= NAMES
    assert names_in(expression)
    assert {label.strip() for group in grouped for label in group.split(",")} | set(matched) <= LABELS


def test_every_metric_of_ours_is_shown() -> None:
    """What is worth counting is worth a look."""
    shown = set.union(*map(names_in, EXPRESSIONS))

    ours = {name.removesuffix("_bucket") for name in NAMES if name.startswith("igsearch_")}
    assert {name.removesuffix("_bucket") for name in shown} >= {
        name for name in ours if not name.endswith(("_count", "_sum"))
    }


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """It names no data source of ours, each panel has its place and number, and no panel lies on another."""
    panels = DASHBOARD["panels"]
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert {"datasource", "job"} == VARIABLES
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
