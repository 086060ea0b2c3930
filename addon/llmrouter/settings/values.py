"""What a single value of the settings must be, and how to say so where it is not."""

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_KEY_PREFIX = re.compile(r"(sk|gsk|hf|nvapi|xai|pplx|csk|tgp|r8)_|AIza")
_KEY_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})
_FRAMING_HEADERS = frozenset({"host", "connection", "content-length", "content-encoding", "transfer-encoding"})
POLICIES = ("least_cost", "least_latency", "round_robin", "weighted", "quality", "schedule")
_CUSTOM_POLICY = r"^[ -~]+\.py:[A-Za-z_][A-Za-z0-9_]*$"
_HOST = re.compile(r"(?!\d+(\.\d+)*\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)


def is_custom(policy: str) -> bool:
    """Whether a policy is a class of the owner's own, `path/to/file.py:Class`."""
    return re.fullmatch(_CUSTOM_POLICY, policy) is not None and policy.isprintable()


def _check_policy(name: str) -> str:
    if name in POLICIES or is_custom(name):
        return name
    if ".py" in name:
        raise ValueError("a class of your own is written path/to/file.py:Class, in plain ASCII letters")
    raise ValueError(f"this policy is not known; use one of: {', '.join(POLICIES)}, or path/to/file.py:Class")


def _check_inner_policy(name: str) -> str:
    known = [policy for policy in POLICIES if policy != "schedule"]
    if name == "schedule":
        raise ValueError(f"a schedule within a schedule is not possible; use one of: {', '.join(known)}")
    if is_custom(name):
        raise ValueError("a class of your own can look at the hour itself; name it as `policy` of the file or a route")
    if name not in known:
        raise ValueError(f"this policy is not known; use one of: {', '.join(known)}")
    return name


def _check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        close = get_close_matches(name, available_timezones(), 1)
        hint = f"did you mean {close[0]}?" if close else "write one such as Europe/Berlin or UTC"
        raise ValueError(f"this time zone is not known on this machine; {hint}") from None
    return name


def _check_hours(hours: str) -> str:
    begins, ends = hours.split("-")
    if begins == ends:
        raise ValueError("these hours end when they begin; leave them out for the whole day")
    return hours


def _check_host(name: str) -> str:
    if "://" in name or "/" in name:
        raise ValueError("a host name alone is needed, without scheme or path, such as api.openai.com")
    if ":" in name:
        raise ValueError("a host name alone is needed, without a port, such as api.openai.com")
    if "*" in name or "?" in name:
        raise ValueError("wildcards are not possible, because the certificate names each host; list the hosts")
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise ValueError("this is not a host name; write one such as api.openai.com")
    return name.lower()


def _check_url(url: str) -> str:
    example = "such as https://api.example.com/v1"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; write one {example}") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise ValueError(f"a URL that starts with http:// or https:// is needed, {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not hold a user name or password; put the key into api_key_env")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError(f"a URL without query and fragment is needed, {example}")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError("leave /chat/completions out: the router adds it")
    return url.rstrip("/")


def _check_glob(glob: str) -> str:
    if glob != glob.strip():
        raise ValueError("the pattern has spaces around it; leave them out")
    if "[" in re.sub(r"\[!?\]?[^\]]*\]", "", glob):
        raise ValueError("the pattern has a [ without a ]; write [[] for a literal [")
    return glob


def _check_header(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError("this is not a header name; use letters, digits and hyphens")
    if name.lower() in _KEY_HEADERS:
        raise ValueError("a key must not stand in this file; name its environment variable in `api_key_env`")
    if name.lower() in _FRAMING_HEADERS:
        raise ValueError("the router sets this header itself; leave it out")
    return name


def _check_header_value(value: str) -> str:
    if any(ord(character) < 32 or ord(character) > 126 for character in value):
        raise ValueError("a header's value is one line of ASCII")
    return value


def _check_variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or _looks_like_key(name):
        raise ValueError("the name of an environment variable is needed (not the key itself), such as GROQ_API_KEY")
    return name


def _looks_like_key(name: str) -> bool:
    """Whether somebody wrote the key where its variable's name belongs: the name is printed, the key must not be."""
    has_prefix = len(name) >= 20 and _KEY_PREFIX.match(name) is not None
    is_one_word = len(name) >= 24 and "_" not in name
    return (has_prefix or is_one_word) and any(character.isdigit() for character in name)


def check_sqlite(url: str, otherwise: str = "") -> str:
    """A file of SQLite; raises `ValueError`, which also tells what is possible `otherwise`."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path.strip("/"):
        told = "a file of SQLite is needed, such as sqlite:///state/llmrouter.db (four slashes: from the root)"
        raise ValueError(f"{told}, {otherwise}" if otherwise else told)
    return url


type StorageUrl = Annotated[str, AfterValidator(check_sqlite)]
type Host = Annotated[str, AfterValidator(_check_host)]
type Url = Annotated[str, AfterValidator(_check_url)]
type Policy = Annotated[
    str,
    AfterValidator(_check_policy),
    Field(json_schema_extra={"anyOf": [{"enum": list(POLICIES)}, {"pattern": _CUSTOM_POLICY}]}),
]
type InnerPolicy = Annotated[
    str,
    AfterValidator(_check_inner_policy),
    Field(json_schema_extra={"enum": [p for p in POLICIES if p != "schedule"]}),
]
type TimeZone = Annotated[str, AfterValidator(_check_time_zone)]
type Glob = Annotated[str, Field(min_length=1), AfterValidator(_check_glob)]
type HeaderName = Annotated[str, AfterValidator(_check_header)]
type HeaderValue = Annotated[str, AfterValidator(_check_header_value)]
type VariableName = Annotated[str, AfterValidator(_check_variable)]
# Strict: `yes` and "10" are no numbers, here as in the JSON Schema.
type Seconds = Annotated[float, Field(gt=0, strict=True)]
type Wait = Annotated[float, Field(ge=0, strict=True)]
type Share = Annotated[float, Field(ge=0, le=1, strict=True)]
type Weight = Annotated[float, Field(gt=0, strict=True)]
type Price = Annotated[float, Field(ge=0, le=1_000_000_000, strict=True)]
type Importance = Annotated[float, Field(ge=0, strict=True)]
type PositiveInt = Annotated[int, Field(ge=1, le=1_000_000_000_000, strict=True)]
type DayHours = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
type WindowHours = Annotated[DayHours, AfterValidator(_check_hours)]
type Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
type Flag = Annotated[bool, Field(strict=True)]


def _word_off(value: Any) -> Any:
    return "off" if value is False else value


OFF_IS_A_WORD = BeforeValidator(_word_off)
"""For a value that may be the word off: PyYAML, which reads YAML 1.1, takes it for false where it has no quotes."""


class Frozen(BaseModel):
    """A mapping of the file: unknown keys are refused, and it never changes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )
