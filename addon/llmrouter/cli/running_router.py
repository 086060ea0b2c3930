"""A router that runs on this machine: whether one does, whether its CA is ours, and what it has counted."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from llmrouter.cli.client_environment import Ports

_TIMEOUT_S = 2.0
_NAME = "llmrouter"
_HEALTH = "/llmrouter/health"


@dataclass(frozen=True, slots=True)
class Health:
    """What a router says of itself; None where it does not."""

    version: str | None
    pid: int | None


def health(api_port: int) -> Health | None:
    """Who listens at the API port, None unless it is a router of ours."""
    try:
        reply = _get(api_port, _HEALTH)
    except httpx.HTTPError:
        return None
    told = _json(reply)
    if reply.status_code == httpx.codes.OK and told.get("name") == _NAME:
        version, pid = told.get("version"), told.get("pid")
        return Health(str(version) if version else None, pid if isinstance(pid, int) else None)
    return None


def status(api_port: int) -> Mapping[str, Any]:
    """What the router at the API port has counted since it started; empty where it does not tell."""
    try:
        reply = _get(api_port, "/llmrouter/api/status")
    except httpx.HTTPError:
        return {}
    return _json(reply) if reply.status_code == httpx.codes.OK else {}


def decrypts_with(proxy_port: int, ca_file: Path, host: str) -> str | None:
    """None where the proxy shows a certificate for the host that this CA signed, else in words what is wrong.

    Nothing is sent to the host: the proxy connects to it only when there is a request.
    """
    try:
        trusting = ssl.create_default_context(cafile=str(ca_file))
        with socket.create_connection(("127.0.0.1", proxy_port), timeout=_TIMEOUT_S) as connection:
            connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode("ascii"))
            if b" 200 " not in _head(connection).partition(b"\r\n")[0]:
                return "what listens there is no proxy"
            with trusting.wrap_socket(connection, server_hostname=host):
                return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate for {host} is not from this CA ({error.verify_message})"
    except OSError as error:
        return f"it cannot be reached ({error.strerror or type(error).__name__})"


def is_free(port: int) -> bool:
    """Whether a router could listen at a port of loopback."""
    with socket.socket() as probe:
        # As servers do: a connection that ended a moment ago is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(wanted: Ports) -> Ports:
    """The wanted ports as far as they are free, others in place of the rest."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        spare_proxy, spare_api = one.getsockname()[1], other.getsockname()[1]
    return Ports(
        wanted.proxy if is_free(wanted.proxy) else spare_proxy, wanted.api if is_free(wanted.api) else spare_api
    )


def _get(api_port: int, path: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=_TIMEOUT_S, follow_redirects=False) as client:
        return client.get(f"http://127.0.0.1:{api_port}{path}")


def _json(reply: httpx.Response) -> dict[str, Any]:
    try:
        told = reply.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
        head += piece
    return head
