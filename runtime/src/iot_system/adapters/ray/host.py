"""One Ray actor class for everything that runs on Ray: it hosts an object, and forwards calls to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from iot_system.errors import IotError, Unavailable

Handle: TypeAlias = "ActorHandle[Host]"
Factory = Callable[[], Awaitable[Any]]
"""Makes and starts the hosted object; pickled by reference, so it reads its settings where it runs."""


class Gone(Unavailable):
    """The actor was ended for good, and does not come back by itself."""


class Host:
    """Ray restarts an actor by `__init__` alone: so the first call after it starts the hosted object."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._starting = asyncio.Lock()
        self._hosted: Any = None

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call ``method`` of the hosted object. What it refuses comes back as `Unavailable`."""
        async with self._starting:
            if self._hosted is None:
                self._hosted = await self._factory()
        try:
            return await getattr(self._hosted, method)(*arguments)
        except IotError as error:
            raise Unavailable(str(error)) from None


def host(name: str, namespace: str, factory: Factory, **options: Any) -> Handle:
    """Return the detached actor ``name``, created where it does not exist. Asks Ray's head: may block."""
    actor: Any = (
        ray.remote(Host)
        .options(
            name=name,
            namespace=namespace,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_concurrency=64,
            num_cpus=0,
            **options,
        )
        .remote(factory)
    )
    return cast("Handle", actor)


async def call(handle: Handle, method: str, *arguments: Any) -> Any:
    """Call a hosted object. Raises `Unavailable` where it cannot be reached or could not do it; `Gone`, see there."""
    try:
        return await cast("Any", handle).call.remote(method, *arguments)
    except RayTaskError as error:
        # Its text is the far side's traceback.
        why = str(error.cause) if isinstance(error.cause, IotError) else f"{method} failed: {error.cause!r}"
        raise Unavailable(why) from error
    except ActorDiedError as error:
        raise Gone(f"{method} failed: {_first_line(error)}") from error
    except RayError as error:
        raise Unavailable(f"{method} failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
