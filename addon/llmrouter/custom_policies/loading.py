"""The policies of the owner's own that a configuration names, and what is wrong with their files."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from llmrouter.clock import Clock
from llmrouter.custom_policies.own_class import UnusableClass, make_policy
from llmrouter.custom_policies.policy import CustomPolicy, Failures, ask_own
from llmrouter.custom_policies.worker import OutOfTime, Worker
from llmrouter.routing.policies import Policy
from llmrouter.settings.checks import Finding, named_policies
from llmrouter.settings.location import Stamp, stamp_of
from llmrouter.settings.model import Settings
from llmrouter.settings.values import is_custom

# Reading a file and what it imports; the router stands still for so long at most.
_LOADING_S = 5.0
_CLOCK = Clock()


class CustomPolicies:
    """The policies of one configuration, whose paths count from `folder`; `load` is a check of `load_settings`.

    `stamps` are the files that it named, as they were when they were read. `failures` counts on over configurations.
    """

    def __init__(
        self,
        folder: Path,
        failures: Failures,
        now: Callable[[], float] = _CLOCK.monotonic,
        loading_s: float = _LOADING_S,
    ) -> None:
        self.policies: dict[str, Policy] = {}
        self.stamps: dict[Path, Stamp | None] = {}
        self._folder = folder
        self._failures = failures
        self._now = now
        self._loading_s = loading_s

    def load(self, settings: Settings) -> Iterator[Finding]:
        """Makes each class once, running its file; yields what is wrong, where the policy is named."""
        problems: dict[str, str] = {}
        for path, name in named_policies(settings):
            if not is_custom(name):
                continue
            if name not in self.policies and name not in problems:
                try:
                    self.policies[name] = self._make(name, settings.policies.custom.timeout_seconds)
                except UnusableClass as error:
                    problems[name] = str(error)
            if name in problems:
                yield path, problems[name]

    def _make(self, name: str, patience_s: float) -> CustomPolicy:
        told, _, class_name = name.rpartition(":")
        file = (self._folder / os.path.expanduser(told)).absolute()
        self.stamps[file] = stamp_of(file)
        worker = Worker(f"policy {name}")
        try:
            own = worker.run(partial(make_policy, file, class_name), self._loading_s)
        except OutOfTime:
            raise UnusableClass(f"{file} is not ready within {self._loading_s:g} seconds") from None
        return CustomPolicy(name, partial(ask_own, own, file), worker, patience_s, self._failures, self._now)
