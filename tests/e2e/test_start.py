"""Starting, refusing to start, listening, reloading."""

import asyncio
import socket
import stat
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import RouterProcess
from tests.fakes.provider import FakeProvider, Status

BODY = {"messages": [{"role": "user", "content": "ping"}]}


def listening_sockets() -> list[tuple[str, int]]:
    """Address (hexadecimal, as the kernel tells it) and port of every listening TCP socket."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    addresses = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [(host, int(port, 16)) for host, port in addresses]


async def ask(router: RouterProcess) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.post(f"{router.api_url}/chat/completions", json=BODY)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "the file is empty"),
        ("- a\n- b\n", "the file holds a list"),
        ("providers:\n\t- type: echo\n", "tabs"),
        ("providers:\n  - type: grok\n", "unknown type"),
        ("providers:\n  - type: echo\n  - type: echo\n", "another provider has the name"),
    ],
)
async def test_a_bad_configuration_ends_the_start(tmp_path: Path, config: str, words: str) -> None:
    """mitmdump ends with an exit code, and one line says where the mistake is."""
    router = RouterProcess(tmp_path, config)
    code = await asyncio.to_thread(router.process.wait, 30)
    (line,) = await asyncio.to_thread(router.wait_for_log, words)
    await asyncio.to_thread(router.stop)

    assert code != 0
    assert "providers.yaml:" in line
    assert "Traceback" not in "\n".join(router.log)


async def test_a_missing_configuration_ends_the_start(tmp_path: Path) -> None:
    """A file that was named must be there."""
    router = RouterProcess(tmp_path, None, options=("--set", f"llmrouter_config={tmp_path / 'none.yaml'}"))
    code = await asyncio.to_thread(router.process.wait, 30)
    await asyncio.to_thread(router.wait_for_log, "none.yaml:1:1:", "there is no such file")
    await asyncio.to_thread(router.stop)

    assert code != 0


async def test_a_provider_that_is_the_router_itself_ends_the_start(tmp_path: Path) -> None:
    """vLLM's usual port is the router's own, and a loop would spend every deadline."""
    config = {"providers": [{"type": "vllm", "model": "m", "base_url": "http://localhost:9/v1"}]}
    router = RouterProcess(tmp_path, config, options=("--listen-port", "9"))
    code = await asyncio.to_thread(router.process.wait, 30)
    await asyncio.to_thread(router.wait_for_log, "Provider vllm has the router's own address")
    await asyncio.to_thread(router.stop)

    assert code != 0


async def test_a_provider_without_its_key_is_left_out(start_router: StartRouter, fake: FakeProvider) -> None:
    """A warning names the variable; the others work."""
    config = routed_to(fake)
    config["providers"].insert(0, {"type": "together", "model": "m", "api_key_env": "NOT_SET"})
    router = await start_router(config)

    assert "NOT_SET is not set" in "\n".join(router.log)
    assert (await ask(router)).headers["x-llmrouter-provider"] == "fake"


async def test_without_a_configuration_everything_is_passed_through(
    start_router: StartRouter, fake_openai: tuple[FakeProvider, tuple[str, ...]]
) -> None:
    """No configuration and no keys: the router says so, and is no more than a proxy."""
    fake_openai[0].default = Status(418, b"from openai")
    router = await start_router(None, options=fake_openai[1])

    assert "everything is passed through to api.openai.com" in "\n".join(router.log)
    assert (await ask(router)).status_code == 418


async def test_without_a_configuration_the_catalog_answers_where_a_key_is_set(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free models stand in for whatever is asked; the providers named must all have them."""
    monkeypatch.setenv("LLMROUTER_PROVIDERS", "groq")
    monkeypatch.setenv("LLMROUTER_GROQ_BASE_URL", fake.base_url)
    monkeypatch.setenv("GROQ_API_KEY", "key-of-groq")
    router = await start_router(None)

    reply = await ask(router)
    assert reply.headers["x-llmrouter-provider"] == "groq"
    assert reply.headers["x-llmrouter-model"] == fake.requests[0].json()["model"]
    assert reply.headers["x-llmrouter-cost-usd"] == "0"
    assert reply.json()["model"] == "gpt-4o-mini"
    assert "No configuration: groq answer with" in "\n".join(router.log)


