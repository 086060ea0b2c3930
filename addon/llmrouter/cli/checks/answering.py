"""Each provider: whether it answers a question for its models, which uses no tokens, or, if asked to, one token."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from llmrouter.calls import Caller, Preferences
from llmrouter.cli.checks.finding import Finding, ok, problem, warning
from llmrouter.clock import Clock
from llmrouter.discovery.probes import probe_client, probe_headers, probed
from llmrouter.endpoints import chat
from llmrouter.errors import AttemptFailed
from llmrouter.targets import Target
from llmrouter.transports import Attempt, HttpTransport
from llmrouter.upstream import Upstream

_MOST_AT_ONCE = 8
_PATIENCE_S = 30.0
_SKEW_S = 60.0
_NO_LIST = (404, 405, 501)
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking a provider; `clock_ahead_s` is by how much this machine's clock is ahead of its own."""

    finding: Finding
    clock_ahead_s: float | None = None


async def ask_all(targets: Iterable[Target], *, deep: bool, heard: Callable[[str], None]) -> list[Heard]:
    """Asks each provider with a key of the router's own, some at a time; `heard` gets its name as it is done."""
    providers = probed(targets)
    places = asyncio.Semaphore(_MOST_AT_ONCE)
    upstream, clock = Upstream(), Clock()

    async def ask(client: httpx.AsyncClient, name: str, target: Target) -> list[Heard]:
        async with places:
            found = [await _list_models(client, target, clock)]
            if deep and found[0].finding.level != "problem":
                found.append(await _one_token(HttpTransport(upstream, clock), target, clock))
        heard(name)
        return found

    try:
        async with probe_client() as client:
            rows = await asyncio.gather(*(ask(client, name, models[0]) for name, models in providers.items()))
    finally:
        await upstream.close()
    return [one for row in rows for one in row]


def check_clock(heard: Iterable[Heard]) -> Iterable[Finding]:
    """This machine's clock against those of the providers, by the one in the middle."""
    ahead = sorted(one.clock_ahead_s for one in heard if one.clock_ahead_s is not None)
    if not ahead:
        return
    middle_s = ahead[len(ahead) // 2]
    if abs(middle_s) < _SKEW_S:
        yield ok("clock", f"It agrees with the providers' to {abs(middle_s):.0f} s.")
        return
    way = "ahead of" if middle_s > 0 else "behind"
    text = f"It is {abs(middle_s):.0f} s {way} the providers': certificates and daily limits would be judged wrongly."
    yield problem("clock", text, "Turn time synchronisation on, such as: timedatectl set-ntp true")


async def _list_models(client: httpx.AsyncClient, target: Target, clock: Clock) -> Heard:
    about, began = f"provider {target.provider}", clock.monotonic()
    try:
        address = f"{target.base_url.rstrip('/')}/models"
        async with client.stream("GET", address, headers=probe_headers(target)) as reply:
            status, date = reply.status_code, reply.headers.get("date")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # Only its kind: httpx quotes a header that cannot be sent, and one of them holds the key.
        text = f"{urlsplit(target.base_url).hostname} cannot be reached ({type(error).__name__})."
        return Heard(problem(about, text, "Is the network there, and `base_url` right? The others answer meanwhile."))
    return Heard(_judge(about, target, status, clock.monotonic() - began), _ahead(date, clock.wall()))


def _judge(about: str, target: Target, status: int, seconds: float) -> Finding:
    if status in _REFUSED:
        name = target.brand.key_env or "its key"
        return problem(about, f"It refuses the key (HTTP {status}).", f"Make a new one and set {name}.")
    if status in _NO_LIST:
        return ok(about, f"It is there, and has no list of models (HTTP {status}); --deep asks for a token.")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return warning(about, "It is there, and its limit is used up for now (HTTP 429).")
    if status >= httpx.codes.BAD_REQUEST:
        return problem(about, f"It answers HTTP {status}.", "The others answer until it is well again.")
    return ok(about, f"It answers in {seconds * 1000:.0f} ms.")


async def _one_token(transport: HttpTransport, target: Target, clock: Clock) -> Heard:
    about, began = f"model {target.key}", clock.monotonic()
    body = {"model": target.model, "max_tokens": 1, "messages": [{"role": "user", "content": "ping"}]}
    call = chat.parse(json.dumps(body).encode(), target.model, id="doctor", caller=Caller(), preferences=Preferences())
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await transport.complete(call, Attempt(target, began, began + _PATIENCE_S))
    except TimeoutError:
        return Heard(problem(about, f"It said nothing within {_PATIENCE_S:.0f} s."))
    except AttemptFailed as failed:
        if not failed.is_answer:
            return Heard(problem(about, f"{failed.outcome}: {failed.message}"))
    return Heard(ok(about, f"It answers a prompt in {(clock.monotonic() - began) * 1000:.0f} ms."))


def _ahead(date: str | None, now: float) -> float | None:
    if date is None:
        return None
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    # HTTP dates are in GMT, whether they say so or not (RFC 9110, section 5.6.7).
    return now - (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
