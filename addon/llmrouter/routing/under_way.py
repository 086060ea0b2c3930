"""How many attempts are under way at each target, whether it has limits or not."""

from weakref import WeakSet


class UnderWay:
    """The attempts under way, by their targets' keys; one whose end nobody tells is gone with its last user."""

    __slots__ = ("_attempts",)

    def __init__(self) -> None:
        self._attempts: dict[str, WeakSet[object]] = {}

    def begin(self, key: str, attempt: object) -> None:
        """An attempt begins."""
        attempts = self._attempts.get(key)
        if attempts is None:
            attempts = self._attempts[key] = WeakSet()
        attempts.add(attempt)

    def end(self, key: str, attempt: object) -> None:
        """An attempt has ended; a second time this changes nothing."""
        if (attempts := self._attempts.get(key)) is not None:
            attempts.discard(attempt)

    def at(self, key: str) -> int:
        """How many there are."""
        attempts = self._attempts.get(key)
        return 0 if attempts is None else len(attempts)
