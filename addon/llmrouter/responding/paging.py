"""Lists of OpenAI's newer surfaces: what a query asks for, and one page of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmrouter.errors import InvalidRequest

_MOST, _DEFAULT = 100, 20


@dataclass(frozen=True, slots=True)
class ListQuery:
    """How much of a list is wanted, and where it begins or ends."""

    limit: int
    is_descending: bool
    after: str | None
    before: str | None


def list_query(query: Mapping[str, str]) -> ListQuery:
    """Reads `limit` (1 to 100, 20 where it is not given), `order` (`desc` where it is not given), `after`, `before`."""
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _invalid("order", f"'{order}' is neither 'asc' nor 'desc'", "invalid_value")
    return ListQuery(
        _limit(query.get("limit")), order == "desc", query.get("after") or None, query.get("before") or None
    )


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT
    if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 10):
        raise _invalid("limit", f"expected an integer, but got '{text[:40]}'", "invalid_type")
    limit = int(text)
    if limit < 1:
        raise _invalid("limit", f"expected a value >= 1, but got {limit}", "integer_below_min_value")
    if limit > _MOST:
        raise _invalid("limit", f"expected a value <= {_MOST}, but got {limit}", "integer_above_max_value")
    return limit


def unknown_cursor(which: str, id: str) -> InvalidRequest:
    """For an `after` or `before` that names nothing in the list."""
    return _invalid(which, f"no item with id '{id}' is in the list", "invalid_value")


def listed(items: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """One page, as OpenAI's clients read it."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"object": "list", "data": list(items), "first_id": first, "last_id": last, "has_more": has_more}


def page_of(items: Sequence[dict[str, Any]], query: ListQuery) -> dict[str, Any]:
    """One page of a list that is all there; raises `InvalidRequest` where a cursor is not in it."""
    ordered = list(reversed(items)) if query.is_descending else list(items)
    if query.after is not None:
        ordered = ordered[_place(ordered, "after", query.after) + 1 :]
    if query.before is not None:
        ordered = ordered[: _place(ordered, "before", query.before)]
        page = ordered[-query.limit :] if query.after is None else ordered[: query.limit]
    else:
        page = ordered[: query.limit]
    return listed(page, len(page) < len(ordered))


def _place(items: Sequence[dict[str, Any]], which: str, id: str) -> int:
    for place, item in enumerate(items):
        if item["id"] == id:
            return place
    raise unknown_cursor(which, id)


def _invalid(param: str, why: str, code: str) -> InvalidRequest:
    error = InvalidRequest(f"Invalid '{param}': {why}.", param=param)
    error.code = code
    return error
