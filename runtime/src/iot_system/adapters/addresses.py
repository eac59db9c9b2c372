"""Connections that find their servers while nobody tells addresses: at those that were told last.

While a cluster's DNS is away, a connection that breaks could not be made again, although its server is where it was: a
Kubernetes service keeps its address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

PATIENCE_S = 1.0
"""How long somebody waits for an address who knows one from before."""
_IS_NONE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""What is said of a name that has no address (any more): an answer, not the lack of one."""
log = structlog.get_logger()


class Addresses:
    """Addresses by name; ``ask`` asks the system, and raises OSError where it gets none."""

    def __init__(self, ask: Callable[[str], Awaitable[Sequence[str]]]) -> None:
        self._ask = ask
        self._asking: dict[str, asyncio.Task[Sequence[str]]] = {}
        self._known: dict[str, Sequence[str]] = {}

    async def of(self, name: str) -> Sequence[str]:
        """One at least. Raises OSError where there is none, or where nobody tells and nobody has told before.

        A question that is not answered is asked once, however many wait for it.
        """
        known = self._known.get(name)
        try:
            async with asyncio.timeout(PATIENCE_S if known else None):
                return await asyncio.shield(self._asked(name))
        except OSError as error:  # a TimeoutError is one, too
            if known is None or (isinstance(error, socket.gaierror) and error.errno in _IS_NONE):
                raise
            log.warning("nobody tells an address: the one from before is taken", name=name, why=str(error) or "silence")
            return known

    def _asked(self, name: str) -> asyncio.Task[Sequence[str]]:
        if name not in self._asking:
            self._asking[name] = asyncio.ensure_future(self._ask_and_keep(name))
            self._asking[name].add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        return self._asking[name]

    async def _ask_and_keep(self, name: str) -> Sequence[str]:
        try:
            self._known[name] = await self._ask(name)
        finally:
            del self._asking[name]
        return self._known[name]


class _Connect:
    """`loop.create_connection` that knows addresses."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connect = loop.create_connection
        self._addresses = Addresses(self._ask)

    async def _ask(self, name: str) -> Sequence[str]:
        found = await self._loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address) for *_, (address, *_) in found))

    async def __call__(self, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        if not isinstance(host, str) or _is_address(host):
            return await self._connect(factory, host, port, **options)
        if options.get("ssl"):
            options.setdefault("server_hostname", host)
        *others, last = await self._addresses.of(host)
        for address in others:
            try:
                return await self._connect(factory, address, port, **options)
            except OSError:
                continue
        return await self._connect(factory, last, port, **options)


def remember_addresses() -> None:
    """From now on all connections of this event loop, whoever makes them, know `Addresses`; idempotent.

    The drivers give names to the loop, and check certificates by them: they need not know.
    """
    loop: Any = asyncio.get_running_loop()
    if not isinstance(loop.create_connection, _Connect):
        loop.create_connection = _Connect(loop)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
