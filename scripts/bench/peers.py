"""Other gateways beside the router: the same stub, the same request, the same counting."""

import os
import secrets
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.bench.load import Asked, Direct
from scripts.bench.measuring import Side, block
from scripts.bench.processes import Program, free_port, run, wait_for_port

LITELLM_CONFIG = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/stub, api_base: "http://127.0.0.1:{port}/v1", api_key: key-of-stub}}
"""
# Without one it does not start.
_LITELLM_KEY = f"sk-{secrets.token_hex(32)}"


@dataclass(frozen=True)
class PeerResult:
    """CPU in milliseconds per routed request, and the highest ratio that is good enough."""

    name: str
    ours_ms: float
    peer_ms: float
    ratio: float
    bar: float


@dataclass(frozen=True)
class Peer:
    """How a peer is started, how it wants to be asked, and the ratio of our CPU to its that is to be kept."""

    start: Callable[[Path, int], Program | None]
    bar: float
    key: str = "key-of-app"
    headers: Callable[[int], tuple[str, ...]] = lambda _: ()


def _start_litellm(folder: Path, stub_port: int) -> Program | None:
    if (command := _command("litellm")) is None:
        return None
    file, port = folder / "litellm.yaml", free_port()
    file.write_text(LITELLM_CONFIG.format(port=stub_port))
    arguments = [command, "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environ = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environ["LITELLM_MASTER_KEY"] = _LITELLM_KEY
    return _serving(arguments, port, environ)


def _start_portkey(_: Path, stub_port: int) -> Program | None:
    if (command := _command("portkey")) is None:
        return None
    port = free_port()
    return _serving([*command.split(), f"--port={port}", "--headless"], port, {"NODE_ENV": "production"})


def _serving(arguments: list[str], port: int, environ: dict[str, str]) -> Program:
    program = run(arguments, environ)
    program.api = port
    try:
        wait_for_port(program, port)
    except RuntimeError:
        program.stop()
        raise
    return program


def _command(name: str) -> str | None:
    """The command of a peer: what LLMROUTER_BENCH_LITELLM or the like says, else a program of its name."""
    return os.environ.get(f"LLMROUTER_BENCH_{name.upper()}") or shutil.which(name)


PEERS = {
    "litellm": Peer(_start_litellm, 0.08, key=_LITELLM_KEY),
    "portkey": Peer(
        _start_portkey,
        1.0,
        headers=lambda port: ("x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{port}/v1"),
    ),
}


def compare_peer(
    name: str, router: Program, asked: Asked, stub_port: int, folder: Path, *, requests: int, clients: int
) -> PeerResult | None:
    """A peer beside the router, in short blocks by turns; None where it is not installed."""
    peer = PEERS[name]
    if (program := peer.start(folder, stub_port)) is None:
        return None
    try:
        ours = Side(router, Direct(router.api), asked)
        theirs = Side(program, Direct(program.api), replace(asked, key=peer.key, headers=peer.headers(stub_port)))
        rounds, each = 6, max(clients, requests // 12 // clients * clients)
        used = [(block(ours, each, clients)[0], block(theirs, each, clients)[0]) for _ in range(rounds)][1:]
    finally:
        program.stop()
    return PeerResult(
        name,
        ours_ms=statistics.median(mine for mine, _ in used),
        peer_ms=statistics.median(other for _, other in used),
        ratio=statistics.median(mine / other for mine, other in used),
        bar=peer.bar,
    )
