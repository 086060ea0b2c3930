"""`llmrouter ca`; the system's own tools are stand-ins that write down how they were called."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmrouter.cli.main import main
from llmrouter.cli.system_store import system_store
from llmrouter.proxy.certificate_authority import ensure_ca
from llmrouter.proxy.trust_files import BUNDLE, CERT

HOST = "api.openai.com"


@pytest.fixture
def certs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CA, in a shell without a configuration."""
    monkeypatch.setenv("LLMROUTER_CONFIG", str(tmp_path / "providers.yaml"))
    (tmp_path / "providers.yaml").write_text("providers: [{type: echo}]\n")
    ensure_ca(tmp_path / "certs", [HOST], datetime.now(UTC))
    return tmp_path / "certs"


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only programs that there are, and the file in which they write what they were told."""
    tools, calls = tmp_path / "tools", tmp_path / "calls"
    tools.mkdir()
    for name in ("sudo", "install", "rm", "update-ca-certificates"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def invoke(*arguments: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["ca", *map(str, arguments)], input=answer)


def test_show(certs: Path) -> None:
    told = json.loads(invoke("show", "--certs", certs, "--json").output)

    assert told["allowed_hosts"] == [HOST]
    assert told["made_by_llmrouter"] is True
    assert told["in_system_store"] is False
    assert f"{HOST} and nothing else" in invoke("show", "--certs", certs).output


def test_show_where_there_is_none(tmp_path: Path) -> None:
    """It says how one comes about."""
    result = invoke("show", "--certs", tmp_path)
    assert (result.exit_code, "serve" in result.output) == (1, True)


def test_install_asks_first(certs: Path, called: Path) -> None:
    """What will be run is shown; no is no."""
    refused = invoke("install", "--certs", certs, answer="n\n")
    assert refused.exit_code == 1
    assert "update-ca-certificates" in refused.output
    assert not called.exists()


def test_install_and_uninstall(certs: Path, called: Path) -> None:
    """The certificate alone goes where the system wants it, and is taken away from there."""
    place = "/usr/local/share/ca-certificates/llmrouter.crt"
    assert invoke("install", "--certs", certs, "--yes").exit_code == 0
    assert invoke("uninstall", "--certs", certs, answer="y\n").exit_code == 0
    assert called.read_text().splitlines() == [
        f"install -D -m 644 {certs / CERT} {place}",
        "update-ca-certificates",
        f"rm -f {place}",
        "update-ca-certificates --fresh",
    ]


def test_a_tool_that_fails(certs: Path, called: Path, tmp_path: Path) -> None:
    """Nothing is claimed that did not happen, and what comes after is not done."""
    (tmp_path / "tools" / "install").write_text("#!/bin/sh\nexit 4\n")
    result = invoke("install", "--certs", certs, "--yes")

    assert result.exit_code == 1
    assert "exit code 4" in result.output
    assert not called.exists()


@pytest.mark.parametrize(
    ("platform", "tool", "first"),
    [("linux", "trust", "trust"), ("linux", "update-ca-certificates", "install"), ("darwin", "security", "security")],
)
def test_each_system_has_its_tools(platform: str, tool: str, first: str) -> None:
    store = system_store(Path("/c.pem"), platform, lambda name: name if name == tool else None)
    assert store is not None
    assert store.install[0][0] == first
    assert "/c.pem" in store.install[0]


def test_a_system_that_nobody_knows() -> None:
    assert system_store(Path("/c.pem"), "plan9", lambda name: None) is None


def test_rotate(certs: Path) -> None:
    """Another key, the same hosts, and the bundle knows it."""
    before = (certs / CERT).read_bytes()
    assert invoke("rotate", "--certs", certs, answer="n\n").exit_code == 1
    assert (certs / CERT).read_bytes() == before

    assert invoke("rotate", "--certs", certs, "--yes").exit_code == 0
    after = (certs / CERT).read_bytes()
    assert after != before
    assert after in (certs / BUNDLE).read_bytes()
    assert before not in (certs / BUNDLE).read_bytes()


def test_rotate_leaves_a_ca_of_the_user_alone(certs: Path) -> None:
    (certs / "mitmproxy-ca.pem").write_text("something else")
    result = invoke("rotate", "--certs", certs, "--yes")
    assert result.exit_code == 1
    assert (certs / "mitmproxy-ca.pem").read_text() == "something else"
