"""Where in mitmproxy's stack of layers ours takes the place of its HTTP layer."""

from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import HttpLayer

from llmrouter.proxy.streaming import Edge, RoutedHttpLayer


def replace_http_layers(next_layer: layer.NextLayer, edge: Edge) -> None:
    """Exchanges mitmproxy's HTTP layer for ours, at the top of the new stack or behind its TLS layers."""
    above, chosen = None, next_layer.layer
    while chosen is not None and type(chosen) is not HttpLayer:
        above, chosen = chosen, getattr(chosen, "child_layer", None)
    if chosen is None:
        return
    layers = chosen.context.layers
    position = layers.index(chosen)
    routed = RoutedHttpLayer(chosen.context, chosen.mode, edge)
    layers.remove(routed)
    layers[position] = routed
    if above is None:
        next_layer.layer = routed
    else:
        setattr(above, "child_layer", routed)  # noqa: B010 - the attribute is not part of the base class
