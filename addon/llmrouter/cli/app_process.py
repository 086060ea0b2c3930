"""The app that runs behind the router: its signals and its exit code are the command's own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

_FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
_FROM_TERMINAL = ("SIGINT", "SIGQUIT")
# As shells do (POSIX, "Exit Status for Commands").
_NOT_FOUND, _NOT_EXECUTABLE, _SIGNALLED = 127, 126, 128


class AppProcess:
    """Runs one program; before it does, a signal ends the command, and from then on the program gets it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Takes signals from now on; what is ignored, as under nohup, stays so."""
        taken = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
        earlier = {number: signal.signal(number, self._take) for number in taken}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Runs the program to its end, and gives the exit code that a shell would."""
        try:
            self._process = subprocess.Popen(command, env=dict(environ))
        except FileNotFoundError:
            print(f"llmrouter: {command[0]}: there is no such command", file=sys.stderr)
            return _NOT_FOUND
        except OSError as error:
            print(f"llmrouter: {command[0]}: {error.strerror}", file=sys.stderr)
            return _NOT_EXECUTABLE
        code = self._process.wait()
        return code if code >= 0 else _SIGNALLED - code

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            raise SystemExit(_SIGNALLED + number)
        if signal.Signals(number).name in _FROM_TERMINAL and _is_of_terminal():
            # The terminal has sent it to the app, too, which must not get it twice.
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def _is_of_terminal() -> bool:
    """Whether what is typed at the terminal comes to this process and to the app alike."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
