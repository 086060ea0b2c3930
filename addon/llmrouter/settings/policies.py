"""The options of the policies, the top-level mapping `policies` of the settings."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from llmrouter.settings.values import Frozen, Glob, Importance, InnerPolicy, Share, TimeZone, Weekday, WindowHours


class WeightedSettings(Frozen):
    """How much each criterion counts under `weighted`, in any unit; one that is left out does not count.

    Only the ratios matter. Without this mapping: cost 0.5, latency 0.3, quality 0.1, error_rate 0.1.
    """

    cost: Importance = 0.0
    """The expected cost, as a share of the dearest in the tier; a price that is not known counts as the dearest."""
    latency: Importance = 0.0
    """The time to the first content and the wait for quota, as a share of the slowest in the tier."""
    quality: Importance = 0.0
    """What is missing of the best quality in the tier, as a share of it."""
    error_rate: Importance = 0.0
    """The share of recent requests that failed, or were refused because the provider's limits were used up."""

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not (self.cost or self.latency or self.quality or self.error_rate):
            raise ValueError("nothing counts; give at least one of cost, latency, quality, error_rate more than 0")
        return self


class QualitySettings(Frozen):
    """What is good enough under `quality`."""

    at_least: Share = 0.7
    """The cheapest model of at least this quality, from 0 to 1, is tried first."""


class WindowSettings(Frozen):
    """Some hours of the week, and which targets are tried first then."""

    days: tuple[Weekday, ...] | None = None
    """On these days: mon, tue, wed, thu, fri, sat, sun, each one named; default: every day."""
    hours: WindowHours | None = None
    """From and up to these times of the day, such as 08:00-18:00 or 22:00-06:00; default: the whole day.

    Hours past midnight count to the day on which they begin.
    """
    prefer: Annotated[tuple[Glob, ...], Field(min_length=1)]
    """The targets (globs of provider/model) that are tried first within each priority tier; the others follow."""
    policy: InnerPolicy | None = None
    """The policy that orders those that are preferred, and then the others; default: `otherwise`."""


class ScheduleSettings(Frozen):
    """Who is preferred when, under `schedule`."""

    timezone: TimeZone = "UTC"
    """The time zone of days and hours, such as Europe/Berlin; summer time is taken into account."""
    windows: Annotated[tuple[WindowSettings, ...], Field(min_length=1)]
    """The windows; the first one that is open counts."""
    otherwise: InnerPolicy = "least_cost"
    """The policy outside all windows."""


class CustomSettings(Frozen):
    """How a class of one's own is run."""

    timeout_seconds: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.02
    """How long it may take for all tiers of a call, at most 1; all requests wait. After that, least_cost orders."""


class PoliciesSettings(Frozen):
    """The options of the policies."""

    weighted: WeightedSettings = WeightedSettings(cost=0.5, latency=0.3, quality=0.1, error_rate=0.1)
    """What `weighted` weighs."""
    quality: QualitySettings = QualitySettings()
    """What is good enough under `quality`."""
    schedule: ScheduleSettings | None = None
    """Who is preferred when; needed for `schedule`."""
    custom: CustomSettings = CustomSettings()
    """How a class of one's own, `path/to/file.py:Class`, is run."""
