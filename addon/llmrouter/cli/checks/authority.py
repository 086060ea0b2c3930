"""The CA: there, readable, valid, constrained, its key for nobody else, the bundle up to date."""

import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from llmrouter.cli.checks.finding import Finding, ok, problem, warning
from llmrouter.proxy.certificate_authority import KEY_AND_CERT, CaError, CaFacts, look_at_ca
from llmrouter.proxy.trust_files import BUNDLE, CERT

_ABOUT = "CA"
_SOON = timedelta(days=30)


def check_authority(certs: Path, hosts: Sequence[str], now: datetime) -> Iterator[Finding]:
    """All that is to be said of the CA in a folder."""
    if not (certs / KEY_AND_CERT).exists():
        yield warning(_ABOUT, f"There is none in {certs} yet.", "It is made when the router starts: llmrouter serve")
        return
    try:
        facts = look_at_ca(certs, hosts, now)
    except CaError as error:
        yield problem(_ABOUT, str(error), "Move the file away; a new one is made when the router starts.")
        return
    yield from _of_facts(facts, certs, now)
    if not _is_in_bundle(certs):
        yield problem(_ABOUT, f"{certs / BUNDLE} does not hold it.", "llmrouter env writes it anew.")


def _of_facts(facts: CaFacts, certs: Path, now: datetime) -> Iterator[Finding]:
    end = facts.cert.not_valid_after_utc
    for doubt in facts.doubts:
        yield problem(_ABOUT, doubt, "llmrouter ca rotate" if facts.is_ours else f"Put another CA into {certs}.")
    if facts.allowed is None:
        text = "It is your own, and may sign for every host: whoever gets its key can pretend to be any site."
        yield warning(_ABOUT, text, f"Move it away from {certs}, and one is made that is good for nothing else.")
    elif not facts.doubts:
        yield ok(_ABOUT, f"It is good for {', '.join(facts.allowed)} alone, until {end:%Y-%m-%d}.")
    if now <= end < now + _SOON:
        yield warning(_ABOUT, f"It ends on {end:%Y-%m-%d}.", "It is made anew at the next start of the router.")
    if facts.mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"Others on this machine may read its key ({facts.mode:o})."
        yield problem(_ABOUT, text, f"chmod 600 {certs / KEY_AND_CERT}")


def _is_in_bundle(certs: Path) -> bool:
    try:
        return (certs / CERT).read_bytes().strip() in (certs / BUNDLE).read_bytes()
    except OSError:
        return False
