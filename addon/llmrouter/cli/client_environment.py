"""The environment variables with which programs that know nothing of the router use it and trust its CA.

Which runtime reads which: client reference, tried with each of them. `OPENAI_BASE_URL` and `OPENAI_API_BASE` are set
beside the proxy, for Node 20, openai-node 4 and openai 0.28 ignore it and would go to the real API without a word.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmrouter.proxy.trust_files import ADDING, BUNDLE, CERT, JAVA_PASSWORD, JAVA_STORE

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TO_PROXY = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "GLOBAL_AGENT_HTTP_PROXY")
_REPLACING = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PERL_LWP_SSL_CA_FILE",
    "CARGO_HTTP_CAINFO",
    "CODEX_CA_CERTIFICATE",
)
"""Each of them replaces its program's trust store, so it gets the roots and our CA."""
_DIRECT = ("NO_PROXY", "no_proxy")
_TO_API = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
_JAVA = "JAVA_TOOL_OPTIONS"
_JAVA_NAMES = (
    "https.proxyHost",
    "https.proxyPort",
    "javax.net.ssl.trustStore",
    "javax.net.ssl.trustStoreType",
    "javax.net.ssl.trustStorePassword",
)
_JAVA_OPTION = re.compile(r'(?:"[^"]*"|\S)+')


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a router listens on this machine: the proxy, and the OpenAI API."""

    proxy: int
    api: int


def client_environment(ports: Ports, certs: Path, hosts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What is to be set, by name, in place of what the user has.

    `certs` is the CA's folder, `hosts` are the intercepted ones, `environ` is what is set now: from it come what the
    user wants no proxy for and the other options of Java.
    """
    proxy = f"http://127.0.0.1:{ports.proxy}"
    direct = no_proxy(environ.get("no_proxy") or environ.get("NO_PROXY") or "", hosts)
    api = f"http://127.0.0.1:{ports.api}/v1"
    return {
        **dict.fromkeys(_TO_PROXY, proxy),
        **dict.fromkeys(_DIRECT, direct),
        **dict.fromkeys(_REPLACING, str(certs / BUNDLE)),
        **{name: _added(environ.get(name), certs) for name in ADDING},
        "NODE_USE_ENV_PROXY": "1",
        **dict.fromkeys(_TO_API, api),
        _JAVA: _java_options(environ.get(_JAVA, ""), ports.proxy, certs),
    }


def without_router(ports: Ports, certs: Path, environ: Mapping[str, str]) -> dict[str, str | None]:
    """What undoes `client_environment` where that is set now: None for what is to be unset.

    What the user set since stays, and so do the lists of what needs no proxy. What `client_environment` took the place
    of is not known any more.
    """
    ours = client_environment(ports, certs, (), environ)
    there = [name for name, value in ours.items() if name not in _DIRECT and environ.get(name) == value]
    others = " ".join(_others_of_java(environ.get(_JAVA, "")))
    return {name: (others or None) if name == _JAVA else None for name in there}


def no_proxy(told: str, hosts: Iterable[str]) -> str:
    """The user's list without what covers an intercepted host, and with this machine."""
    names = [entry.strip() for entry in told.split(",") if entry.strip()]
    kept = [name for name in names if not any(_covers(name, host) for host in hosts)]
    return ",".join(dict.fromkeys([*kept, *_LOOPBACK]))


def _added(told: str | None, certs: Path) -> str:
    """Our CA alone; the bundle, which holds it, where the user lets programs trust something else, too."""
    is_theirs = bool(told) and Path(str(told)).parent != certs
    return str(certs / (BUNDLE if is_theirs or told == str(certs / BUNDLE) else CERT))


def _covers(entry: str, host: str) -> bool:
    """Whether a client with this entry goes to the host directly: `*`, the name itself, or a domain above it."""
    name = entry.lower().rpartition("//")[2].partition(":")[0].removeprefix("*").lstrip(".").rstrip(".")
    return entry == "*" or (bool(name) and (host == name or host.endswith(f".{name}")))


def _java_options(told: str, proxy_port: int, certs: Path) -> str:
    """Java reads no proxy from the environment, but options; a later one of a name has the last word."""
    ours = zip(
        _JAVA_NAMES, ("127.0.0.1", str(proxy_port), str(certs / JAVA_STORE), "PKCS12", JAVA_PASSWORD), strict=True
    )
    options = [f'"-D{name}={value}"' if " " in value else f"-D{name}={value}" for name, value in ours]
    return " ".join([*_others_of_java(told), *options])


def _others_of_java(told: str) -> list[str]:
    """The options that are not ours; in this variable Java splits at white space, but not between quotes."""
    options: list[str] = _JAVA_OPTION.findall(told)
    return [option for option in options if option.strip('"')[2:].partition("=")[0] not in _JAVA_NAMES]