async def test_an_unknown_provider_in_the_environment_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by the variable's name, with what would be right."""
    monkeypatch.setenv("LLMROUTER_PROVIDERS", "grok")
    router = RouterProcess(tmp_path, None)
    await asyncio.to_thread(router.wait_for_log, "LLMROUTER_PROVIDERS")
    assert await asyncio.to_thread(router.process.wait, 10) == 1
    router.stop()


async def test_it_listens_on_loopback_alone(start_router: StartRouter, fake: FakeProvider) -> None:
    """No port is open to the network, whatever mitmproxy's own default is."""
    router = await start_router(routed_to(fake))
    ours = [(host, port) for host, port in listening_sockets() if port in (router.port, router.api_port)]

    assert sorted(ours) == sorted([("0100007F", router.port), ("0100007F", router.api_port)])


async def test_the_ca_is_kept_across_starts(start_router: StartRouter, fake: FakeProvider, tmp_path: Path) -> None:
    """The second start uses the first one's CA, whose key nobody else can read."""
    certs = tmp_path / "own-certs"
    await start_router(routed_to(fake), certs=certs)
    key_file = certs / "mitmproxy-ca.pem"
    first = key_file.read_bytes()
    await start_router(routed_to(fake), certs=certs)

    assert key_file.read_bytes() == first
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


async def test_the_settings_follow_the_file(start_router: StartRouter, fake: FakeProvider) -> None:
    """A changed file counts within seconds, without a restart; a bad one changes nothing and says why."""
    router = await start_router(routed_to(fake))
    router.write_config("providers: 5\n")
    await asyncio.to_thread(router.wait_for_log, "the earlier ones stay in force")
    assert (await ask(router)).headers["x-llmrouter-provider"] == "fake"

    router.write_config(routed_to(fake, name="renamed"))
    await asyncio.to_thread(router.wait_for_log, "Settings reloaded")
    assert (await ask(router)).headers["x-llmrouter-provider"] == "renamed"


async def test_a_changed_host_gets_a_new_ca(start_router: StartRouter, fake: FakeProvider) -> None:
    """When the intercepted hosts change, the CA is made anew, and the log says to trust it again."""
    router = await start_router(routed_to(fake))
    router.write_config(routed_to(fake) | {"intercept": ["eu.api.openai.com"]})
    await asyncio.to_thread(router.wait_for_log, "the CA was made anew for eu.api.openai.com")
    await asyncio.to_thread(router.wait_for_log, "Settings reloaded")

    async with httpx.AsyncClient(proxy=router.proxy_url, verify=router.tls(), trust_env=False) as client:
        reply = await client.post("https://eu.api.openai.com/v1/chat/completions", json=BODY)
    assert reply.status_code == 200


async def test_a_taken_port_ends_the_start(tmp_path: Path) -> None:
    """A second router on the same ports says so and ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = ("--mode", f"regular@{taken.getsockname()[1]}")
        router = RouterProcess(tmp_path, {"providers": [{"type": "echo"}]}, options=options)
        await asyncio.to_thread(router.wait_for_log, "address already in use")
        code = await asyncio.to_thread(router.process.wait, 30)
        await asyncio.to_thread(router.stop)

    assert code != 0


async def test_a_bad_option_ends_the_start(tmp_path: Path) -> None:
    """mitmproxy alone would go on as a plain proxy."""
    router = RouterProcess(tmp_path, None, options=("--set", "llmrouter_api_port=many"))
    code = await asyncio.to_thread(router.process.wait, 30)
    await asyncio.to_thread(router.stop)

    assert code != 0


async def test_sigterm_ends_it(start_router: StartRouter, fake: FakeProvider) -> None:
    """It ends on SIGTERM, in order, and writes the decisions that wait."""
    router = await start_router(routed_to(fake))
    await ask(router)
    await asyncio.to_thread(router.stop)

    assert router.process.returncode == 0
    assert [line for line in router.log if line.startswith('{"event":"decision"')]
