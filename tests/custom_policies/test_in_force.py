"""A class of the owner's own in a running router: by file, route and header, and when files change."""

from pathlib import Path
from typing import Any

import pytest

from llmrouter.calls import Preferences
from tests.gateways import gateway

SOURCE = """
class ByName:
    def order(self, call, candidates):
        return sorted(candidates, key=lambda candidate: candidate.target.provider)

class Backwards:
    def order(self, call, candidates):
        return candidates[::-1]

class Bad:
    def order(self, call, candidates):
        raise LookupError("nothing here")
"""
PROVIDERS: tuple[dict[str, Any], ...] = tuple(
    {"name": name, "type": "echo", "priority": 1} for name in ("beta", "alpha", "gamma")
)
SETTINGS: dict[str, Any] = {
    "policy": "mine.py:ByName",
    "policies": {"custom": {"timeout_seconds": 1}},
    "routes": [{"model": "backwards", "policy": "mine.py:Backwards"}, {"model": "bad", "policy": "mine.py:Bad"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize(
    ("model", "header", "answered_by"),
    [
        ("any", None, "alpha"),
        ("backwards", None, "gamma"),
        ("any", "mine.py:Backwards", "gamma"),
        ("backwards", "least_cost", "beta"),
    ],
)
async def test_file_route_and_header(folder: Path, model: str, header: str | None, answered_by: str) -> None:
    async with gateway(folder, *PROVIDERS, **SETTINGS) as router:
        told = await router.ask(model=model, preferences=Preferences(policy=header))
        assert told.answer.headers["x-llmrouter-provider"] == answered_by
        assert router.decisions[-1].to_record()["plan"]["policy"] == told.answer.headers["x-llmrouter-policy"]


async def test_a_header_names_no_file_that_the_settings_do_not_name(folder: Path) -> None:
    (folder / "theirs.py").write_text(SOURCE + "\nraise AssertionError('a client had this run')\n")
    async with gateway(folder, *PROVIDERS, **SETTINGS) as router:
        for name in ("theirs.py:ByName", f"{folder}/theirs.py:ByName", "mine.py:NotNamed", "./mine.py:ByName"):
            told = await router.ask(preferences=Preferences(policy=name))
            assert told.answer.status == 400
            message = told.json["error"]["message"]
            assert message.startswith("'x-llmrouter-policy' names no policy: ")
            assert ".py" not in message.removeprefix(f"'x-llmrouter-policy' names no policy: {name!r}.")
            assert "least_cost" in message and "classes of the owner's own" in message


async def test_a_failure_is_answered_by_the_cheapest_counted_and_recorded(folder: Path) -> None:
    async with gateway(folder, *PROVIDERS, **SETTINGS) as router:
        told = await router.ask(model="bad")
        assert (told.answer.status, told.answer.headers["x-llmrouter-provider"]) == (200, "beta")
        assert router.runtime.policy_failures == {("mine.py:Bad", "exception"): 1}
        failure = router.decisions[-1].to_record()["plan"]["policy_failure"]
        assert failure == "LookupError: nothing here (mine.py, line 12)"


async def test_a_changed_class_is_taken_over_and_a_bad_one_is_not(folder: Path) -> None:
    file = folder / "mine.py"
    async with gateway(folder, *PROVIDERS, **SETTINGS) as router:

        async def answered_by() -> str:
            return (await router.ask()).answer.headers["x-llmrouter-provider"]

        assert router.runtime.reload_if_changed() is False
        file.write_text(SOURCE.replace("ByName:", "ByName"))
        assert router.runtime.reload_if_changed() is False
        assert await answered_by() == "alpha"

        file.unlink()
        assert router.runtime.reload_if_changed() is False
        file.write_text(SOURCE.replace("target.provider)", "target.provider, reverse=True)"))
        assert router.runtime.reload_if_changed() is True
        assert await answered_by() == "gamma"
        assert router.runtime.reload_if_changed() is False


async def test_settings_that_name_a_bad_class_keep_the_old_ones_until_the_class_is_right(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(folder, *PROVIDERS, **SETTINGS) as router:
        file = folder / "providers.yaml"
        file.write_text(file.read_text().replace("policy: mine.py:ByName", "policy: new.py:Backwards"))
        assert router.runtime.reload_if_changed() is False
        assert "new.py cannot be read" in caplog.text
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "alpha"

        (folder / "new.py").write_text(SOURCE)
        assert router.runtime.reload_if_changed() is True
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "gamma"


async def test_turns_go_on_while_nothing_changes(tmp_path: Path) -> None:
    async with gateway(tmp_path, *PROVIDERS, policy="round_robin") as router:
        names = [(await router.ask()).answer.headers["x-llmrouter-provider"] for _ in range(4)]
    assert names == ["beta", "alpha", "gamma", "beta"]
