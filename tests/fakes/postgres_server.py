"""A real PostgreSQL on loopback, which can be stopped and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")
_USER = "postgres"
_START_S = 30


class PostgresServer:
    """`postgres` on a port of its own, with the user `postgres` and no password."""

    def __init__(self) -> None:
        # Not in pytest's own folders, which nobody else may enter: PostgreSQL refuses to run as root.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        if not (self._folder / "PG_VERSION").exists():
            self._make()
        options = ("-D", str(self._folder), "-p", str(self.port), "-h", "127.0.0.1", "-k", "", *_FAST)
        self._process = _begin("postgres", *options)
        patience = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=1).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, "postgres did not start"
                assert time.monotonic() < patience, "postgres does not answer"
                # It tells nobody when it is ready.
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Ends it at once; what was written stays."""
        if self._process is not None and self._process.poll() is None:
            # Its own word for an immediate end, which its children obey, too.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Lets it and its children say nothing, while their connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, number)

    def remove(self) -> None:
        """Ends it, and removes its files."""
        self.stop()
        shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._databases += 1
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test{self._databases}".encode())
        return self.url.removesuffix("postgres") + f"test{self._databases}"

    def _make(self) -> None:
        if os.getuid() == 0:
            shutil.chown(self._folder, _USER, _USER)
        made = _begin("initdb", "-D", str(self._folder), "-U", _USER, "-A", "trust", "--no-sync")
        assert made.wait() == 0, "initdb failed"


def _begin(name: str, *options: str) -> subprocess.Popen[bytes]:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    program = shutil.which(name) or next(map(str, places), None)
    assert program is not None, "postgresql is missing: scripts/test installs it on Debian"
    quiet, user = subprocess.DEVNULL, pwd.getpwnam(_USER) if os.getuid() == 0 else None
    return subprocess.Popen(
        [program, *options],
        stdout=quiet,
        stderr=quiet,
        cwd="/",
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )
