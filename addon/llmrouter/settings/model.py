"""The settings as frozen values: one class per YAML mapping, one attribute per key (design 5.2).

What a single value must be stands in `values`; what needs more than one to judge (a duplicate name, an unknown type)
in `checks`. Durations are seconds, prices US dollars per million tokens.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from llmrouter.calls import Need
from llmrouter.settings.caching import CacheSettings, CacheWhen
from llmrouter.settings.operating import AccessSettings, ClientSettings, OverloadSettings, ShutdownSettings
from llmrouter.settings.policies import PoliciesSettings
from llmrouter.settings.storage import StorageSettings
from llmrouter.settings.telemetry import TelemetrySettings
from llmrouter.settings.values import (
    OFF_IS_A_WORD,
    Flag,
    Frozen,
    Glob,
    HeaderName,
    HeaderValue,
    Host,
    Policy,
    PositiveInt,
    Price,
    Seconds,
    Share,
    Url,
    VariableName,
    Wait,
    Weekday,
    Weight,
    WindowHours,
)

_STREAM_BEGINS_S = 30.0


class PriceOverrideSettings(Frozen):
    """Other prices for a long prompt, at some hours, or both; a price that is left out stays as it is."""

    from_tokens: PositiveInt | None = None
    """From this many input tokens on; the whole request has these prices."""
    hours: WindowHours | None = None
    """At these hours in UTC, such as 16:30-00:30; default: the whole day."""
    weekdays: tuple[Weekday, ...] | None = None
    """On these days, in UTC: mon, tue, wed, thu, fri, sat, sun; hours count to the day on which they begin."""
    input: Price | None = None
    """US dollars per million input tokens."""
    output: Price | None = None
    """US dollars per million output tokens."""
    cached_input: Price | None = None
    """US dollars per million input tokens that the provider had cached."""
    cache_write: Price | None = None
    """US dollars per million input tokens that the provider writes to its cache."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.input is self.output is self.cached_input is self.cache_write is None:
            raise ValueError("no price is given; give at least one of input, output, cached_input, cache_write")
        return self


class PriceSettings(Frozen):
    """What a model costs, in US dollars per million tokens."""

    input: Price
    """US dollars per million input tokens."""
    output: Price
    """US dollars per million output tokens."""
    cached_input: Price | None = None
    """US dollars per million input tokens that the provider had cached; default: the input price."""
    cache_write: Price | None = None
    """US dollars per million input tokens that the provider writes to its cache; default: the input price."""
    per_request_usd: Price = 0.0
    """US dollars for each request, whatever its length."""
    overrides: tuple[PriceOverrideSettings, ...] = ()
    """Other prices under a condition; where several hold, a later one has the last word, price by price."""


class AdvertisedPrice(PriceSettings):
    """A price that the model index tells, and not the owner: what the provider itself lists has the better word.

    It stands where there is no configuration; no file can say it.
    """


class BreakerSettings(Frozen):
    """When a target that keeps failing is left alone, and for how long."""

    failure_threshold: PositiveInt = 5
    """This many failures one after another open the breaker."""
    recovery_seconds: Seconds = 30
    """How long an open breaker waits before it lets one request try again."""
    failure_rate: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.5
    """This share of failed requests within the window opens the breaker, above 0 and up to 1."""
    window_seconds: Seconds = 60
    """How far back the failure rate looks."""
    min_requests: PositiveInt = 20
    """The failure rate counts only from this many requests in the window on."""


class TimeoutSettings(Frozen):
    """How long a provider may take, phase by phase, in seconds."""

    connect: Seconds = 5
    """Seconds until the connection stands."""
    first_byte: Seconds | None = None
    """Seconds until the first content; default: 30 for a stream, `total` for a whole answer, which comes at once."""
    idle: Seconds = 30
    """Seconds of silence within an answer."""
    total: Seconds = 300
    """Seconds for one attempt in all."""

    def until_content(self, *, is_stream: bool) -> float:
        """How long the first content may take: a model that answers as a whole is silent while it thinks and writes."""
        if self.first_byte is not None:
            return self.first_byte
        return min(_STREAM_BEGINS_S, self.total) if is_stream else self.total


