"""`llmrouter explain`: who would answer a request, in which order and why, and who would not; nothing is sent."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
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
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.policies import Candidate, Policy
from llmrouter.routing.price_book import PriceBook
from llmrouter.settings.loader import SettingsError, load_settings
from llmrouter.settings.location import default_model, find_config
from llmrouter.settings.model import Settings

_PING = '[{"role": "user", "content": "ping"}]'


@click.command()
@click.option("--model", help="The requested model; default: LLMROUTER_DEFAULT_MODEL.")
@click.option("--messages", default=_PING, help="The messages as JSON, as @FILE, or the text of one user message.")
@click.option("--tools", help="The tools as JSON or as @FILE.")
@click.option("--request", "whole", help="A whole request as JSON or as @FILE, in place of messages and tools.")
@click.option("--policy", help="As a client's x-llmrouter-policy.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def explain(
    model: str | None,
    messages: str,
    tools: str | None,
    whole: str | None,
    policy: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Prints the plan for a request: every target, its estimate, why it is in and why it is out."""
    try:
        body = _json(whole, "--request") if whole else _body(messages, tools)
        if model is not None:
            body["model"] = model
        call = chat.parse(
            json.dumps(body).encode(),
            default_model(os.environ),
            id="explain",
            caller=Caller(),
            preferences=Preferences(policy=policy),
        )
        settings, custom = _settings(config_file)
        catalogue = build_targets(settings, BRANDS, os.environ)
        book = PriceBook(catalogue.targets)
        asyncio.run(PriceRefresh(book, Clock().wall, KEPT_LISTINGS).load())
        router = Router(settings, catalogue, HealthBook(), book, custom=custom)
        plan = router.plan(call, 0.0, Clock().wall())
    except (SettingsError, InvalidRequest, click.UsageError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(plan.to_record() | {"warnings": list(catalogue.warnings)}, indent=2))
    else:
        click.echo("\n".join(_lines(call, plan, router, settings)))


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


def _lines(call: Call, plan: Plan, router: Router, settings: Settings) -> list[str]:
    route = router.catalogue.candidates(call.model).route
    lines = [
        f"{call.model}: {call.input_characters} characters of input, policy {plan.policy},"
        f" {f'route {route.model}' if route else 'no route'}",
        *([] if plan.policy_failure is None else [f"the policy failed, and least_cost ordered: {plan.policy_failure}"]),
        f"needs: {', '.join(sorted(call.needs)) or 'nothing special'}",
        "",
    ]
    lines += _table([_row(number, candidate, call, router) for number, candidate in enumerate(plan.candidates, 1)])
    if not plan.targets:
        is_passed = settings.unmatched == "passthrough" and not plan.left_out and route is None
        lines.append(
            "Nothing would answer; " + ("it goes to OpenAI as it is." if is_passed else "the client gets an error.")
        )
    if plan.left_out:
        lines += ["", "Left out:", *(f"  {left.target.key}: {left.reason}" for left in plan.left_out)]
    if router.catalogue.warnings:
        lines += ["", *router.catalogue.warnings]
    return [*lines, "", "Breakers, rests and latencies are those of a router that has just started."]


def _table(rows: list[Mapping[str, str]]) -> list[str]:
    widths = {name: max(len(row[name]) for row in rows) for name in rows[0]} if rows else {}
    return ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in rows]


def _row(number: int, candidate: Candidate, call: Call, router: Router) -> Mapping[str, str]:
    target, cost = candidate.target, candidate.expected_usd
    sheet = router.prices.sheet(target)
    return {
        "place": f"{number}.",
        "target": target.key,
        "tier": f"tier {target.priority}",
        "cost": "price not known" if cost is None else f"about ${cost:.6f}",
        "source": "" if sheet is None else sheet.source,
        "format": target.dialect.for_members(call.members).wire_format,
    }
