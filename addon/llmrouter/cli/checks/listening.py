"""The ports: a router of ours, free, or somebody else's; and what the shell says of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from llmrouter.cli.checks.finding import Finding, ok, problem, warning
from llmrouter.cli.client_environment import Ports, no_proxy
from llmrouter.cli.running_router import decrypts_with, health, is_free
from llmrouter.proxy.trust_files import CERT

_OTHER_PORTS = "Stop what listens there, or choose others: llmrouter serve --port 8081 --api-port 8001"


def check_ports(ports: Ports, certs: Path, host: str) -> Iterator[Finding]:
    """Who listens at both ports."""
    router = health(ports.api)
    if router is not None:
        version = f" {router.version}" if router.version else ""
        yield ok("ports", f"llmrouter{version} answers at http://127.0.0.1:{ports.api}.")
        yield _proxy(ports, certs, host)
        return
    for port, what in ((ports.proxy, "proxy"), (ports.api, "API")):
        if is_free(port):
            yield ok("ports", f"Port {port} is free for the {what}; no router runs there.")
        else:
            yield problem("ports", f"Port {port} is taken by another program.", _OTHER_PORTS)


def _proxy(ports: Ports, certs: Path, host: str) -> Finding:
    wrong = decrypts_with(ports.proxy, certs / CERT, host)
    if wrong is None:
        return ok("ports", f"The proxy at port {ports.proxy} shows certificates of this CA for {host}.")
    remedy = "Restart the router, or name its folder and ports: llmrouter doctor --certs DIR --port N"
    return problem("ports", f"The proxy at port {ports.proxy} is of no use: {wrong}.", remedy)


def check_shell(ports: Ports, hosts: Sequence[str], environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is set in this shell and keeps programs from the router, or from each other."""
    told = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    left = [name.strip() for name in told.split(",") if name.strip()]
    kept = no_proxy(told, hosts).split(",")
    if away := [name for name in left if name not in kept]:
        text = f"NO_PROXY holds {', '.join(away)}, so programs in this shell go past the router."
        yield warning("shell", text, "Take it out, or take over what `llmrouter env` prints.")
    for name in ("NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY"):
        if environ.get(name) == "0":
            text = f"{name}=0 turns verification off: anybody on the way could answer."
            yield problem("shell", text, f"unset {name}; `llmrouter env` makes it needless.")
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    if proxy is None:
        return
    if proxy.rstrip("/").endswith((f"127.0.0.1:{ports.proxy}", f"localhost:{ports.proxy}")):
        yield ok("shell", "HTTPS_PROXY is the router's.")
    else:
        yield warning("shell", "HTTPS_PROXY is another proxy; the router goes to providers without it.")
