"""What is set for apps, and how each shell reads it."""

import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmrouter.cli.client_environment import Ports, client_environment, no_proxy, without_router
from llmrouter.cli.shells import Shell, lines_for
from llmrouter.proxy.certificate_authority import ensure_ca
from llmrouter.proxy.trust_files import CERT

HOSTS = ("api.openai.com",)
OURS = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("", OURS),
        ("intern.example, .corp.example", f"intern.example,.corp.example,{OURS}"),
        ("api.openai.com,a.example", f"a.example,{OURS}"),
        (".openai.com", OURS),
        ("*.openai.com:443,openai.com,com", OURS),
        ("*", OURS),
        ("notopenai.com,127.0.0.1", "notopenai.com,127.0.0.1,localhost,::1"),
        ("https://api.openai.com", OURS),
    ],
)
def test_no_proxy(told: str, kept: str) -> None:
    """The user's own stays, but for what would lead past the router."""
    assert no_proxy(told, HOSTS) == kept


def test_what_replaces_the_roots_gets_them_and_what_adds_does_not(tmp_path: Path) -> None:
    told = client_environment(Ports(8080, 8000), tmp_path, HOSTS, {})
    bundle, ca = str(tmp_path / "ca-bundle.pem"), str(tmp_path / "mitmproxy-ca-cert.pem")

    assert {told[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")} == {bundle}
    assert {told[name] for name in ("NODE_EXTRA_CA_CERTS", "DENO_CERT")} == {ca}
    assert told["OPENAI_BASE_URL"] == told["OPENAI_API_BASE"] == "http://127.0.0.1:8000/v1"


def test_a_ca_of_the_users_company_stays_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Node.js has one variable for such; ours takes its place, and holds both."""
    (tmp_path / "company.pem").write_bytes(b"ca of a company")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "company.pem"))
    ensure_ca(tmp_path / "certs", HOSTS, datetime.now(UTC))
    told = client_environment(Ports(1, 2), tmp_path / "certs", HOSTS, os.environ)
    content = Path(told["NODE_EXTRA_CA_CERTS"]).read_bytes()

    assert b"ca of a company\n-----BEGIN" in content
    assert (tmp_path / "certs" / CERT).read_bytes() in content
    assert client_environment(Ports(1, 2), tmp_path / "certs", HOSTS, told) == told


def test_options_of_java_are_kept_and_not_doubled(tmp_path: Path) -> None:
    """Taking the lines over twice changes nothing."""
    once = client_environment(Ports(1, 2), tmp_path, HOSTS, {"JAVA_TOOL_OPTIONS": "-Xmx1g -Dhttps.proxyPort=3128"})
    twice = client_environment(Ports(1, 2), tmp_path, HOSTS, once)

    assert once["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1 ")
    assert twice == once


def test_options_of_java_in_a_folder_with_a_space(tmp_path: Path) -> None:
    once = client_environment(Ports(1, 2), tmp_path / "a b", HOSTS, {"JAVA_TOOL_OPTIONS": '-Da="b c"'})
    assert once["JAVA_TOOL_OPTIONS"].startswith('-Da="b c" -Dhttps.proxyHost=127.0.0.1 ')
    assert client_environment(Ports(1, 2), tmp_path / "a b", HOSTS, once) == once


def test_what_was_set_is_taken_back_and_nothing_else(tmp_path: Path) -> None:
    users = {"JAVA_TOOL_OPTIONS": "-Xmx1g", "HOME": "/home/somebody"}
    there = users | client_environment(Ports(1, 2), tmp_path, HOSTS, users)
    there["REQUESTS_CA_BUNDLE"] = "/their/own.pem"
    undoing = without_router(Ports(1, 2), tmp_path, there)
    left = {name: value for name, value in (there | undoing).items() if value is not None}
    assert left == users | {"REQUESTS_CA_BUNDLE": "/their/own.pem", "NO_PROXY": OURS, "no_proxy": OURS}
    assert without_router(Ports(1, 2), tmp_path, left) == {}
    only_ours = client_environment(Ports(1, 2), tmp_path, HOSTS, {})
    assert without_router(Ports(1, 2), tmp_path, only_ours)["JAVA_TOOL_OPTIONS"] is None


def test_a_shell_steps_around_the_router_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    """A configuration that cannot be read is in nobody's way then."""
    (tmp_path / "bad.yaml").write_text("providers: 5\n")
    named = f"llmrouter env --shell sh --certs {shlex.quote(str(tmp_path / 'certs'))}"
    script = f"""
        eval "$({named})"
        LLMROUTER_CONFIG={shlex.quote(str(tmp_path / "bad.yaml"))}
        export LLMROUTER_CONFIG
        eval "$({named} --unset)"
        env
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLMROUTER", "GROQ"))}
    environ = kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert "LLMROUTER_CONFIG" in done.stdout
    assert "127.0.0.1:8" not in done.stdout
    assert str(tmp_path / "certs") not in done.stdout


AWKWARD = {"A": 'it\'s "two" $HOME `x` \\ words', "B": ""}


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "dash"])
def test_lines_for_sh(shell: str) -> None:
    """Whatever a path holds, the shell sets just that."""
    program = shutil.which(shell)
    assert program is not None, f"the tests need {shell}"
    lines = "\n".join(lines_for(Shell.SH, AWKWARD))
    done = subprocess.run([program, "-c", f'{lines}\nprintf \'%s|%s\' "$A" "$B"'], capture_output=True, text=True)
    assert done.stdout == f"{AWKWARD['A']}|"


def test_lines_for_other_shells() -> None:
    assert lines_for(Shell.FISH, {"A": "it's \\"}) == ["set -gx A 'it\\'s \\\\'"]
    assert lines_for(Shell.POWERSHELL, {"A": "it's"}) == ["$Env:A = 'it''s'"]
    assert lines_for(Shell.FISH, {"A": None}) == ["set -e A"]
    assert lines_for(Shell.POWERSHELL, {"A": None}) == ["Remove-Item Env:A"]
