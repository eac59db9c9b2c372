"""One system for all tests of this folder, on a loop and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.harness.system import ADMIN_TOKEN, running_system

START_TIMEOUT_S = 60.0


class Shared:
    """Where it is."""

    def __init__(self, url: str, mqtt_port: int) -> None:
        self.url = url
        self.mqtt = ("127.0.0.1", mqtt_port)
        self.admin_token = ADMIN_TOKEN


@contextmanager
def shared_system(folder: Path) -> Iterator[Shared]:
    """Start it, and stop it."""
    started: Future[Shared] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: uvloop.run(_run(folder, started, stop)))
    thread.start()
    try:
        yield started.result(START_TIMEOUT_S)
    finally:
        stop.set()
        thread.join()


async def _run(folder: Path, started: Future[Shared], stop: threading.Event) -> None:
    try:
        async with running_system(folder) as system:
            started.set_result(Shared(system.pod.url, system.pod.mqtt_port))
            await asyncio.to_thread(stop.wait)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
