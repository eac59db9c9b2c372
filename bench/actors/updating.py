"""`python -m bench.actors.updating`: is told a side and its devices, then updates them by what it is asked for.

That is a number of messages, and of the metrics in each. They are made before the time that is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import uvloop
from iot_system.garbage import collect_seldom
from iot_system.logs import set_up_logs

from bench.actors import alone, on_ray, through_shard
from bench.actors.messages import Conversation
from bench.actors.updater import Updated, Updater
from bench.programs import answer, hear

SIDES: Mapping[str, Callable[[int], AbstractAsyncContextManager[Updater]]] = {
    "alone": alone.updater,
    "shard": through_shard.updater,
    "ray": on_ray.updater,
}


async def main() -> None:
    """Answer until nobody asks any more."""
    set_up_logs("error")
    side, devices = hear(tuple[str, int])
    conversation = Conversation(devices)
    async with SIDES[side](devices) as updater:
        collect_seldom()
        answer(None)
        while True:
            messages = conversation.next(*await asyncio.to_thread(hear, tuple[int, int]))
            began_s = time.perf_counter()
            await updater.update(messages)
            answer(Updated(len(messages), time.perf_counter() - began_s))


if __name__ == "__main__":
    uvloop.run(main())
