"""`llmrouter doctor` against providers on loopback; every finding says what to do."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from llmrouter.brands import BRANDS
from llmrouter.cli.checks import runtimes
from llmrouter.cli.checks.answering import Heard, ask_all, check_clock
from llmrouter.cli.checks.authority import check_authority
from llmrouter.cli.checks.configuration import check_configuration
from llmrouter.cli.checks.finding import Level, ok
from llmrouter.cli.checks.listening import check_ports, check_shell
from llmrouter.cli.checks.mishaps import check_mishaps
from llmrouter.cli.client_environment import Ports
from llmrouter.cli.main import main
from llmrouter.cli.own_configuration import Choice
from llmrouter.proxy.certificate_authority import KEY_AND_CERT, ensure_ca
from llmrouter.proxy.trial_certificate import trial_certificate
from llmrouter.proxy.trust_files import BUNDLE, CERT
from llmrouter.routing.catalog import build_targets
from llmrouter.settings.loader import load_settings
from llmrouter.settings.model import Settings
from tests.e2e.router_process import free_port
from tests.fakes.provider import Answer, FakeProvider, Status

HOST = "api.openai.com"
NOW = datetime.now(UTC)


def levels(findings: Any) -> list[tuple[str, str]]:
    return [(str(finding.level), finding.what) for finding in findings]


def configuration(folder: Path, *providers: dict[str, Any]) -> Path:
    file = folder / "providers.yaml"
    file.write_text(yaml.safe_dump({"providers": list(providers)}))
    return file


async def heard(folder: Path, fake: FakeProvider, *, deep: bool = False) -> list[Heard]:
    file = configuration(folder, {"name": "a", "type": "groq", "base_url": fake.base_url, "model": "m"})
    targets = build_targets(load_settings(file, BRANDS), BRANDS, {"GROQ_API_KEY": "key-of-groq"}).targets
    return await ask_all(targets, deep=deep, heard=lambda name: None)


@pytest.mark.parametrize(
    ("status", "level", "words"),
    [
        (200, "ok", "It answers in"),
        (401, "problem", "refuses the key"),
        (404, "ok", "has no list"),
        (429, "warning", "used up"),
        (503, "problem", "HTTP 503"),
    ],
)
async def test_a_provider(tmp_path: Path, status: int, level: str, words: str) -> None:
    """It is asked for its models with its own key, and for nothing else; the key is in no finding."""
    async with FakeProvider(Status(status, b"{}")) as fake:
        (one,) = await heard(tmp_path, fake)

    assert (one.finding.level, words in one.finding.what) == (level, True)
    assert [(seen.method, seen.path) for seen in fake.requests] == [("GET", "/v1/models")]
    assert "key-of-groq" not in repr(one)


async def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    async with FakeProvider() as fake:
        pass
    (one,) = await heard(tmp_path, fake)
    assert (one.finding.level, "cannot be reached (ConnectError)" in one.finding.what) == (Level.PROBLEM, True)


async def test_deep_asks_for_one_token(tmp_path: Path) -> None:
    async with FakeProvider(Status(200, b"{}"), Answer("x"), Status(200, b"{}"), Status(404, b"{}")) as fake:
        well = await heard(tmp_path, fake, deep=True)
        ill = await heard(tmp_path, fake, deep=True)

    assert [one.finding.level for one in well] == ["ok", "ok"]
    assert fake.requests[1].json()["max_tokens"] == 1
    assert ill[1].finding.level is Level.PROBLEM


@pytest.mark.parametrize(("skew_s", "level"), [([3, 5, 4000], "ok"), ([200, 300, 1], "problem"), ([-90], "problem")])
def test_the_clock(skew_s: list[float], level: str) -> None:
    """By the provider in the middle: one whose own clock is wrong does not decide."""
    (finding,) = check_clock(Heard(ok("", ""), ahead) for ahead in skew_s)
    assert finding.level == level


async def test_the_date_of_a_provider_is_read(tmp_path: Path) -> None:
    behind = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    async with FakeProvider(Status(200, b"{}", {"date": behind})) as fake:
        (one,) = await heard(tmp_path, fake)
    assert one.clock_ahead_s is not None
    assert 3500 < one.clock_ahead_s < 3700


def test_the_configuration(tmp_path: Path) -> None:
    """Mistakes, missing keys, and a file without any target."""
    right = check_configuration(Choice(configuration(tmp_path, {"type": "echo"})), {})
    assert [finding.level for finding in right.findings] == ["ok"]
    keyless = check_configuration(Choice(configuration(tmp_path, {"type": "groq", "model": "m"})), {})
    assert [finding.level for finding in keyless.findings] == ["ok", "warning", "problem"]
    assert "GROQ_API_KEY is not set" in keyless.findings[1].what
    wrong = check_configuration(Choice(configuration(tmp_path, {"type": "ech"})), {})
    assert "did you mean echo?" in wrong.findings[0].what


def test_the_authority(tmp_path: Path) -> None:
    """None yet; a good one; one whose key others may read, that ended, or that is in no bundle."""
    assert levels(check_authority(tmp_path, [HOST], NOW))[0][0] == "warning"
    ensure_ca(tmp_path, [HOST], NOW)
    assert [level for level, _ in levels(check_authority(tmp_path, [HOST], NOW))] == ["ok"]
    assert "do not allow other.example" in levels(check_authority(tmp_path, ["other.example"], NOW))[0][1]
    assert levels(check_authority(tmp_path, [HOST], NOW + timedelta(days=900)))[0][0] == "problem"
    (tmp_path / KEY_AND_CERT).chmod(0o644)
    (tmp_path / BUNDLE).write_bytes(b"")
    assert [level for level, _ in levels(check_authority(tmp_path, [HOST], NOW))] == ["ok", "problem", "problem"]


async def test_ports(tmp_path: Path) -> None:
    """Free ones, and ones that somebody else has."""
    free = Ports(free_port(), free_port())
    assert [level for level, _ in levels(check_ports(free, tmp_path, HOST))] == ["ok", "ok"]
    async with FakeProvider() as other:
        taken = await asyncio.to_thread(lambda: levels(check_ports(Ports(free.proxy, other.port), tmp_path, HOST)))
    assert [level for level, _ in taken] == ["ok", "problem"]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080"}, ["ok"]),
        ({"HTTPS_PROXY": "http://corp:3128"}, ["warning"]),
        ({"NO_PROXY": "a.example,.openai.com"}, ["warning"]),
        ({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, ["problem"]),
    ],
)
def test_the_shell(environ: dict[str, str], found: list[str]) -> None:
    assert [level for level, _ in levels(check_shell(Ports(8080, 8000), [HOST], environ))] == found


def test_who_trusts_the_ca(tmp_path: Path) -> None:
    """This Python as the shell has it, with the bundle, and with neither."""
    ensure_ca(tmp_path, [HOST], NOW)
    python = runtimes.Runtime("Python", (sys.executable,), "trial.py", runtimes.PYTHON_TRIAL)
    certificate = trial_certificate(tmp_path, HOST, NOW)
    bundle = {"SSL_CERT_FILE": str(tmp_path / CERT)}

    def said(environ: dict[str, str], told: dict[str, str]) -> str:
        return runtimes.check_runtimes(certificate, HOST, environ, told, [python])[0].what

    assert "in this shell." in said(bundle, {})
    assert "under `llmrouter run`, not in this shell" in said({}, bundle)
    assert "does not trust it" in said({}, {})


def test_what_the_router_could_not_do() -> None:
    """What is set, and what happened since the router that runs was started, with a remedy for each kind."""
    mishap = {"refused": 2, "passed_through": 1, "last_at": 1_790_000_000.5, "last": "too much to do."}
    passing = Settings(on_internal_error="passthrough")
    found = list(check_mishaps(passing, {"mishaps": {"overloaded": mishap, "new_kind": mishap | {"refused": 0}}}))

    assert levels(found)[0][0] == "ok"
    assert "`passthrough`" in found[0].what
    assert levels(found)[1] == (
        "warning",
        "overloaded: 2 refused, 1 passed through since the router's start, "
        "the last at 2026-09-21 14:13:20 UTC: too much to do.",
    )
    assert found[1].remedy is not None
    assert "new_kind: 1 passed through since" in found[2].what
    nothing: list[dict[str, Any]] = [{}, {"mishaps": None}, {"mishaps": {"x": 1}}, {"mishaps": []}]
    for told in nothing:
        (only,) = check_mishaps(Settings(), told)
        assert "`reject`" in only.what


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON for scripts, and the exit code says whether there is a problem."""
    monkeypatch.setattr("llmrouter.cli.doctor.runtimes_here", list)
    ports = [
        "--port",
        str(free_port()),
        "--api-port",
        str(free_port()),
        "--certs",
        str(tmp_path / "certs"),
        "--offline",
    ]
    good = configuration(tmp_path, {"type": "echo"})
    result = CliRunner().invoke(main, ["doctor", *ports, "--config", str(good), "--json"])
    assert result.exit_code == 0
    assert {finding["level"] for finding in json.loads(result.stdout)} == {"ok", "warning"}

    bad = configuration(tmp_path, {"type": "ech"})
    result = CliRunner().invoke(main, ["doctor", *ports, "--config", str(bad)])
    assert result.exit_code == 1
    assert "-> Correct it" in result.output