class LimitSettings(Frozen):
    """The provider's quota, so that it is not exceeded."""

    rpm: PositiveInt | None = None
    """Requests per minute."""
    rpd: PositiveInt | None = None
    """Requests per day."""
    tpm: PositiveInt | None = None
    """Tokens per minute."""
    tpd: PositiveInt | None = None
    """Tokens per day."""
    concurrency: PositiveInt | None = None
    """Requests at the same time."""
    usd_per_day: Price | None = None
    """US dollars per day."""
    usd_per_month: Price | None = None
    """US dollars per month."""
    max_wait_seconds: Wait | None = None
    """How long a request may wait for quota before the next target is tried; default: not at all."""


class DataSettings(Frozen):
    """What happens to prompts."""

    trains_on_prompts: Flag | None = None
    """Whether the provider may train on what it is sent; in a route: whether it is allowed to."""
    region: str | None = None
    """Where the prompts are processed, such as us or eu."""


class ModelSettings(Frozen):
    """One model of a provider."""

    id: Annotated[str, Field(min_length=1)]
    """The model's name at the provider."""
    serves: tuple[Glob, ...] = ()
    """Requested model names (globs) that it may answer for; default: its own id and provider/id."""
    price: PriceSettings | None = None
    """What it costs; without a price the model sorts last under least_cost."""
    context_window: PositiveInt | None = None
    """How many tokens fit, input and output together."""
    capabilities: tuple[Need, ...] | None = None
    """Everything it can do beyond plain chat; default: not known, so it is tried."""
    quality: Share | None = None
    """How good it is, from 0 to 1; routes can ask for a minimum."""
    weight: Weight = 1.0
    """Its share under the policy round_robin; multiplied by the provider's weight."""
    limits: LimitSettings = LimitSettings()
    """What may be used of this model alone, within the provider's own limits."""


def _name_from_type(data: dict[str, Any]) -> str:
    return str(data.get("type", ""))


def _model_of_echo(data: dict[str, Any]) -> str | None:
    return "echo" if data.get("type") == "echo" and not data.get("models") else None


