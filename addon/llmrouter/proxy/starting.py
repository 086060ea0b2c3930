"""The start: the CA, a look at who would be asked, and a line on what runs."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mitmproxy import ctx

from llmrouter.proxy.certificate_authority import ensure_ca
from llmrouter.proxy.listening import exposed
from llmrouter.proxy.runtime import Runtime
from llmrouter.settings.location import REPOSITORY
from llmrouter.settings.operating import AccessSettings

logger = logging.getLogger(__name__)


def prepare_ca(hosts: Sequence[str]) -> None:
    """Makes the CA for these hosts, or keeps the one that is there; raises `CaError`."""
    # mitmproxy makes a CA of its own, which may sign for everything, in any other folder that it is pointed to.
    directory = Path(ctx.options.llmrouter_certs or REPOSITORY / "certs").expanduser().resolve()
    result = ensure_ca(directory, hosts, datetime.now(UTC))
    logger.log(logging.INFO if result.action == "kept" else logging.WARNING, "%s", result.message)
    ctx.options.update(confdir=str(directory))


def is_safe(settings: AccessSettings) -> bool:
    """Whether the router may listen where it is to; says so where it may not."""
    if settings.keys or settings.open or not (modes := exposed()):
        return True
    logger.error(
        "The router would listen beyond this machine (%s), where anybody could spend your keys. Make a key with "
        "`llmrouter access new` and put its hash into the configuration, `access: {keys: [...]}`, or say "
        "`access: {open: true}`.",
        ", ".join(modes),
    )
    return False


def refuse_loops(runtime: Runtime) -> None:
    """A provider that is the router itself would be asked again and again, until every deadline."""
    ports = {ctx.options.llmrouter_api_port, ctx.options.listen_port or 8080}
    for name in runtime.providers_at(ports):
        logger.error("Provider %s has the router's own address: give another base_url or llmrouter_api_port.", name)


def say_what_runs(runtime: Runtime) -> None:
    """Which targets there are, or that there is none, and what becomes of requests then."""
    if runtime.target_keys:
        origin = runtime.config or "the catalog"
        logger.info("llmrouter: targets from %s: %s.", origin, ", ".join(runtime.target_keys))
        return
    why = f"{runtime.config} gives no target" if runtime.config else "there is no configuration"
    if runtime.config is not None and runtime.settings.on_internal_error == "reject":
        logger.warning("llmrouter: %s, so calls are refused (on_internal_error: reject).", why)
        return
    hosts = ", ".join(runtime.settings.intercept)
    logger.warning("llmrouter: %s, so everything is passed through to %s.", why, hosts)
