"""How a router on this machine is told from whatever else listens there."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmrouter.cli.client_environment import Ports
from llmrouter.cli.running_router import Health, decrypts_with, free_ports, health, status
from llmrouter.proxy.certificate_authority import ensure_ca
from tests.e2e.router_process import free_port
from tests.fakes.provider import CloseBeforeReply, FakeProvider, Status


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Status(200, {"status": "ok", "name": "llmrouter", "version": "1.2", "pid": 7}), Health("1.2", 7)),
        (Status(200, {"name": "another"}), None),
        (Status(404, {"error": "no"}), None),
        (Status(200, b"<html>"), None),
        (CloseBeforeReply(), None),
    ],
)
async def test_health(reply: Any, expected: Health | None) -> None:
    """Only what calls itself a router is one."""
    async with FakeProvider(reply) as fake:
        assert await asyncio.to_thread(health, fake.port) == expected


async def test_status() -> None:
    """What cannot be had is empty, not an error."""
    async with FakeProvider(Status(200, {"totals": {}}), Status(401, {"error": {}})) as fake:
        assert await asyncio.to_thread(status, fake.port) == {"totals": {}}
        assert await asyncio.to_thread(status, fake.port) == {}
    assert await asyncio.to_thread(status, fake.port) == {}


async def test_what_is_no_proxy(tmp_path: Path) -> None:
    """Another server, and nobody at all, are told apart."""
    ca_file = ensure_ca(tmp_path, ["api.openai.com"], datetime.now(UTC)).cert_file
    async with FakeProvider(default=Status(405, b"")) as fake:
        wrong = await asyncio.to_thread(decrypts_with, fake.port, ca_file, "api.openai.com")
    gone = await asyncio.to_thread(decrypts_with, fake.port, ca_file, "api.openai.com")

    assert wrong == "what listens there is no proxy"
    assert gone is not None
    assert "cannot be reached" in gone


async def test_ports_that_are_taken_are_exchanged() -> None:
    async with FakeProvider() as other:
        free = free_port()
        ports = free_ports(Ports(free, other.port))
    assert ports.proxy == free
    assert ports.api not in (other.port, free)