class ProviderSettings(Frozen):
    """One provider: where it is, how it is paid, and which models it offers."""

    type: str
    """A brand or a wire format, such as echo, openai, groq, openrouter or openai_compatible."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(default_factory=_name_from_type)
    """A unique name, used in routes, headers and logs; default: the type."""
    api_key_env: VariableName | None = None
    """The environment variable that holds the key; default: the usual one of the type."""
    api_key: Literal["caller"] | None = None
    """Only `caller`, on type openai: the app's own key is used, and sent to OpenAI only."""
    base_url: Url | None = None
    """Where the API is, up to and without /chat/completions; default: the usual one of the type."""
    priority: Annotated[int, Field(strict=True)] = 10
    """Lower tiers are tried first; the policy orders within a tier."""
    models: tuple[ModelSettings, ...] = ()
    """The models, one by one; not together with `model`."""
    model: Annotated[str, Field(min_length=1)] | None = Field(default_factory=_model_of_echo)
    """One model that stands in for every requested model; not together with `models`."""
    extra_headers: Mapping[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Headers sent with every request to this provider."""
    circuit_breaker: BreakerSettings | None = None
    """Changes the file's `breaker` for this provider, key by key."""
    limits: LimitSettings = LimitSettings()
    """What may be used of all its models together."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """How long this provider may take."""
    data: DataSettings = DataSettings()
    """What this provider does with prompts; routes can ask for it."""
    weight: Weight = 1.0
    """Its share under the policy round_robin; multiplied by the model's weight."""
    mock_failure_rate: Share = 0.0
    """Type echo only: this share of the requests fails, from 0 to 1."""
    mock_latency_seconds: Wait = 0.0
    """Type echo only: seconds before the answer begins."""


class RouteSettings(Frozen):
    """What may answer a requested model; the first route that matches wins."""

    model: Glob
    """The requested model name, as a glob."""
    use: tuple[Glob, ...] = ()
    """The targets (globs of provider/model) that may answer; default: those whose `serves` matches."""
    min_quality: Share | None = None
    """Only models of at least this quality, from 0 to 1."""
    policy: Policy | None = None
    """The policy for these models; default: the file's."""
    data: DataSettings | None = None
    """What must hold for the prompts; a provider of which it is not known does not get them."""
    cache: CacheWhen | None = None
    """Which requests for these models the cache may answer; default: the file's `cache.when`."""


class RetrySettings(Frozen):
    """How long one call is kept trying."""

    max_attempts: PositiveInt = 4
    """How many attempts one call may make in all."""
    deadline_seconds: Seconds = 600
    """Seconds over all attempts of one call, to the end of its answer."""
    max_wait_seconds: Wait = 15
    """A target that fails and is back this soon is waited for, when nothing else is left."""
    continue_streams: Flag = True
    """Whether the next target goes on with a stream of plain text that breaks off after its client got some of it."""


class HedgeSettings(Frozen):
    """When a call's next target is asked, too, because the first one is late; the first content wins.

    What the other one has done by then is paid for, too, so that this trades money for speed. It needs 20 answers of a
    target before it begins. Never hedged are calls for which OpenAI's own tools act, and those whose client said what
    they may cost, unless the other target is free.
    """

    after: Literal["p90", "p95", "p99"] = "p95"
    """Later than this share of the target's own answers is late."""
    max_share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.05
    """At most this share of the calls is hedged."""
    paid: Flag = False
    """Whether the other target may cost something where the first one is free, and have no known price where the first
    one has one; by default free calls stay free."""

    @property
    def share(self) -> float:
        """`after` as a share from 0 to 1."""
        return int(self.after.removeprefix("p")) / 100


class HealthSettings(Frozen):
    """How targets are watched beside the calls that they answer."""

    probe_seconds: Seconds | None = None
    """How often each provider is asked for its list of models, which uses no tokens; default: never."""


class MetricsSettings(Frozen):
    """How the router is measured."""

    prometheus: Flag = True
    """Whether figures are offered to Prometheus, at /llmrouter/metrics of the API port."""


class LoggingSettings(Frozen):
    """What is logged."""

    decisions: Annotated[Literal["json", "off"], OFF_IS_A_WORD] = "json"
    """One JSON line per decision, or none."""
    file: str | None = None
    """Where the decision lines go; default: the log of mitmproxy."""


class InspectionSettings(Frozen):
    """What mitmweb shows."""

    max_stream_kibibytes: Annotated[int, Field(ge=0, strict=True)] = 256
    """How much of a streamed answer is kept for inspection, in KiB."""


class Settings(Frozen):
    """The router's configuration."""

    intercept: Annotated[tuple[Host, ...], Field(min_length=1)] = ("api.openai.com",)
    """The hosts whose requests are decrypted and routed; every other host is tunnelled untouched."""
    providers: tuple[ProviderSettings, ...] = ()
    """The providers, in the order in which equals are tried."""
    policy: Policy = "least_cost"
    """How targets of one priority tier are ordered: one of the policies, or a class of your own, file.py:Class."""
    policies: PoliciesSettings = PoliciesSettings()
    """The options of the policies."""
    routes: tuple[RouteSettings, ...] = ()
    """What may answer which requested model; the first match wins."""
    unmatched: Literal["passthrough", "reject"] = "passthrough"
    """A model that nothing may answer: to OpenAI with the app's own key, or refused."""
    on_internal_error: Literal["passthrough", "reject"] = "reject"
    """A request that the router itself cannot answer, because no target of the file can be asked, because it failed
    before anything was sent, or because it has too much to do: to OpenAI with the app's own key, which its owner pays
    for, or refused."""
    breaker: BreakerSettings = BreakerSettings()
    """The circuit breaker of every provider that does not say otherwise."""
    retry: RetrySettings = RetrySettings()
    """How long one call is kept trying."""
    hedge: HedgeSettings | None = None
    """Whether a second target is asked where the first is late; default: no."""
    health: HealthSettings = HealthSettings()
    """How targets are watched beside the calls that they answer."""
    cache: CacheSettings = CacheSettings()
    """Where repeated requests are answered from."""
    storage: StorageSettings = StorageSettings()
    """Where lasting data is kept, such as what was used of quotas."""
    metrics: MetricsSettings = MetricsSettings()
    """How the router is measured."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Who is told of every decision, beside the log."""
    logging: LoggingSettings = LoggingSettings()
    """What is logged."""
    inspection: InspectionSettings = InspectionSettings()
    """What mitmweb shows."""
    max_request_mebibytes: PositiveInt = 64
    """The largest request body that is read, in MiB."""
    access: AccessSettings = AccessSettings()
    """Who may use the router."""
    clients: ClientSettings = ClientSettings()
    """What clients may do to connections."""
    overload: OverloadSettings = OverloadSettings()
    """How much is taken on at the same time."""
    shutdown: ShutdownSettings = ShutdownSettings()
    """How the router ends."""

    def breaker_for(self, provider: ProviderSettings) -> BreakerSettings:
        """The provider's breaker: the file's own, with the keys that its `circuit_breaker` gives."""
        own = provider.circuit_breaker
        if own is None:
            return self.breaker
        return self.breaker.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
