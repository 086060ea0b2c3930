"""The router as it runs: settings turned into a gateway, exchanged when the settings change, closed at the end."""

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llmrouter.brands import BRANDS
from llmrouter.cache_in_force import renewed
from llmrouter.calls import Call, Endpoint
from llmrouter.capacity import Capacity
from llmrouter.clock import Clock
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.custom_policies.own_sinks import OwnSinks
from llmrouter.custom_policies.policy import Failures
from llmrouter.dashboard.pages import Pages
from llmrouter.discovery.index_source import IndexSource, IndexUnavailable, LoadedIndex
from llmrouter.discovery.kept_listings import KEPT_LISTINGS
from llmrouter.discovery.model_index import ModelIndex
from llmrouter.discovery.probes import probe, probe_client
from llmrouter.discovery.refresh import PriceRefresh
from llmrouter.discovery.unconfigured import STATE, settings_from
from llmrouter.endpoints import models
from llmrouter.errors import NotConfigured
from llmrouter.gateway import Gateway
from llmrouter.ledger_in_force import open_ledger
from llmrouter.providers.formats import WIRE_FORMATS
from llmrouter.proxy import short_pauses
from llmrouter.proxy.call_notes import note_ended
from llmrouter.proxy.observing import Observing
from llmrouter.proxy.usage_history import UsageHistory
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.catalog import Catalogue, build_targets
from llmrouter.routing.estimates import EstimateBook
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import QuotaBook
from llmrouter.routing.served_models import served_model, served_models
from llmrouter.routing.standings import Standing, standing_of
from llmrouter.settings.loader import load_settings, unused_keys
from llmrouter.settings.location import Stamp, default_model, stamp_of
from llmrouter.settings.model import Settings
from llmrouter.settings.problems import SettingsError
from llmrouter.sqlite_files import path_of
from llmrouter.storage.health_records import HealthRecords
from llmrouter.storage.ledger import Ledger
from llmrouter.surfaces_in_force import open_surfaces
from llmrouter.targets import Target
from llmrouter.tasks import close_all, keep_going, spawn
from llmrouter.telemetry.decisions import Decision, Observer
from llmrouter.telemetry.recent_decisions import RecentDecisions
from llmrouter.transports import EchoTransport, HttpTransport
from llmrouter.upstream import Upstream

logger = logging.getLogger(__name__)

_KEEP_HEALTH_S = 60.0
_KEEP_RESERVED_S = 1.0
_LOOK_AGAIN_S = 60.0
# The settings by which observers are opened anew.
_OBSERVED = ("logging", "metrics", "telemetry")


class _Ready(NamedTuple):
    """Settings, and what is made of them before they are in force."""

    settings: Settings
    catalogue: Catalogue
    prices: PriceBook


