"""What the owner may look at and do in mitmweb and the console about the calls: the view "LLM", and commands."""

from collections.abc import Callable, Sequence

from mitmproxy import command, contentviews, ctx, exceptions, flow, http
from mitmproxy.addonmanager import Loader

from llmrouter.errors import InvalidRequest
from llmrouter.proxy import target_control
from llmrouter.proxy.content_view import LLMContentview
from llmrouter.proxy.runtime import Runtime
from llmrouter.proxy.sending_again import asked_call, pinned_to


class Inspection:
    """The content view, and the commands that look at one flow or at the targets."""

    name = "llmrouter-inspection"

    def __init__(self, runtime: Callable[[], Runtime | None]) -> None:
        self._running = runtime

    def load(self, _: Loader) -> None:
        """Adds the content view, once however often the addon is loaded."""
        contentviews.add(LLMContentview())

    @command.command("llmrouter.status")  # type: ignore[untyped-decorator]  # mitmproxy gives it no types
    def status(self) -> Sequence[str]:
        """Each target: whether it may be asked now, else why not and for how long, and how it did lately."""
        return target_control.status(self._runtime().gateway)

    @command.command("llmrouter.explain")  # type: ignore[untyped-decorator]  # as above
    def explain(self, flow: flow.Flow) -> Sequence[str]:
        """Who would answer a flow's request now, in which order and why, and who would not; nothing is sent."""
        runtime = self._runtime()
        try:
            return target_control.explain(runtime.gateway, asked_call(_http(flow), runtime.default_model))
        except InvalidRequest as error:
            raise exceptions.CommandError(str(error)) from error

    @command.command("llmrouter.replay")  # type: ignore[untyped-decorator]  # as above
    def replay(self, flow: flow.Flow, provider: str) -> None:
        """Sends a flow's request again, to this provider alone; the answer stands in a new flow."""
        runtime = self._runtime()
        self._check(provider)
        again = pinned_to(_http(flow), provider, runtime.settings.intercept[0])
        ctx.master.commands.call("replay.client", [again])

    @command.command("llmrouter.breaker.reset")  # type: ignore[untyped-decorator]  # as above
    def reset(self, provider: str = "") -> str:
        """Closes the breakers and ends the rests of all targets, or of one provider's; returns how many targets."""
        if provider:
            self._check(provider)
        count = target_control.reset_health(self._runtime().gateway, provider or None)
        return f"{count} targets may be asked again."

    @command.command("llmrouter.disable")  # type: ignore[untyped-decorator]  # as above
    def disable(self, provider: str) -> str:
        """Asks a provider nothing any more, until `llmrouter.enable` or the end of the router."""
        self._check(provider)
        self._runtime().gateway.health.disable(provider)
        return f"{provider} is asked nothing until: llmrouter.enable {provider}"

    @command.command("llmrouter.enable")  # type: ignore[untyped-decorator]  # as above
    def enable(self, provider: str) -> str:
        """Asks a provider again that was disabled."""
        self._check(provider)
        self._runtime().gateway.health.enable(provider)
        return f"{provider} may be asked again."

    def _runtime(self) -> Runtime:
        runtime = self._running()
        if runtime is None:
            raise exceptions.CommandError("The router has no valid configuration.")
        return runtime

    def _check(self, provider: str) -> None:
        names = target_control.providers(self._runtime().gateway)
        if provider not in names:
            raise exceptions.CommandError(f"There is no provider {provider!r}, only {', '.join(names) or 'none'}.")


def _http(chosen: flow.Flow) -> http.HTTPFlow:
    if not isinstance(chosen, http.HTTPFlow):
        raise exceptions.CommandError("This is no HTTP flow.")
    return chosen
