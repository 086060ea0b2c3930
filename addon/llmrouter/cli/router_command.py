"""The command line of a router."""

import sys
from collections.abc import Iterable
from pathlib import Path

from llmrouter.cli.client_environment import Ports

_ADDON = Path(__file__).resolve().parents[2] / "router.py"


def router_command(
    ports: Ports, *, web: bool = False, certs: Path | None = None, options: Iterable[str] = ()
) -> list[str]:
    """The command line of mitmdump or mitmweb with the addon, on loopback."""
    program = Path(sys.executable).with_name("mitmweb" if web else "mitmdump")
    command = [str(program), "-s", str(_ADDON), "--listen-host", "127.0.0.1", "-p", str(ports.proxy)]
    command += ["--set", f"llmrouter_api_port={ports.api}"]
    command += [] if certs is None else ["--set", f"llmrouter_certs={certs}"]
    return [*command, *(["--no-web-open-browser"] if web else ["--set", "flow_detail=0"]), *options]
