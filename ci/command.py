"""Running other programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from ci.errors import CiError
from ci.progress import Step

LAST_LINES = 20


class CommandError(CiError):
    """A program ended with an error; the text has its last lines."""

    def __init__(self, command: Sequence[str | Path], code: int, output: str) -> None:
        last = "\n".join(output.strip().splitlines()[-LAST_LINES:])
        super().__init__(f"`{shlex.join(map(str, command))}` ended with {code}:\n{last}")


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | IO[bytes] | None = None,
    step: Step | None = None,
    timeout_s: float | None = None,
) -> str:
    """What the program wrote to its standard output; ``env`` comes on top of this process's own.

    With a ``step`` every line is told to it while the program runs, standard error included.
    Raises CommandError, also when the program is not there or takes longer than ``timeout_s``.
    """
    full = {**os.environ, **(env or {})}
    try:
        if step is not None:
            return _watched(command, full, cwd, step)
        done = _finished(command, full, cwd, stdin, timeout_s)
    except FileNotFoundError as missing:
        raise CommandError(command, 127, str(missing)) from missing
    except subprocess.TimeoutExpired as late:
        raise CommandError(command, 124, f"no end after {timeout_s:g} s") from late
    out = done.stdout.decode(errors="replace")
    if done.returncode:
        raise CommandError(command, done.returncode, done.stderr.decode(errors="replace") or out)
    return out


def works(*command: str | Path, env: Mapping[str, str] | None = None, timeout_s: float | None = None) -> bool:
    """Whether the program ends without an error."""
    try:
        run(*command, env=env, timeout_s=timeout_s)
    except CommandError:
        return False
    return True


def _finished(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: str | IO[bytes] | None,
    timeout_s: float | None,
) -> subprocess.CompletedProcess[bytes]:
    """The ended program; a text goes to its standard input, a file becomes it."""
    text = stdin.encode() if isinstance(stdin, str) else None
    file = None if isinstance(stdin, str) else stdin or subprocess.DEVNULL
    return subprocess.run(
        command, env=env, cwd=cwd, input=text, stdin=file, capture_output=True, timeout=timeout_s, check=False
    )


def _watched(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path | None, step: Step) -> str:
    with subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        lines: deque[str] = deque(maxlen=10_000)
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            step.tell(line)
    if process.returncode:
        raise CommandError(command, process.returncode, "".join(lines))
    return "".join(lines)
