"""The headers of a request to a provider, made from nothing: none of the client's is handed on by accident."""

from llmrouter import __version__
from llmrouter.providers.wire import Job


def headers_for(job: Job) -> dict[str, str]:
    """Headers with lower-case names.

    The client's credential, and OpenAI's own two headers, are handed on where `uses_caller_key` says that it is OpenAI.
    The caller's authorization is the whole header value; a bare key gets `Bearer` before it.
    """
    call, target, brand = job.call, job.target, job.target.brand
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream" if call.stream else "application/json",
        "user-agent": f"llmrouter/{__version__}",
        **dict(brand.headers),
    }
    if target.uses_caller_key:
        headers |= {name.lower(): value for name, value in call.caller.openai_headers.items()}
        if call.caller.authorization is not None:
            value = call.caller.authorization.get_secret_value()
            headers["authorization"] = value if " " in value else f"Bearer {value}"
    elif target.credential is not None:
        name, key = job.dialect.key_header or brand.key_header, target.credential.get_secret_value()
        headers[name] = f"Bearer {key}" if name == "authorization" else key
    headers |= {name.lower(): value for name, value in target.extra_headers.items()}
    return headers


def url_for(base_url: str, path: str) -> str:
    """The address of `path` under a base URL."""
    return base_url.rstrip("/") + path
