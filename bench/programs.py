"""Programs of the benchmark in processes of their own: each line that goes in is a question, each that comes an answer.

What is measured must not share an interpreter with what measures it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import IO, TypeVar

import msgspec
from iot_system.commands.installation import OURS
from iot_system.errors import Unavailable

ANSWER_TIMEOUT_S = 600.0
T = TypeVar("T")


class Program:
    """Made by `program`."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self._module = module
        self._process = process

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    async def ask(self, question: object, kind: type[T]) -> T:
        """The answer. Raises `Unavailable` where the program ends instead, or does not answer in time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Unavailable(f"{self._module} gives no answer for {ANSWER_TIMEOUT_S:g} s") from None
        if not line:
            raise Unavailable(f"{self._module} ended with {await self._process.wait()} instead of an answer")
        return msgspec.json.decode(line, type=kind)


@contextlib.asynccontextmanager
async def program(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Program]:
    """``python -m module`` with variables besides those of this process; it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=clean_environment() | dict(environment or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(module, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def clean_environment() -> dict[str, str]:
    """This process's variables without those that would change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def hear(kind: type[T]) -> T:
    """Within a program: the next question. Ends the program where nobody asks any more."""
    _answers()
    line = sys.stdin.readline()
    if not line:
        os._exit(0)  # from whichever thread
    return msgspec.json.decode(line, type=kind)


def hear_any() -> None:
    """Within a program: wait for the next question, whose words say nothing."""
    hear(type(None))


def answer(what: object) -> None:
    """Within a program: the answer to the last question."""
    print(msgspec.json.encode(what).decode(), file=_answers(), flush=True)


@cache
def _answers() -> IO[str]:
    """Where answers go. Whatever else is printed, by libraries for example, goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers
