"""A shorter way for the pieces of a request's body: past mitmproxy's reader, straight to the stream that they are for.

mitmproxy copies each piece three times on that way. What is in no way special about a piece is done here at once; all
else is left to mitmproxy.
"""

from h11._readers import ContentLengthReader
from mitmproxy import version
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream

from llmrouter.proxy.bounded_http1 import BoundedHttp1Server
from llmrouter.proxy.dispatch import KNOWN_VERSIONS

_READ_BODY = BoundedHttp1Server.read_body
_IS_KNOWN = version.VERSION in KNOWN_VERSIONS and hasattr(ContentLengthReader(0), "_remaining")


def stream_of_piece(layer: HttpLayer, event: events.DataReceived) -> HttpStream | None:
    """The stream for which all of these bytes are, and more to come; they then count as read.

    None where that cannot be told at once: for another protocol, a body in chunks, the end of a body, or bytes that
    came before and still wait to be read.
    """
    connection = layer.connections.get(event.connection)
    if not _IS_KNOWN or type(connection) is not BoundedHttp1Server or connection._paused or connection.buf:
        return None
    if getattr(connection.state, "__func__", None) is not _READ_BODY:
        return None
    reader, stream = connection.body_reader, layer.streams.get(connection.stream_id)
    if stream is None or type(reader) is not ContentLengthReader or len(event.data) >= reader._remaining:
        return None
    reader._remaining -= len(event.data)
    connection.received += len(event.data)
    return stream
