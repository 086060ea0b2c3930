"""The check of an HTTP message's parts, once for each kind of message and not by reflection for each message.

mitmproxy looks at the type of every part of every request and response that is made (`MessageData.__post_init__`, in
mitmproxy's `http.py`), and asks the `typing` module anew each time what the types are. Here the parts that are plainly
right are let through, and all others are left to mitmproxy, which then says what is wrong.
"""

import types
import typing
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any

from mitmproxy import http

type _Check = Callable[[http.MessageData], None]


def install() -> None:
    """Takes the place of mitmproxy's own check, where that is in force: it is not with `python -O`."""
    own = vars(http.MessageData).get("__post_init__")
    if own is not None and not hasattr(own, "mitmproxys"):
        http.MessageData.__post_init__ = _check_of(own)  # type: ignore[method-assign]  # that is the point


def remove() -> None:
    """Gives mitmproxy's own check back."""
    own = getattr(vars(http.MessageData).get("__post_init__"), "mitmproxys", None)
    if own is not None:
        http.MessageData.__post_init__ = own  # type: ignore[method-assign]  # as above


def _check_of(own: _Check) -> _Check:
    def check(message: http.MessageData) -> None:
        parts = vars(message)
        for name, right in _right_types(type(message)):
            if type(parts[name]) not in right:
                own(message)
                return

    check.mitmproxys = own  # type: ignore[attr-defined]  # for `remove`
    return check


@cache
def _right_types(kind: type[http.MessageData]) -> tuple[tuple[str, frozenset[type]], ...]:
    """The types that a part may have, exactly; an integer may stand for a float."""
    found = []
    for field in fields(kind):
        declared: Any = field.type
        options = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
        right = frozenset(options)
        found.append((field.name, right | {int} if float in right else right))
    return tuple(found)
