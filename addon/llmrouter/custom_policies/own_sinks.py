"""The sinks of the owner's own that a configuration names: classes that are told of every decision."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from llmrouter.custom_policies.own_class import UnusableClass, make_own
from llmrouter.custom_policies.worker import OutOfTime, Worker
from llmrouter.settings.checks import Finding
from llmrouter.settings.location import Stamp, stamp_of
from llmrouter.settings.model import Settings
from llmrouter.telemetry.decisions import Decision

_LOADING_S = 5.0


class OwnSink(Protocol):
    """A sink of one's own: `telemetry: {sinks: [path/to/file.py:Class]}`.

    The class is made once per configuration, without arguments. Where it has a method `close`, that runs at the end.
    """

    def take(self, decision: dict[str, Any]) -> object:
        """Takes a decision as the log has it; runs on a thread of its own, so that it may take its time."""
        ...


class LoadedSink(NamedTuple):
    """A sink that is ready: its name in the settings, what takes a decision, and what ends it."""

    name: str
    take: Callable[[Decision], object]
    end: Callable[[], object]


class OwnSinks:
    """The sinks of one configuration, whose paths count from `folder`; `load` is a check of `load_settings`.

    `stamps` are the files that it named, as they were when they were read.
    """

    def __init__(self, folder: Path, loading_s: float = _LOADING_S) -> None:
        self.sinks: list[LoadedSink] = []
        self.stamps: dict[Path, Stamp | None] = {}
        self._folder = folder
        self._loading_s = loading_s

    def load(self, settings: Settings) -> Iterator[Finding]:
        """Makes each class, running its file; yields what is wrong, where the sink is named."""
        for number, name in enumerate(settings.telemetry.sinks):
            try:
                self.sinks.append(self._make(name))
            except UnusableClass as error:
                yield ("telemetry", "sinks", number), str(error)

    def _make(self, name: str) -> LoadedSink:
        told, _, class_name = name.rpartition(":")
        file = (self._folder / os.path.expanduser(told)).absolute()
        self.stamps[file] = stamp_of(file)
        make = partial(make_own, file, class_name, "take", ("decision",))
        try:
            own: OwnSink = Worker(f"sink {name}").run(make, self._loading_s)
        except OutOfTime:
            raise UnusableClass(f"{file} is not ready within {self._loading_s:g} seconds") from None
        return LoadedSink(name, lambda decision: own.take(decision.to_record()), getattr(own, "close", lambda: None))
