"""Under which key answers are kept: what was asked, and for whom."""

from hashlib import blake2b

from llmrouter.caching.signature import signature
from llmrouter.calls import Call, Caller

GROUP_BYTES = 16
SECRET_BYTES = 32

# No credential is so; whoever sends none is one caller.
_NOBODY = b""
_PERSON = b"llmrouter caller"


def group_of(call: Call, secret: bytes | None) -> bytes:
    """The key of all answers to a call, whoever gave them: those that its caller got, or with no secret anybody."""
    asked = signature(call)
    if secret is None:
        return asked
    return blake2b(asked, digest_size=GROUP_BYTES, key=hash_of(call.caller, secret)).digest()


def hash_of(caller: Caller, secret: bytes) -> bytes:
    """A caller by a keyed hash of its credential, organisation and project: nobody without the secret can guess it.

    One key may serve several organisations (OpenAI's API reference, authentication), whose answers stay apart.
    """
    credential = _NOBODY if caller.authorization is None else _bytes_of(caller.authorization.get_secret_value())
    names = sorted((name.lower(), value) for name, value in caller.openai_headers.items())
    parts = [credential, *(_bytes_of(part) for name in names for part in name)]
    if caller.access:
        parts.append(_bytes_of(caller.access))
    text = b"".join(len(part).to_bytes(4) + part for part in parts)
    return blake2b(text, digest_size=SECRET_BYTES, key=secret, person=_PERSON).digest()


def _bytes_of(header: str) -> bytes:
    """A header as it came: what is no UTF-8 stands in it as halves of surrogate pairs."""
    return header.encode(errors="surrogateescape")
