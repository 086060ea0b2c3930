"""The surfaces as the settings want them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from llmrouter.cache_in_force import lasting_secret
from llmrouter.caching.keys import hash_of
from llmrouter.calls import Call, Caller
from llmrouter.errors import StateUnavailable
from llmrouter.gateway import Gateway
from llmrouter.settings.storage import StorageSettings, is_server
from llmrouter.storage.state.opening import NoState, open_state, place_of, state_file
from llmrouter.storage.state.store import StateStore
from llmrouter.surfaces import Means, Surfaces

_DAY_S = 86_400.0
# A first guess, where nobody is there to count for (OpenAI's help centre: a token is about four characters).
_CHARACTERS_PER_TOKEN = 4


def open_surfaces(
    gateway: Gateway, settings: StorageSettings, default_model: Callable[[], str], environ: Mapping[str, str]
) -> Surfaces:
    """The surfaces over a gateway; nothing is read or connected before it is needed."""
    folder = Path.cwd()
    secret: list[bytes] = []

    def open_store() -> StateStore:
        secret.append(lasting_secret(environ, folder))
        try:
            return open_state(place_of(settings, environ), folder, gateway.clock)
        except NoState as error:
            raise StateUnavailable(str(error)) from None

    def caller_key(caller: Caller) -> str:
        return hash_of(caller, secret[0]).hex()

    def is_kept() -> bool:
        is_elsewhere = settings.url_env is not None or is_server(settings.url)
        return is_elsewhere or state_file(settings.url, folder).exists()

    means = Means(
        ask=gateway.answer,
        default_model=default_model,
        input_tokens=lambda call: _input_tokens(gateway, call),
        can_serve=lambda call: bool(gateway.router.acceptable(call)[0]),
        caller_key=caller_key,
        open_store=open_store,
        clock=gateway.clock,
        retain_s=settings.retain_days * _DAY_S,
        is_kept=is_kept,
    )
    return Surfaces(means)


def _input_tokens(gateway: Gateway, call: Call) -> int:
    """The tokens of a call's prompt, as the target that would be asked counts them."""
    router = gateway.router
    targets, _ = router.acceptable(call)
    for target in targets.values():
        tokens = router.estimates.expect(call, gateway.clock.monotonic()).at(target).input_tokens
        return max(1, round(tokens))
    return max(1, call.input_characters // _CHARACTERS_PER_TOKEN)
