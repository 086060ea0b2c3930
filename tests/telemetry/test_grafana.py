"""The dashboard for Grafana asks for nothing that the router does not tell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.parser import text_string_to_metric_families

from llmrouter.replies import Usage
from llmrouter.telemetry.decisions import AttemptRecord, Decision
from tests.fakes.provider import FakeProvider
from tests.gateways import gateway, provider

DASHBOARD: dict[str, Any] = orjson.loads(
    (Path(__file__).parents[2] / "config" / "grafana" / "llmrouter.json").read_bytes()
)
_NAME = re.compile(r"llmrouter_[a-z_]+")
_LABELS = re.compile(r"by \(([a-z, ]+)\)|\b([a-z]+)!?=~?\"|\{\{([a-z]+)\}\}")


def expressions() -> Iterator[tuple[str, str]]:
    """Each query with the words of its legend."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]
    yield DASHBOARD["templating"]["list"][1]["query"]["query"], ""


async def test_every_metric_and_label_of_the_dashboard_is_there(tmp_path: Path) -> None:
    attempt = AttemptRecord("a/model-of-a", "success", 1.0, 0.3, usage=Usage(1, 1), cost_usd=0.1, is_unpriced=True)
    call = Decision("req-1", 0.0, "chat.completions", "gpt-4o", stream=True, attempts=[attempt])
    call.answered_by, call.saved_usd = attempt.target, 0.1
    (tmp_path / "mine.py").write_text("class Mine:\n    def take(self, decision): pass\n")
    async with FakeProvider() as fake:
        limited = provider("a", fake, limits={"rpm": 5})
        async with gateway(tmp_path, limited, telemetry={"sinks": ["mine.py:Mine"]}) as router:
            for observer in router.runtime.gateway.observers:
                observer(call)
            text = router.runtime.pages.answer("GET", "/metrics", "").body.decode()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)

    for query, legend in expressions():
        (name,) = set(_NAME.findall(query))
        assert name in labels, query
        asked = {word for found in _LABELS.findall(query + legend) for word in re.findall("[a-z]+", " ".join(found))}
        assert asked <= labels[name], query


def test_panels_neither_overlap_nor_leave_the_grid() -> None:
    """Grafana's grid has 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
