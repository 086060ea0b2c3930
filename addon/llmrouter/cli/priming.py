"""`llmrouter cache prime`: asks a running router a file of requests, so that it knows the answers later."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx

from llmrouter.cli.own_configuration import json_option
from llmrouter.cli.progress import steps

_WORDS = {
    "miss": "asked and kept where the answer was good",
    "hit": "known before",
    "bypass": "not to be kept (`cache.when`)",
    "dear": "left out: dearer than what is left of the ceiling",
    "failed": "failed",
}
_TIMEOUT_S = 600.0
_LEAST_USD = 1e-7
_CALLER = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}
"""As openai-python 3.54 reads them (`_client.py`)."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--base-url", default="http://127.0.0.1:8000/v1", show_default=True, help="The running router's API.")
@click.option("--api-key-env", default="OPENAI_API_KEY", show_default=True, help="The variable with the app's own key.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Requests at a time.")
@click.option("--max-usd", type=click.FloatRange(0, min_open=True), help="Ends when so many dollars are spent.")
@json_option
def prime(file: Path, base_url: str, api_key_env: str, concurrency: int, max_usd: float | None, as_json: bool) -> None:
    """Asks a running router all requests in FILE.

    FILE holds one request body of a chat completion in each line, or it is a file of flows that mitmproxy recorded.
    Answers are kept for the caller whose key is sent, which must be the app's. With --max-usd a request goes only to
    targets whose price is known and fits what is left.
    """
    try:
        bodies = list(_read(file))
    except ValueError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    priming = _Priming(base_url.rstrip("/"), _headers(api_key_env), max_usd, concurrency)
    with steps(len(bodies), "Priming") as step:
        asyncio.run(priming.run(bodies, lambda: step("")))
    _report(priming, as_json=as_json)
    for problem in priming.problems:
        click.echo(problem, err=True)
    sys.exit(1 if priming.counts["failed"] else 0)


def _report(priming: "_Priming", *, as_json: bool) -> None:
    if as_json:
        spent = {"spent_usd": priming.spent_usd, "has_unknown_cost": priming.has_unknown_cost}
        click.echo(json.dumps({kind: priming.counts[kind] for kind in _WORDS} | spent, indent=2))
        return
    for kind, words in _WORDS.items():
        if priming.counts[kind]:
            click.echo(f"{priming.counts[kind]} {words}")
    click.echo(f"Spent: ${priming.spent_usd:.6f}" + (" and what is not known" if priming.has_unknown_cost else ""))


def _headers(api_key_env: str) -> dict[str, str]:
    """Who asks, as OpenAI's SDKs say it: answers are kept for each credential, organisation and project apart."""
    told = {name: os.environ.get(variable, "").strip() for name, variable in _CALLER.items()}
    key = os.environ.get(api_key_env, "").strip()
    return {name: value for name, value in told.items() if value} | ({"authorization": f"Bearer {key}"} if key else {})


def _read(file: Path) -> Iterator[dict[str, Any]]:
    """The requests in a file of either kind; raises `ValueError`."""
    with file.open("rb") as opened:
        start = opened.read(1)
    # Lines of JSON begin with a bracket; mitmproxy's flows with the length of a netstring.
    if start.isdigit():
        # It imports mitmproxy, which takes a second.
        from llmrouter.proxy.recorded_requests import recorded_requests

        yield from recorded_requests(file)
        return
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                body = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{file}:{number}: this is no JSON: {error}") from error
            if not isinstance(body, dict) or "messages" not in body:
                raise ValueError(f"{file}:{number}: a request body with `messages` is needed, as one line of JSON")
            yield body


@dataclass
class _Priming:
    base_url: str
    headers: dict[str, str]
    max_usd: float | None
    concurrency: int
    counts: Counter[str] = field(default_factory=Counter)
    spent_usd: float = 0.0
    reserved_usd: float = 0.0
    has_unknown_cost: bool = False
    problems: list[str] = field(default_factory=list)

    async def run(self, bodies: Iterable[dict[str, Any]], done: Any) -> None:
        """Asks all of them, so many at a time."""
        waiting = iter(bodies)

        async def work(client: httpx.AsyncClient) -> None:
            for body in waiting:
                kind = await self._ask(client, body)
                self.counts[kind] += 1
                done()

        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            await asyncio.gather(*(work(client) for _ in range(self.concurrency)))

    async def _ask(self, client: httpx.AsyncClient, body: dict[str, Any]) -> str:
        """What became of a request; its share of the ceiling is taken before, and given back but for what it cost."""
        if self.max_usd is None:
            return await self._send(client, body, {})
        left_usd = self.max_usd - self.spent_usd - self.reserved_usd
        # Each of those that may be under way has its part; what is less than a cent's thousandth is nothing.
        share_usd = left_usd / self.concurrency
        if share_usd < _LEAST_USD:
            return "dear"
        self.reserved_usd += share_usd
        try:
            return await self._send(client, body, {"x-llmrouter-max-cost-usd": f"{share_usd:.10f}"})
        finally:
            self.reserved_usd -= share_usd

    async def _send(self, client: httpx.AsyncClient, body: dict[str, Any], more: dict[str, str]) -> str:
        plain = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
        headers = self.headers | more
        try:
            reply = await client.post(f"{self.base_url}/chat/completions", json=plain, headers=headers)
        except httpx.HTTPError as error:
            self.has_unknown_cost = self.has_unknown_cost or not isinstance(error, httpx.ConnectError)
            return self._failed(f"{self.base_url} cannot be reached: {type(error).__name__}. Is the router running?")
        kind = reply.headers.get("x-llmrouter-cache")
        if reply.status_code != 200:
            if more and "the client allows $" in reply.text:
                return "dear"
            return self._failed(f"HTTP {reply.status_code}: {reply.text[:300]}")
        if kind not in _WORDS:
            return self._failed(f"{self.base_url} is no llmrouter, or passed the request through.")
        if (cost := reply.headers.get("x-llmrouter-cost-usd")) is None:
            self.has_unknown_cost = True
        else:
            self.spent_usd += float(cost)
        return str(kind)

    def _failed(self, problem: str) -> str:
        if problem not in self.problems and len(self.problems) < 10:
            self.problems.append(problem)
        return "failed"
