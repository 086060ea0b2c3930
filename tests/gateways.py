"""A gateway for tests: real settings, real connections on loopback, and the decisions it publishes."""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.operations import Result
from llmrouter.proxy.runtime import Runtime
from llmrouter.telemetry.decisions import Decision
from llmrouter.telling import tell
from tests.fakes.provider import FakeProvider

_numbers = itertools.count(1)


def provider(name: str, fake: FakeProvider | str, **settings: Any) -> dict[str, Any]:
    """A provider's settings; its one model, `model-of-<name>`, answers for everything unless `models` are given."""
    base_url = fake if isinstance(fake, str) else fake.base_url
    model = {} if "models" in settings else {"model": f"model-of-{name}"}
    return {"name": name, "type": "openai_compatible", "base_url": base_url} | model | settings


@dataclass
class Told:
    """An answer, read to its end."""

    answer: Result
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or "" for event in self.events for choice in event.get("choices", ())
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [line.removeprefix(b"data: ") for line in self.body.split(b"\n\n") if line]
        return [json.loads(line) for line in lines if line != b"[DONE]"]

    @property
    def is_done(self) -> bool:
        return self.body.endswith(b"data: [DONE]\n\n")


async def read(result: Result) -> Told:
    """What the client gets, to its end."""
    if result.frames is None:
        return Told(result, result.body)
    return Told(result, b"".join([frame async for frame in result.frames]))


@dataclass
class GatewayUnderTest:
    runtime: Runtime
    decisions: list[Decision] = field(default_factory=list)

    async def open(
        self,
        *,
        stream: bool = False,
        preferences: Preferences | None = None,
        key: str = "key-of-the-app",
        **body: Any,
    ) -> Result:
        """An answer whose stream is not read yet."""
        whole = {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}], "stream": stream} | body
        call = chat.parse(
            json.dumps(whole).encode(),
            "gpt-4o-mini",
            id=f"req-{next(_numbers)}",
            caller=Caller(SecretStr(f"Bearer {key}"), {"OpenAI-Organization": "org-1"}),
            preferences=preferences or Preferences(),
        )
        return tell(call, await self.runtime.gateway.answer(call))

    async def ask(self, **options: Any) -> Told:
        """An answer, read to its end."""
        return await read(await self.open(**options))

    async def tell(self, call: Call) -> Told:
        """The answer to a call, read to its end."""
        return await read(tell(call, await self.runtime.gateway.answer(call)))

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Provider and outcome of each attempt of the last decision."""
        return [(a.target.split("/")[0], str(a.outcome)) for a in self.decisions[-1].attempts]


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, *providers: dict[str, Any], environ: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[GatewayUnderTest]:
    """A gateway over these providers, tried in this order."""
    ordered = [{"priority": number, **settings} for number, settings in enumerate(providers)]
    file = folder / "providers.yaml"
    defaults = {"logging": {"decisions": "off"}, "storage": {"url": f"sqlite:///{folder}/llmrouter.db"}}
    file.write_text(yaml.safe_dump({"providers": ordered, **defaults, **settings}))
    runtime = Runtime(file, environ or {})
    under_test = GatewayUnderTest(runtime)
    runtime.gateway.observers = [*runtime.gateway.observers, under_test.decisions.append]
    try:
        yield under_test
    finally:
        await runtime.close()
