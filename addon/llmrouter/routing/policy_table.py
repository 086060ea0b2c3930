"""The policies of one configuration, by the names that settings and headers use."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from llmrouter.routing.policies import LeastCost, LeastLatency, Policy, Quality, RoundRobin
from llmrouter.routing.price_sheets import Hours
from llmrouter.routing.schedules import Schedule, Window
from llmrouter.routing.scores import Weighted
from llmrouter.settings.policies import PoliciesSettings, ScheduleSettings, WindowSettings
from llmrouter.targets import Target


def build_policies(settings: PoliciesSettings, targets: Iterable[Target]) -> dict[str, Policy]:
    """The policies that come with the router, with these options; `schedule` only where it has windows."""
    policies: dict[str, Policy] = {
        "least_cost": LeastCost(),
        "least_latency": LeastLatency(),
        "round_robin": RoundRobin(),
        "weighted": Weighted(settings.weighted),
        "quality": Quality(settings.quality.at_least),
    }
    if settings.schedule is not None:
        keys = tuple(target.key for target in targets)
        policies["schedule"] = _schedule(settings.schedule, policies, keys)
    return policies


def _schedule(settings: ScheduleSettings, policies: dict[str, Policy], keys: tuple[str, ...]) -> Schedule:
    def window_of(window: WindowSettings) -> Window:
        preferred = frozenset(key for key in keys if any(fnmatchcase(key, glob) for glob in window.prefer))
        return Window(
            Hours.between(window.hours, window.days), preferred, policies[window.policy or settings.otherwise]
        )

    windows = tuple(map(window_of, settings.windows))
    return Schedule(ZoneInfo(settings.timezone), windows, policies[settings.otherwise])
