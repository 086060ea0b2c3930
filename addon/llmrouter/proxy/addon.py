"""The mitmproxy addon: hooks only. What they decide stands in `tunnels`, `flows`, `exchange` and the gateway.

Hooks must not fail: mitmproxy logs an exception of a `request` hook and forwards the original request (design D7).
Each hook that could let a routed request through puts an error response into the flow first, and an answer after.
"""

import asyncio
import logging
import os
from urllib.parse import parse_qsl

from mitmproxy import ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client
from mitmproxy.proxy import layer

from llmrouter import surfaces
from llmrouter.endpoints import models
from llmrouter.errors import ForeignPage, InternalError, RouterError, UpgradeRefused
from llmrouter.proxy import admission, fail_open, flows, local_pages, short_pauses, tunnels
from llmrouter.proxy.acceleration import Acceleration
from llmrouter.proxy.access import Access
from llmrouter.proxy.certificate_authority import CaError
from llmrouter.proxy.client_connections import ClientConnections
from llmrouter.proxy.commands import RouterCommands
from llmrouter.proxy.ending import Ending, close_clients, ending_of_mitmproxy
from llmrouter.proxy.exchange import Exchange, StreamBody
from llmrouter.proxy.http_layers import replace_http_layers
from llmrouter.proxy.incoming import is_call, is_websocket, path_of
from llmrouter.proxy.inspection import Inspection
from llmrouter.proxy.listening import is_api_port, listen, own_ports
from llmrouter.proxy.options import add_options
from llmrouter.proxy.results import is_passed_through, put_gone, put_result
from llmrouter.proxy.runtime import Runtime
from llmrouter.proxy.starting import is_safe, prepare_ca, refuse_loops, say_what_runs
from llmrouter.proxy.streaming import Edge
from llmrouter.proxy.untrusting_clients import UntrustingClients
from llmrouter.settings.location import find_config
from llmrouter.settings.operating import AccessSettings, ClientSettings
from llmrouter.settings.problems import SettingsError
from llmrouter.tasks import spawn

logger = logging.getLogger(__name__)

_RELOAD_LOOK_S = 1.0
_KIBIBYTE = 1024
_NOT_CONFIGURED = "The router has no valid configuration. Its log says what is wrong."


