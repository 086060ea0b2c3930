"""The owner's class: the protocol that it fulfils, how it is read from its file, and what its exceptions are called."""

import inspect
import sys
import traceback
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from llmrouter.routing.policies import CallFacts, Candidate

_LONGEST_MESSAGE = 200


class OwnPolicy(Protocol):
    """A policy of one's own: `policy: path/to/file.py:Class` in the file or a route.

    The class is made once per configuration, without arguments, and asked on a thread of its own, one call at a time.
    `config/policy_example.py` is one that works.
    """

    def order(self, call: CallFacts, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates of one priority tier, best first, the same objects that were given, each once at most.

        Those that are left out follow in the order of `least_cost`. Where it raises or returns anything else,
        `least_cost` orders the tier, and the decision says why; likewise from the tier on at which it has taken longer
        than `policies.custom.timeout_seconds` for all tiers of the call together.
        """
        ...


class UnusableClass(Exception):
    """There is no such class, or it cannot be used; the message says why."""


def make_policy(file: Path, name: str) -> OwnPolicy:
    """An object of the class in a file; raises `UnusableClass`, whatever the file does."""
    own: OwnPolicy = make_own(file, name, "order", ("call", "candidates"))
    return own


def make_own(file: Path, name: str, method: str, arguments: Sequence[str]) -> Any:
    """An object of a class with a method that takes these arguments; raises `UnusableClass` as `make_policy` does."""
    module = _module(file, name)
    found = vars(module).get(name)
    wanted = f"{method}({', '.join(arguments)})"
    if not isinstance(found, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and hasattr(value, method)]
        hint = f"there are: {', '.join(classes)}" if classes else f"a class with a method {wanted} is needed"
        raise UnusableClass(f"{file} has no class {name}; {hint}")
    asked = getattr(found, method, None)
    if not callable(asked) or inspect.iscoroutinefunction(asked):
        raise UnusableClass(f"the class {name} needs a method {wanted} that is not async")
    try:
        own = found()
        inspect.signature(getattr(own, method)).bind(*(None for _ in arguments))
    except BaseException as error:  # noqa: BLE001 - whatever the owner's code raises is its fault, and told
        raise UnusableClass(f"the class {name} cannot be used: {describe(error, file)}") from None
    return own


def _module(file: Path, name: str) -> ModuleType:
    """The file, run for a class of it as a module of its own; its text is read anew, and no compiled copy is kept."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UnusableClass(f"{file} cannot be read: {error.strerror}") from None
    module = ModuleType(f"llmrouter_policy_{sha256(f'{file}:{name}'.encode()).hexdigest()[:16]}")
    module.__file__ = str(file)
    earlier = sys.modules.get(module.__name__)
    # Dataclasses look their module up by its name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(file), "exec"), vars(module))
    except BaseException as error:  # noqa: BLE001 - as above; a syntax error is one of them
        if earlier is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = earlier
        raise UnusableClass(f"{file} cannot be run: {describe(error, file)}") from None
    return module


def describe(error: BaseException, file: Path) -> str:
    """An exception in one short line, with the line of the file that it came from."""
    try:
        message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:_LONGEST_MESSAGE]
    except BaseException:  # noqa: BLE001 - an exception of the owner's own may fail to say what it is
        message = ""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno or 1)
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{told} ({file.name}, line {lines[-1]})" if lines else told
