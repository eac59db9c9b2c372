"""Servers are found while nobody tells their addresses."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import uvloop
from chart_harness.waiting import until
from iot_system.adapters import addresses
from iot_system.adapters.addresses import Addresses, remember_addresses

from tests.harness.resolver import SILENT, Resolver

DEADLINE_S = 10.0
NONE = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class Names:
    """Who is asked: answers are addresses, an error, or silence until `speak`."""

    def __init__(self) -> None:
        self.answer: Sequence[str] | OSError | None = ["192.0.2.1"]
        self.asked = 0
        self._spoken = asyncio.Event()

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked += 1
        if self.answer is None:
            await self._spoken.wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        assert self.answer is not None
        return self.answer

    def speak(self, answer: Sequence[str]) -> None:
        self.answer = answer
        self._spoken.set()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "PATIENCE_S", 0.05)


async def test_who_tells_is_believed_each_time(names: Names) -> None:
    known = Addresses(names)
    assert await known.of("nats") == ["192.0.2.1"]
    names.answer = ["192.0.2.2"]
    assert await known.of("nats") == ["192.0.2.2"]


@pytest.mark.parametrize("answer", [SILENT, None], ids=["failure", "silence"])
async def test_while_nobody_tells_the_address_from_before_is_taken(names: Names, answer: OSError | None) -> None:
    known = Addresses(names)
    await known.of("nats")
    names.answer = answer
    assert await known.of("nats") == ["192.0.2.1"]
    names.speak(["192.0.2.2"])

    async def is_told() -> bool:
        return await known.of("nats") == ["192.0.2.2"]

    await until(is_told, within_s=DEADLINE_S, why="what is told in the end is not believed")


async def test_a_name_that_has_no_address_any_more_is_not_remembered(names: Names) -> None:
    known = Addresses(names)
    await known.of("nats")
    names.answer = NONE
    with pytest.raises(socket.gaierror, match="not known"):
        await known.of("nats")


async def test_who_knows_none_waits_until_it_is_told_or_refused(names: Names) -> None:
    known = Addresses(names)
    names.answer = SILENT
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await known.of("nats")
    names.answer = None
    waiting = asyncio.create_task(known.of("nats"))
    done, _ = await asyncio.wait([waiting], timeout=2 * addresses.PATIENCE_S)
    assert not done
    names.speak(["192.0.2.2"])
    assert await waiting == ["192.0.2.2"]


async def test_however_many_wait_for_an_answer_it_is_asked_for_once(names: Names) -> None:
    known = Addresses(names)
    await known.of("nats")
    names.answer = None
    assert await asyncio.gather(*(known.of("nats") for _ in range(10))) == [["192.0.2.1"]] * 10
    assert names.asked == 2


@asynccontextmanager
async def greeter(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that is at one of the addresses of `localhost` alone."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=ssl_context) as server:
        yield server.sockets[0].getsockname()[1]


async def greeting(host: str, port: int, trust: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=trust)
    try:
        return await reader.read()
    finally:
        writer.close()


Run = Callable[[Coroutine[Any, Any, None]], None]
on_each_loop = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@on_each_loop
def test_a_connection_is_made_again_while_nobody_tells_addresses(run: Run) -> None:
    async def connect_again() -> None:
        resolver = Resolver(asyncio.get_running_loop())
        remember_addresses()
        async with greeter() as port:
            assert await greeting("localhost", port) == b"hello"
            resolver.is_silent = True
            assert await greeting("localhost", port) == b"hello"
            with pytest.raises(socket.gaierror, match="Temporary failure"):
                await greeting("another", port)
        assert resolver.asked == ["localhost", "localhost", "another"]

    run(connect_again())


@on_each_loop
def test_certificates_are_checked_by_the_name(run: Run) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(ours)
    authority.issue_cert("localhost").configure_cert(theirs)

    async def connect_by_tls() -> None:
        remember_addresses()
        async with greeter(theirs) as port:
            assert await greeting("localhost", port, ours) == b"hello"
            with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
                await greeting("127.0.0.1", port, ours)

    run(connect_by_tls())


async def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(*_: object, **__: object) -> object:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
    remember_addresses()
    async with greeter() as port:
        assert await greeting("several", port) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        await greeting("several", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
async def test_addresses_are_not_asked_for(host: str) -> None:
    resolver = Resolver(asyncio.get_running_loop())
    remember_addresses()
    async with greeter() as port:
        assert await greeting(host, port) == b"hello"
    assert set(resolver.asked) <= {host}, "the loop reads an address by the same way"
