"""What is set for apps, and how each shell reads it."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmrouter.cli.client_environment import Ports, client_environment, no_proxy
from llmrouter.cli.shells import Shell, lines_for
from llmrouter.proxy.certificate_authority import ensure_ca
from llmrouter.proxy.trust_bundle import CERT

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