class Runtime:
    """Owns what lives as long as the process: connections, health, the decision log; and the settings in force.

    `policy_failures` counts how often policies of the owner's own failed, since the start.
    """

    def __init__(self, config: Path | None, environ: Mapping[str, str] = os.environ, *, may_print: bool = True) -> None:
        """Raises `SettingsError` where the configuration is bad; `may_print` is off where a screen would be torn."""
        self.config = config
        self._environ = environ
        self._clock = Clock()
        self._started = self._clock.monotonic()
        self._upstream = Upstream()
        self._health = HealthBook()
        self._quotas = QuotaBook()
        self._estimates = EstimateBook()
        self._source = IndexSource.of_environment(environ, STATE)
        self.policy_failures: Failures = Counter()
        self._stamps: dict[Path, Stamp | None] = {}
        self._custom = CustomPolicies(Path(), self.policy_failures)
        self._own_sinks = OwnSinks(Path())
        self.settings = self._load()
        catalogue = self._build(self.settings)
        self._prices = PriceBook(catalogue.targets)
        self._price_refresh = PriceRefresh(self._prices, self._clock.wall, KEPT_LISTINGS)
        self._lookouts: list[asyncio.Task[None]] = []
        self.gateway = Gateway(
            router=Router(self.settings, catalogue, self._health, self._prices, self._estimates, self._custom.policies),
            retry=self.settings.retry,
            health=self._health,
            transports={
                **dict.fromkeys(WIRE_FORMATS, HttpTransport(self._upstream, self._clock)),
                "echo": EchoTransport(self._clock, random.Random()),
            },
            clock=self._clock,
            quotas=self._quotas,
            hedge=self.settings.hedge,
            capacity=Capacity(self.settings.overload),
            cache=renewed(None, self.settings.cache, environ, Path.cwd(), self._clock),
        )
        file = path_of(self.settings.storage.file_url, Path.cwd())
        self._ledger, self._health_records = Ledger(file), HealthRecords(file)
        self._remember(catalogue.targets)
        self._calls = open_ledger(self.settings.storage, environ, Path.cwd(), self._clock)
        told: tuple[Observer, ...] = (self._keep_counts, note_ended, *([] if self._calls is None else [self._calls]))
        self._observing = Observing(told, self._uptime_s, self._standings, may_print=may_print)
        self.gateway.observers = self._observing.take(self.settings, self._own_sinks.sinks)
        self._observing.overload = self.gateway.capacity.figures
        history = None if self._calls is None else UsageHistory(file, self._clock).look
        self.pages = Pages(self._observing.sources(config, self._clock.wall, history))
        self.surfaces = open_surfaces(self.gateway, self.settings.storage, lambda: self.default_model, environ)

    @property
    def recent(self) -> RecentDecisions:
        """The last decisions."""
        return self._observing.recent

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return default_model(self._environ)

    @property
    def target_keys(self) -> list[str]:
        """The targets, by their keys."""
        return [target.key for target in self.gateway.router.catalogue.targets]

    def providers_at(self, ports: Collection[int]) -> list[str]:
        """The providers whose address is one of these ports of this machine, which are the router's own."""
        addresses = {t.provider: urlsplit(t.base_url) for t in self.gateway.router.catalogue.targets if t.base_url}
        return [
            name
            for name, address in addresses.items()
            if address.hostname in ("localhost", "127.0.0.1", "::1") and address.port in ports
        ]

    def serves(self, call: Call) -> bool:
        """Whether any target or route is meant for a call, able or not at this moment.

        Stand-ins for a requested model are none for its embeddings: those go to OpenAI, unless somebody has them.
        """
        if call.endpoint is Endpoint.EMBEDDINGS:
            return bool(self.gateway.router.acceptable(call)[0])
        return self.serves_model(call.model)

    def serves_model(self, name: str) -> bool:
        """Whether any target or route is meant for a requested model."""
        candidates = self.gateway.router.catalogue.candidates(name)
        return bool(candidates.targets) or candidates.route is not None

    def check_targets(self) -> None:
        """Raises `NotConfigured` where the configuration file gives no target; without a file it is no more than a
        proxy."""
        if self.config is not None and not self.gateway.router.catalogue.targets:
            raise NotConfigured(f"No target can be asked: {self.config.name} gives none, or no key of one is set.")

    def list_models(self) -> bytes:
        """What is answered for now, as OpenAI lists models."""
        catalogue = self.gateway.router.catalogue
        return models.render_list(served_models(catalogue, self._health, self._clock.monotonic()))

    def describe_model(self, name: str) -> bytes | None:
        """One requested model, as OpenAI describes it; None where nobody answers for it now."""
        found = served_model(self.gateway.router.catalogue, self._health, name, self._clock.monotonic())
        return None if found is None else models.render_one(found)

    def reload_if_changed(self) -> bool:
        """Takes over a changed file, or one of a policy; a bad one is reported and changes nothing.

        True where the settings changed.
        """
        stamps = {file: stamp_of(file) for file in self._stamps}
        if not any(stamp not in (None, self._stamps[file]) for file, stamp in stamps.items()):
            return False
        try:
            settings = self._load()
        except SettingsError as error:
            for problem in error.problems:
                logger.warning("%s", problem)
            logger.warning("The settings have errors: the earlier ones stay in force.")
            return False
        self._take_over(*self._make_ready(settings))
        logger.info("Settings reloaded from %s: %d targets.", self.config, len(self.target_keys))
        return True

    async def refresh_index(self) -> None:
        """Takes over the index at LLMROUTER_MODEL_INDEX_URL where there is no configuration file.

        What goes wrong is told, and changes nothing.
        """
        if self.config is not None:
            return
        try:
            loaded = await self._source.refresh(self._is_useful)
        except IndexUnavailable as error:
            logger.warning("%s", error)
            return
        # A large index takes a while, in which requests go on.
        if loaded is not None and (ready := await asyncio.to_thread(self._prepare, loaded)) is not None:
            self._take_over(*ready)

    def _prepare(self, loaded: LoadedIndex) -> _Ready | None:
        """What an index leads to, where that is anything new; changes nothing."""
        settings = self._from_catalog(loaded)
        return None if settings == self.settings else self._make_ready(settings)

    def _make_ready(self, settings: Settings) -> _Ready:
        catalogue = self._build(settings)
        return _Ready(settings, catalogue, self._prices.for_targets(catalogue.targets))

    def _is_useful(self, index: ModelIndex) -> bool:
        """Whether an index gives any target, where the one in force does."""
        return bool(settings_from(LoadedIndex(index, ""), self._environ).settings.providers) or not self.target_keys

    def _remember(self, targets: tuple[Target, ...]) -> None:
        """Takes over what an earlier run knew of targets and has counted."""
        wall = self._clock.wall()
        self._health.restore(self._health_records.load(wall), targets, self._clock.monotonic())
        self._quotas.restore(self._ledger.load(), wall, self._clock.monotonic())
        self._quotas.reload(targets, limits_of(self.settings))

    async def _keep_health(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_HEALTH_S)
            self._save_health()

    def _save_health(self) -> None:
        self._health_records.save(self._health.snapshot(self._clock.monotonic()), self._clock.wall())

    def _save_counts(self) -> None:
        minutes = self._quotas.minutes(self._clock.monotonic(), self._clock.wall())
        self._ledger.save([*self._quotas.changes(), *minutes])

    async def _keep_what_is_reserved(self) -> None:
        """Counts are kept at the end of each call, and those of calls under way soon after they began."""
        while True:
            await asyncio.sleep(_KEEP_RESERVED_S)
            self._save_counts()

    async def _probe(self) -> None:
        """Asks providers as often as the settings say, and looks once a minute whether they say anything."""
        async with await asyncio.to_thread(probe_client) as client:
            while True:
                await asyncio.sleep(self.settings.health.probe_seconds or _LOOK_AGAIN_S)
                if self.settings.health.probe_seconds is not None:
                    targets = self.gateway.router.catalogue.targets
                    await probe(client, targets, self._health, self._clock.monotonic)

    def _take_over(self, settings: Settings, catalogue: Catalogue, prices: PriceBook) -> None:
        log_changed = any(getattr(settings, name) != getattr(self.settings, name) for name in _OBSERVED)
        if settings.storage != self.settings.storage:
            logger.warning("`storage` was changed: that takes effect at the next start.")
        self.settings = settings
        self._health.reload(catalogue.targets)
        self._quotas.reload(catalogue.targets, limits_of(settings))
        self._prices = prices
        self.gateway.router = Router(
            settings, catalogue, self._health, self._prices, self._estimates, self._custom.policies
        )
        self._price_refresh.take(self._prices)
        self.gateway.retry, self.gateway.hedge = settings.retry, settings.hedge
        self.gateway.capacity.limits = settings.overload
        self._renew_cache(settings)
        if log_changed or self._own_sinks.sinks:
            self.gateway.observers = self._observing.take(settings, self._own_sinks.sinks)

    def _renew_cache(self, settings: Settings) -> None:
        before = self.gateway.cache
        after = renewed(before, settings.cache, self._environ, Path.cwd(), self._clock)
        self.gateway.cache = after
        if before is not None and (after is None or after.store is not before.store):
            spawn(before.store.close(), "closing the earlier cache")

    def look_around(self) -> None:
        """Reads prices again and again until `close`, and once a newer model index; no request waits for either."""
        if self._lookouts:
            return
        lasting: list[tuple[Callable[[], Coroutine[Any, Any, None]], str]] = [
            (self.refresh_index, "fetching the model index"),
            (partial(self._price_refresh.run, when_loaded=short_pauses.stays), "reading prices"),
            (self._keep_health, "keeping what is known of targets"),
            (self._keep_what_is_reserved, "keeping what is used of limits"),
            (self._probe, "asking whether providers are there"),
            (self.surfaces.keep_tidy, "tidying up what is kept for clients"),
        ]
        self._lookouts = [spawn(keep_going(begin, name), name) for begin, name in lasting]

    def withdraw(self) -> None:
        """What is cut off from now on was not given up by its client."""
        self.gateway.capacity.is_closed = True

    @property
    def under_way(self) -> int:
        """How many calls have not ended, or how many runs in the background, if those are more."""
        return max(self.gateway.capacity.calls, self.surfaces.under_way)

    async def close(self) -> None:
        """Closes connections, and writes the last decisions and counts; what fails of that stops nothing else."""
        for task in self._lookouts:
            task.cancel()
        cache = self.gateway.cache
        await close_all(
            [
                ("what is kept for clients", self.surfaces.close),
                ("connections to providers", self._upstream.close),
                *([] if cache is None else [("the cache", cache.store.close)]),
                ("what is known of targets", self._save_health),
                ("what is used of limits", self._save_counts),
                ("the file of health", self._health_records.close),
                ("the file of limits", self._ledger.close),
                ("the sinks of decisions", self._observing.close),
                *([] if self._calls is None else [("the ledger", self._calls.close)]),
            ]
        )

    def _load(self) -> Settings:
        if self.config is None:
            return self._from_catalog(self._source.at_start())
        custom, sinks = CustomPolicies(self.config.parent, self.policy_failures), OwnSinks(self.config.parent)
        self._stamps = {self.config: stamp_of(self.config)}
        try:
            settings = load_settings(self.config, BRANDS, lambda read: [*custom.load(read), *sinks.load(read)])
        finally:
            self._stamps |= custom.stamps | sinks.stamps
        self._custom, self._own_sinks = custom, sinks
        return settings

    def _from_catalog(self, loaded: LoadedIndex) -> Settings:
        """The settings that follow from the model index and the environment alone."""
        found = settings_from(loaded, self._environ)
        logger.info("Models are those of %s, made %s.", loaded.origin, loaded.index.generated_at.date())
        for note in found.notes:
            logger.info("%s", note)
        for warning in (*found.warnings, *([loaded.warning] if loaded.warning else [])):
            logger.warning("%s", warning)
        return found.settings

    def _build(self, settings: Settings) -> Catalogue:
        catalogue = build_targets(settings, BRANDS, self._environ)
        for warning in catalogue.warnings:
            logger.warning("%s", warning)
        if unused := unused_keys(settings):
            logger.warning("Read, but without effect in this version: %s.", ", ".join(unused))
        return catalogue

    def _uptime_s(self) -> float:
        return self._clock.monotonic() - self._started

    def _standings(self) -> list[Standing]:
        now, wall = self._clock.monotonic(), self._clock.wall()
        targets = self.gateway.router.catalogue.targets
        return [standing_of(target, self._health, self._quotas, now, wall) for target in targets]

    def _keep_counts(self, _: Decision) -> None:
        self._ledger.save(self._quotas.changes())