class LLMRouter:
    """Answers OpenAI calls from other providers, and passes everything else through."""

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._exchanges: dict[str, Exchange] = {}
        self._edge = Edge(self._exchanges, lambda host, port: tunnels.is_tunnelled(host, port, self._hosts))
        self._watcher: asyncio.Task[None] | None = None
        self._ending: Ending | None = None
        self._is_refused = False
        self._access = Access(lambda: self._runtime.settings.access if self._runtime else AccessSettings(), own_ports)
        self.addons = [
            RouterCommands(lambda: self._runtime),
            Inspection(lambda: self._runtime),
            UntrustingClients(),
            Acceleration(),
            ClientConnections(self._client_settings, lambda: (one.client_id for one in self._exchanges.values())),
        ]

    @property
    def _hosts(self) -> tuple[str, ...]:
        return self._runtime.settings.intercept if self._runtime else ()

    def _client_settings(self) -> ClientSettings:
        return self._runtime.settings.clients if self._runtime else ClientSettings()

    # Start and end

    def load(self, loader: Loader) -> None:
        """Adds our options, and closes what mitmproxy leaves open by default (design D6)."""
        logging.getLogger("mitmproxy.proxy.server").addFilter(flows.hide_credentials_in_log)
        add_options(loader)
        ctx.options.update(connection_strategy="lazy", upstream_cert=False)
        try:
            ctx.options.process_deferred()
        except exceptions.OptionsError as error:
            # Left to mitmproxy, a bad value would leave a plain proxy running, without this addon and without a word.
            logger.error("%s", error)  # noqa: TRY400 - a traceback would bury the line that helps
            ctx.options.deferred.clear()
            self._is_refused = True

    def configure(self, updated: set[str]) -> None:
        """Reads the settings once all options are known; a bad configuration ends the start."""
        if self._is_refused or self._runtime is not None or "llmrouter_config" not in updated:
            return
        try:
            config = find_config(ctx.options.llmrouter_config, os.environ)
            is_console = type(ctx.master).__module__.startswith("mitmproxy.tools.console")
            runtime = Runtime(config, os.environ, may_print=not is_console)
            if not is_safe(runtime.settings.access):
                return
            self._runtime = runtime
            prepare_ca(self._hosts)
        except SettingsError as error:
            for problem in error.problems:
                logger.error("%s", problem)  # noqa: TRY400 - a traceback would bury the line that helps
            return
        except CaError as error:
            logger.error("%s", error)  # noqa: TRY400 - as above
            return
        listen(self._hosts[0])
        refuse_loops(self._runtime)
        say_what_runs(self._runtime)

    def running(self) -> None:
        """Watches the configuration file from now on, and what is published elsewhere."""
        if (runtime := self._runtime) is not None and self._watcher is None:
            self._watcher = spawn(self._watch(runtime), "watching the configuration")
            runtime.look_around()
            self._ending = ending_of_mitmproxy(
                lambda: max(len(self._exchanges), runtime.under_way), lambda: runtime.settings.shutdown.grace_seconds
            )
            short_pauses.begin()

    async def done(self) -> None:
        """Ends what is under way still, closes connections, and writes down what is to last."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._runtime is not None:
            self._runtime.withdraw()
        for exchange in list(self._exchanges.values()):
            exchange.abandon()
        await close_clients()
        if self._runtime is not None:
            await self._runtime.close()

    # Connections

    def next_layer(self, next_layer: layer.NextLayer) -> None:
        """Puts our HTTP layer where mitmproxy would put its own, and tunnels what is no HTTPS of ours."""
        builtin = ctx.master.addons.get("nextlayer")
        if builtin is None:
            return
        builtin.next_layer(next_layer)
        replace_http_layers(next_layer, self._edge)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Decrypts only what names one of our hosts; all other TLS is tunnelled."""
        address = data.context.server.address
        name = data.client_hello.sni or (address[0] if address else None)
        if not tunnels.is_intercepted(name, self._hosts) and not is_api_port(data.context.client.proxy_mode):
            data.ignore_connection = True

    def client_disconnected(self, client: Client) -> None:
        """Ends what a client left behind, whatever hook mitmproxy did not call for it."""
        self._access.forget(client)
        for id in [id for id, exchange in self._exchanges.items() if exchange.client_id == client.id]:
            self._exchanges.pop(id).abandon()

    # Requests

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuses a tunnel to where nobody may go, or for whom none may be made."""
        try:
            self._access.check_connect(flow)
        except Exception:  # noqa: BLE001 - the edge: what cannot be decided is refused
            self._deny(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Decides whether a request is routed, passed through or a local page, before its body comes."""
        try:
            self._receive(flow)
        except RouterError as error:
            flows.take_credentials(flow.request)
            flow.response = flows.error_response(error)
        except Exception:
            logger.exception("the router failed on a request, which was not sent anywhere")
            self._fail(flow, admission.failed())

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answers a routed request; a stream's body follows by `llm_next_chunk`."""
        if flow.response is not None:
            return
        exchange = self._exchanges.get(flow.id)
        if exchange is None:
            # Its client left meanwhile: every other request has an exchange or a response by now.
            put_gone(flow)
            return
        if not exchange.is_routed:
            return
        if self._runtime is None:
            flow.response = flows.error_response(InternalError(_NOT_CONFIGURED))
            return
        is_decided = False
        try:
            await self._answer(flow, exchange, self._runtime)
            is_decided = True
        except RouterError as error:
            flow.response = flows.error_response(error)
        except Exception:  # noqa: BLE001 - the edge, as above
            self._deny(flow)
        finally:
            # mitmproxy forwards what has no response, also where this was cancelled.
            if not is_decided and flow.response is None:
                flow.response = flows.error_response(InternalError("The router did not answer."))

    async def llm_next_chunk(self, body: StreamBody) -> None:
        """Gets the next bytes of a stream; one that cannot go on is broken off, never ended as if it were whole."""
        try:
            await body.advance()
        except OSError:
            body.close(aborted=True)
        except Exception:
            logger.exception("a stream failed")
            body.close(aborted=True)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams back what was passed through."""
        exchange = self._exchanges.get(flow.id)
        if exchange is not None and not exchange.is_routed and flow.response is not None:
            flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        """The end of a request: nothing of what was passed through is kept."""
        self._forget(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """The end of a request that failed or whose client left."""
        self._forget(flow)

    def _receive(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        on_api_port = is_api_port(flow.client_conn.proxy_mode)
        path = path_of(request)
        is_ours = on_api_port or any(
            tunnels.is_intercepted(name, self._hosts) for name in (request.host, flow.client_conn.sni)
        )
        is_page = local_pages.is_local(request, on_api_port)
        if (refusal := self._refusal(flow, on_api_port=on_api_port, is_page=is_page)) is not None:
            flows.take_credentials(request)
            flow.response = refusal
        elif is_page:
            local_pages.show(flow, self._runtime, on_api_port)
        elif self._ending is not None and self._ending.has_begun:
            self._exchanges[flow.id] = admission.refused_at_the_end(flow)
        elif self._runtime is None:
            flows.take_credentials(request)
            flow.response = flows.error_response(InternalError(_NOT_CONFIGURED))
        elif is_ours and is_websocket(request) and path == surfaces.RESPONSES:
            self._refuse_websocket(flow, self._runtime)
        elif is_ours and (is_call(request) or surfaces.has(path)):
            self._begin(flow, self._runtime)
        elif not (is_ours and models.is_asked(request.method, path) and self._list_models(flow, path, self._runtime)):
            self._pass_through(flow)

    def _refusal(self, flow: http.HTTPFlow, *, on_api_port: bool, is_page: bool) -> http.Response | None:
        """The answer to whoever may not use the router at all."""
        refusal = self._access.check_request(flow, on_api_port=on_api_port, is_page=is_page)
        headers = flow.request.headers
        if refusal is not None or not on_api_port:
            return refusal
        if tunnels.is_foreign_page(headers.get("origin"), headers.get("sec-fetch-site")):
            return flows.error_response(ForeignPage("Web pages of other sites may not use this router."))
        return None

    def _begin(self, flow: http.HTTPFlow, runtime: Runtime) -> None:
        """A routed request, whose body is yet to come."""
        limit = runtime.settings.max_request_mebibytes * _KIBIBYTE * _KIBIBYTE
        exchange = Exchange(flow.client_conn.id, is_routed=True, max_body_bytes=limit)
        self._exchanges[flow.id] = exchange
        exchange.credentials = flows.take_credentials(flow.request)
        if (error := admission.why_not(flow.request, runtime)) is not None:
            self._fail(flow, error)
            return
        exchange.share = runtime.gateway.capacity.begin_body()
        # mitmproxy's stream_large_bodies would send it to OpenAI while it still comes in.
        flow.request.stream = False

    def _list_models(self, flow: http.HTTPFlow, path: str, runtime: Runtime) -> bool:
        """Answers which models there are; False where OpenAI has to say it, with the app's own key."""
        name = models.requested_name(path)
        if not runtime.target_keys:
            return False
        body = runtime.list_models() if name is None else runtime.describe_model(name)
        if body is None:
            if runtime.settings.unmatched == "passthrough":
                return False
            raise models.not_found(name or "")
        flows.take_credentials(flow.request)
        flow.response = flows.make_response(200, {"content-type": "application/json"}, body)
        return True

    def _pass_through(self, flow: http.HTTPFlow) -> None:
        exchange = self._exchanges.setdefault(flow.id, Exchange(flow.client_conn.id, is_routed=False))
        exchange.is_routed = False
        flows.put_credentials_back(flow.request, exchange.credentials)
        flows.drop_router_headers(flow.request)
        exchange.original = flow.request
        flow.request = flows.without_credentials(flow.request)
        flow.request.stream = True

    def _refuse_websocket(self, flow: http.HTTPFlow, runtime: Runtime) -> None:
        """Clients fall back to HTTP at once; where nobody but OpenAI would answer, the connection is relayed."""
        if runtime.settings.on_internal_error == "reject":
            runtime.check_targets()
        name = dict(parse_qsl(flow.request.path.partition("?")[2])).get("model")
        is_served = runtime.target_keys if name is None else runtime.serves_model(name)
        if not is_served and runtime.settings.unmatched == "passthrough":
            self._pass_through(flow)
            return
        flows.take_credentials(flow.request)
        text = "The router answers responses over HTTP, and not over WebSocket."
        flow.response = flows.error_response(UpgradeRefused(text))

    async def _answer(self, flow: http.HTTPFlow, exchange: Exchange, runtime: Runtime) -> None:
        work = admission.taken_on(flow, exchange, runtime)
        result = None
        if work is not None:
            keep = runtime.settings.inspection.max_stream_kibibytes * _KIBIBYTE
            result = await exchange.answer(work.name, work.answer, keep)
        if exchange.is_abandoned:
            put_gone(flow)
        elif result is None or is_passed_through(flow, exchange, result):
            self._pass_through(flow)
        else:
            flows.drop_router_headers(flow.request)
            await put_result(flow, exchange, result)

    def _forget(self, flow: http.HTTPFlow) -> None:
        exchange = self._exchanges.pop(flow.id, None)
        if exchange is None:
            return
        # A flow that was killed, or whose connection broke, ends its call; one that ended well has nothing to end.
        exchange.abandon()
        if exchange.when_done is not None:
            exchange.when_done()
        if exchange.refusal is not None and self._runtime is not None:
            admission.record_refusal(flow, exchange, self._runtime, exchange.refusal)
        if exchange.original is not None:
            exchange.original = None
            flow.request.data.content = None

    def _fail(self, flow: http.HTTPFlow, error: RouterError) -> None:
        """A request that cannot be begun: it is refused, or goes to OpenAI after all where that is wanted."""
        exchange = self._exchanges.setdefault(flow.id, Exchange(flow.client_conn.id, is_routed=True))
        exchange.refusal = error
        exchange.credentials = exchange.credentials or flows.take_credentials(flow.request)
        if self._runtime is not None and fail_open.may_pass(flow, exchange, self._runtime, error):
            self._pass_through(flow)
        else:
            flow.request.stream = False
            flow.response = flows.error_response(error)

    def _deny(self, flow: http.HTTPFlow) -> None:
        flows.take_credentials(flow.request)
        logger.exception("the router failed on a request, which was not sent anywhere")
        flow.response = flows.error_response(admission.failed())

    # Reloading

    async def _watch(self, runtime: Runtime) -> None:
        while True:
            await asyncio.sleep(_RELOAD_LOOK_S)
            try:
                self._reload(runtime)
            except Exception:
                logger.exception("the settings could not be reloaded")

    def _reload(self, runtime: Runtime) -> None:
        hosts = runtime.settings.intercept
        if not runtime.reload_if_changed():
            return
        refuse_loops(runtime)
        if runtime.settings.intercept != hosts:
            prepare_ca(self._hosts)
            ctx.master.addons.get("tlsconfig").configure({"confdir"})
