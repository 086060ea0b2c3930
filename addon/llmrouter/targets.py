"""Where a call may be sent: a provider with one of its models, and everything a wire format or a policy asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from llmrouter.brands.brand import Brand, Offer
from llmrouter.brands.dialect import Dialect
from llmrouter.calls import Need
from llmrouter.settings.model import BreakerSettings, DataSettings, PriceSettings, TimeoutSettings


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Target:
    """One model at one provider, made once per configuration.

    `dialect` is how the model there wants to be spoken to. `key` is `provider/model` and names the target in routes,
    headers, logs and the memory of its health. `credential` is the provider's own key; with `uses_caller_key` the
    caller's is sent instead. `capabilities` is None where unknown, `serves` are globs of requested model names.
    """

    provider: str
    model: str
    brand: Brand
    base_url: str
    credential: SecretStr | None = None
    uses_caller_key: bool = False
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    priority: int = 10
    serves: tuple[str, ...] = ()
    price: PriceSettings | None = None
    context_window: int | None = None
    capabilities: frozenset[Need] | None = None
    quality: float | None = None
    weight: float = 1.0
    breaker: BreakerSettings = BreakerSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    data: DataSettings = DataSettings()
    mock_failure_rate: float = 0.0
    mock_latency_seconds: float = 0.0
    key: str = field(init=False)
    dialect: Dialect = field(init=False)

    @property
    def has_text_completions(self) -> bool:
        """Whether it has the endpoint /completions itself."""
        return Offer.COMPLETIONS in self.brand.endpoints and self.dialect.wire_format == "openai_compatible"

    @property
    def has_responses(self) -> bool:
        """Whether a Responses request can be forwarded to it."""
        return self.brand.forwards_responses

    def __repr__(self) -> str:
        # Headers and addresses may hold keys, and this ends in the messages of other people's exceptions.
        return f"Target({self.key!r})"

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.provider}/{self.model}")
        object.__setattr__(self, "dialect", self.brand.dialect_for(self.model))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A requested name, and who may answer for it: those that are well now, and those that rest."""

    name: str
    available: tuple[Target, ...]
    resting: tuple[Target, ...]
