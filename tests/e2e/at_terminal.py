"""Runs a command at a terminal of its own and types Ctrl-C once it says `ready`: python at_terminal.py COMMAND ..."""

import os
import pty
import sys

child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said, is_typed = b"", False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        # Linux says so when the last program has left the terminal.
        break
    if not piece:
        break
    said += piece
    if b"ready" in said and not is_typed:
        is_typed = True
        os.write(terminal, b"\x03")
print(said.decode())
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
