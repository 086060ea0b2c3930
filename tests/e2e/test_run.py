"""`llmrouter run` and `llmrouter env`: programs that know nothing of the router reach it, in many languages."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.programs import Program, installed
from tests.e2e.conftest import routed_to
from tests.e2e.router_process import REPOSITORY, RouterProcess, free_port, running_router
from tests.fakes.provider import Answer, FakeProvider

LLMROUTER = [sys.executable, "-c", "from llmrouter.cli.main import main; main()"]
PROGRAMS = {program.name: program for program in installed()}
SAID = "hello from the fake"
APP = REPOSITORY / "tests" / "clients" / "openai_sdk.py"


def environ() -> dict[str, str]:
    """A shell's, with nothing of a proxy; the sources are those of this tree."""
    own = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return own | {
        "OPENAI_API_KEY": "key-of-the-app",
        "GROQ_API_KEY": "key-of-groq",
        "PYTHONPATH": str(REPOSITORY / "addon"),
    }


def config_of(fake: FakeProvider, folder: Path) -> dict[str, Any]:
    """One provider, and state that no other test knows."""
    price = {"input": 1_000_000, "output": 0}
    models = [{"id": "fake-model", "serves": ["*"], "price": price}]
    return routed_to(fake) | {
        "providers": [{"name": "fake", "type": "groq", "base_url": fake.base_url, "models": models}],
        "storage": {"url": f"sqlite:///{folder}/state.db"},
    }


async def llmrouter(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    command = [*LLMROUTER, *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, env=env or environ(), capture_output=True, text=True, timeout=60
    )


async def test_an_app_with_a_router_of_its_own(tmp_path: Path) -> None:
    """The router starts, the app is answered, its exit code is ours, the sums are right, and nothing runs on."""
    async with FakeProvider(default=Answer(SAID)) as fake:
        config, log = tmp_path / "providers.yaml", tmp_path / "run.log"
        config.write_text(yaml.safe_dump(config_of(fake, tmp_path)))
        ports = ["--port", str(free_port()), "--api-port", str(free_port())]
        app = tmp_path / "app.py"
        app.write_text(APP.read_text() + "\nraise SystemExit(3)\n")
        options: list[str | Path] = [*ports, "--certs", tmp_path / "certs", "--config", config, "--log", log, "--json"]
        done = await llmrouter("run", *options, "--", sys.executable, app)

    assert (done.returncode, done.stdout.splitlines()) == (3, [SAID] * 3), done.stderr
    totals = json.loads(done.stderr.splitlines()[-1])
    assert (totals["requests"], totals["by_provider"]) == (3, {"fake": 3})
    assert totals["cost_usd"] > 0
    assert len(fake.requests) == 3
    assert not (tmp_path / "state").exists()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(ports[3]))


async def test_a_router_that_does_not_start(tmp_path: Path) -> None:
    """The command is not run, and the reason is told."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("providers:\n  - type: ech\n")
    touched = tmp_path / "touched"
    done = await llmrouter("run", "--config", bad, "--certs", tmp_path / "certs", "--", "touch", touched)

    assert done.returncode == 125
    assert "did you mean echo?" in done.stderr
    assert not touched.exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def port_of_fake() -> int:
    return free_port()


@pytest.fixture(scope="module")
def router(folder: Path, port_of_fake: int) -> Iterator[RouterProcess]:
    """One router for all programs; what it asks listens for each test anew."""
    provider = {"name": "fake", "type": "groq", "base_url": f"http://127.0.0.1:{port_of_fake}/v1", "model": "m"}
    config = {"providers": [provider], "storage": {"url": f"sqlite:///{folder}/state.db"}}
    with running_router(folder, config) as running:
        yield running


def options_of(router: RouterProcess) -> list[str | Path]:
    return ["--port", str(router.port), "--api-port", str(router.api_port), "--certs", router.certs]


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program(name: str, router: RouterProcess, port_of_fake: int) -> None:
    """With all of the variables, and without the base URLs, through the proxy with the CA alone."""
    program: Program = PROGRAMS[name]
    told = json.loads((await llmrouter("env", *options_of(router), "--json")).stdout)
    async with FakeProvider(default=Answer(SAID), port=port_of_fake) as fake:
        for kind, variables in program.environments(told).items():
            done = await asyncio.to_thread(
                subprocess.run, program.command, env=environ() | variables, capture_output=True, text=True, timeout=60
            )
            assert SAID in done.stdout, f"{kind}: {done.stdout}{done.stderr}"
        assert fake.requests


async def test_a_router_that_runs_is_used(router: RouterProcess, port_of_fake: int) -> None:
    """And it runs on afterwards; the app's own wishes for its proxy are kept where they do not bypass the router."""
    own = environ() | {"NO_PROXY": "intern.example,.openai.com"}
    show = "import os; print(os.environ['HTTPS_PROXY'], os.environ['OPENAI_BASE_URL'], os.environ['no_proxy'])"
    done = await llmrouter("run", *options_of(router), "--", sys.executable, "-c", show, env=own)

    assert done.stdout.split() == [router.proxy_url, router.api_url, "intern.example,localhost,127.0.0.1,::1"]
    assert done.returncode == 0
    assert router.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_go_to_the_app(router: RouterProcess, number: int) -> None:
    """It may end as it likes; one that does not take the signal dies of it, and the exit code says so."""
    at_default = f"import signal; signal.signal({number}, signal.SIG_DFL)\n"
    app = at_default + "import time; print('ready', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", at_default + LLMROUTER[-1], "run", *map(str, options_of(router))]
    process = await asyncio.to_thread(
        subprocess.Popen,
        [*command, "--", sys.executable, "-c", app],
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    process.send_signal(number)
    _, errors = await asyncio.to_thread(process.communicate, timeout=30)

    assert process.returncode == 128 + number, errors


async def test_ctrl_c_reaches_the_app_once(router: RouterProcess) -> None:
    """The terminal sends it to both, and the app decides what becomes of it."""
    # Python goes on sleeping after a signal that is handled.
    app = (
        "import signal, time; taken = []; signal.signal(signal.SIGINT, lambda *_: taken.append(1))\n"
        "print('ready', flush=True); time.sleep(1); print('times', len(taken)); raise SystemExit(5)"
    )
    script = str(REPOSITORY / "tests" / "e2e" / "at_terminal.py")
    command = [
        sys.executable,
        script,
        *LLMROUTER,
        "run",
        *map(str, options_of(router)),
        "--",
        sys.executable,
        "-c",
        app,
    ]
    done = await asyncio.to_thread(subprocess.run, command, env=environ(), capture_output=True, text=True, timeout=60)

    assert "times 1" in done.stdout
    assert done.returncode == 5


async def test_commands_that_cannot_be_run(router: RouterProcess, folder: Path) -> None:
    """As a shell has it: 127 and 126."""
    (folder / "text").write_text("no program")
    missing = await llmrouter("run", *options_of(router), "--", folder / "nothing")
    not_executable = await llmrouter("run", *options_of(router), "--", folder / "text")

    assert (missing.returncode, not_executable.returncode) == (127, 126)


@pytest.mark.parametrize(("name", "words"), [("curl", "The client 'curl/"), ("urllib", "does not tell its name")])
async def test_a_client_that_does_not_trust_the_ca_is_named(name: str, words: str, router: RouterProcess) -> None:
    """With what helps it, in the router's log."""
    proxy_alone = environ() | {"HTTPS_PROXY": router.proxy_url}
    done = await asyncio.to_thread(
        subprocess.run, PROGRAMS[name].command, env=proxy_alone, capture_output=True, text=True, timeout=60
    )
    (line,) = await asyncio.to_thread(router.wait_for_log, words, "does not trust the router's CA for api.openai.com")

    assert done.returncode != 0
    assert "llmrouter run -- COMMAND" in line
