"""Where the router listens: the proxy and the OpenAI API, on loopback unless the user names an address."""

import ipaddress

from mitmproxy import ctx
from mitmproxy.proxy import mode_specs

from llmrouter.tasks import spawn


def listen(host: str) -> None:
    """Adds the API port, in front of a host, and keeps every port on loopback unless the user named an address.

    mitmproxy begins to listen before it loads scripts, so the servers are told again.
    """
    modes = list(ctx.options.mode)
    api_port = ctx.options.llmrouter_api_port
    if modes == ["regular"] and api_port:
        modes.append(f"reverse:https://{host}@{api_port}")
    if not ctx.options.listen_host:
        modes = [_on_loopback(mode, ctx.options.listen_port) for mode in modes]
    server = ctx.master.addons.get("proxyserver")
    if server is None or modes == list(ctx.options.mode):
        return
    ctx.options.update(mode=modes)
    if not server.is_running:
        spawn(server.servers.update([mode_specs.ProxyMode.parse(mode) for mode in modes]), "opening the ports")


def exposed() -> list[str]:
    """The modes that listen beyond this machine, once `listen` has put all others on loopback."""
    found = []
    for spec in ctx.options.mode:
        named = spec if ctx.options.listen_host else _on_loopback(spec, ctx.options.listen_port)
        mode = mode_specs.ProxyMode.parse(named)
        # The mode `local` takes up the connections of programs on this machine.
        if mode.type_name != "local" and not _is_loopback(mode.listen_host(ctx.options.listen_host or None)):
            found.append(spec)
    return found


def own_ports() -> set[int]:
    """The ports of the proxy, of the API and of mitmweb, where there is one."""
    ports = {mode_specs.ProxyMode.parse(spec).listen_port(ctx.options.listen_port) for spec in ctx.options.mode}
    return {port for port in (*ports, getattr(ctx.options, "web_port", None)) if port is not None}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_api_port(mode: mode_specs.ProxyMode) -> bool:
    """Whether a client came to the OpenAI API, and not to the proxy."""
    return isinstance(mode, mode_specs.ReverseMode)


def _on_loopback(spec: str, port: int | None) -> str:
    """A mode's text with the loopback address, unless it names an address itself."""
    mode = mode_specs.ProxyMode.parse(spec)
    if mode.custom_listen_host is not None or mode.type_name not in ("regular", "reverse", "socks5", "upstream"):
        return spec
    without_port = spec.rpartition("@")[0] if mode.custom_listen_port is not None else spec
    return f"{without_port}@127.0.0.1:{mode.listen_port(port)}"
