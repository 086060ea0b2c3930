"""`llmrouter explain`: who would answer a request, in which order and why, and who would not; nothing is sent."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.clock import Clock
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.discovery.kept_listings import KEPT_LISTINGS
from llmrouter.discovery.refresh import PriceRefresh
from llmrouter.discovery.unconfigured import settings_at_start
from llmrouter.endpoints import chat
from llmrouter.errors import InvalidRequest
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.claims import Claim
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.policies import Policy
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import QuotaBook
from llmrouter.settings.loader import load_settings
from llmrouter.settings.location import default_model, find_config
from llmrouter.settings.model import Settings
from llmrouter.settings.problems import SettingsError
from llmrouter.sqlite_files import path_of
from llmrouter.storage.health_records import HealthRecords
from llmrouter.storage.ledger import Ledger
from llmrouter.targets import Target
from llmrouter.viewing.plan_view import PlanView, to_record

_PING = '[{"role": "user", "content": "ping"}]'


@click.command()
@click.option("--model", help="The requested model; default: LLMROUTER_DEFAULT_MODEL.")
@click.option("--messages", default=_PING, help="The messages as JSON, as @FILE, or the text of one user message.")
@click.option("--tools", help="The tools as JSON or as @FILE.")
@click.option("--request", "whole", help="A whole request as JSON or as @FILE, in place of messages and tools.")
@click.option("--provider", help="As a client's x-llmrouter-provider.")
@click.option("--policy", help="As a client's x-llmrouter-policy.")
@click.option("--max-cost-usd", type=float, help="As a client's x-llmrouter-max-cost-usd.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def explain(
    model: str | None,
    messages: str,
    tools: str | None,
    whole: str | None,
    provider: str | None,
    policy: str | None,
    max_cost_usd: float | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Prints the plan for a request: every target, its estimate, why it is in and why it is out."""
    try:
        body = _request(whole) if whole else _body(messages, tools)
        if model is not None:
            body["model"] = model
        call = chat.parse(
            json.dumps(body).encode(),
            default_model(os.environ),
            id="explain",
            caller=Caller(),
            preferences=Preferences(provider, policy, max_cost_usd=max_cost_usd),
        )
        settings, custom = _settings(config_file)
        catalogue = build_targets(settings, BRANDS, os.environ)
        book = PriceBook(catalogue.targets)
        asyncio.run(PriceRefresh(book, Clock().wall, KEPT_LISTINGS).load())
        clock = Clock()
        now, wall = clock.monotonic(), clock.wall()
        health, quotas, kept = what_is_kept(settings, catalogue.targets, now, wall)
        router = Router(settings, catalogue, health, book, custom=custom)
        expectation = router.estimates.expect(call, now)
        claim = Claim(quotas, lambda target: router.ask(expectation, target, wall), wall - now)
        plan = router.plan(call, now, wall, claim, expectation)
    except (SettingsError, InvalidRequest, click.UsageError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        left = [claim.left(one.target, now) for one in plan.candidates]
        candidates = [to_record(plan, number, one) for number, one in enumerate(left)]
        more = {"candidates": candidates, "warnings": list(catalogue.warnings), "kept": kept}
        click.echo(json.dumps(plan.to_record() | more, indent=2))
    else:
        view = PlanView(call, plan, router, lambda target: claim.left(target, now))
        ending = None if plan.targets else _nobody(plan, router, call, settings)
        click.echo("\n".join([*view.lines(ending), *catalogue.warnings, kept]))


def _settings(config_file: Path | None) -> tuple[Settings, Mapping[str, Policy]]:
    found = config_file or find_config("", os.environ)
    if found is None:
        catalog, _ = settings_at_start(os.environ)
        if catalog.settings.providers:
            return catalog.settings, {}
        raise click.UsageError(
            "There is no configuration. Begin with: cp config/providers.example.yaml config/providers.yaml"
        )
    custom = CustomPolicies(found.parent, Counter())
    return load_settings(found, BRANDS, custom.load), custom.policies


def _request(value: str) -> dict[str, Any]:
    """The whole request of the option."""
    body = _json(value, "--request")
    if not isinstance(body, dict):
        raise click.UsageError("--request must be a JSON object, such as a body of /v1/chat/completions.")
    return body


def _body(messages: str, tools: str | None) -> dict[str, Any]:
    is_text = not messages.startswith(("@", "["))
    told = [{"role": "user", "content": messages}] if is_text else _json(messages, "--messages")
    return {"messages": told} if tools is None else {"messages": told, "tools": _json(tools, "--tools")}


def _json(value: str, option: str) -> Any:
    """The JSON of an option, or of the file that `@` names."""
    try:
        return json.loads(Path(value[1:]).read_bytes() if value.startswith("@") else value)
    except OSError as error:
        raise click.UsageError(f"{option}: {value[1:]} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"{option} is not valid JSON: {error}") from error


def what_is_kept(
    settings: Settings, targets: Iterable[Target], now: float, wall: float
) -> tuple[HealthBook, QuotaBook, str]:
    """What the last run of the router knew of the targets' health and counted of their limits, and a line about it.

    `now` is monotonic, `wall` Unix seconds.
    """
    place, health, quotas = settings.storage.file_url, HealthBook(), QuotaBook()
    file = path_of(place, Path.cwd())
    known, targets = HealthRecords(file).load(wall), tuple(targets)
    health.restore(known, targets, now)
    quotas.restore(Ledger(file).load(), wall, now)
    quotas.reload(targets, limits_of(settings))
    if not known:
        return health, quotas, f"Health is not known yet: no run of the router is kept in {place}."
    age_s = min(age_s for _, age_s, _ in known)
    return (
        health,
        quotas,
        f"Health and limits are as a router kept them {age_s:.0f} s ago in {place}.",
    )


def _nobody(plan: Plan, router: Router, call: Call, settings: Settings) -> str:
    is_served = bool(plan.left_out) or router.catalogue.candidates(call.model).route is not None
    if settings.unmatched == "passthrough" and not is_served:
        return (
            "Nobody would answer: no target serves this model, and it goes to OpenAI as it is, with the app's own key."
        )
    return "Nobody would answer: the client gets an error with these reasons."
