"""The handshake before our servers, on both event loops: who is let in, what is said of others, what changes later."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from iot_system.adapters.tls import door
from iot_system.adapters.tls.contexts import NamedFile, Pair, server_contexts
from iot_system.errors import InvalidSetting
from structlog.testing import capture_logs

from tests.contract.tls.echoing import DEADLINE_S, greeting, says, serving
from tests.harness.certificates import Authority, Signed, replace


async def refusal(port: int, attempt: Callable[[int], None]) -> dict[str, object]:
    """The one line that the server logs about a client that is not let in."""
    with capture_logs() as lines:
        await asyncio.to_thread(attempt, port)
        async with asyncio.timeout(DEADLINE_S):
            while not lines:  # noqa: ASYNC110 - the log has no event to wait for
                await asyncio.sleep(0.01)
    assert len(lines) == 1, lines
    return dict(lines[0])


def by_tls(context: ssl.SSLContext) -> Callable[[int], None]:
    """A client that is to be refused: in TLS 1.3 it hears of it with the first byte that it waits for."""

    def attempt(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as encrypted:
                    assert encrypted.recv(1) == b""
            except OSError:
                return  # the handshake failed here, or the connection was reset

    return attempt


def by_plain_text(data: bytes) -> Callable[[int], None]:
    def attempt(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as plain:
            plain.sendall(data)
            while plain.recv(1024):
                pass

    return attempt


async def test_a_client_is_known_by_its_certificate(ours: Authority) -> None:
    async with serving(ours, "required") as served:
        streams = await served.connect(ours.context(ours.client("sensor-1")))
        assert await greeting(streams) == "sensor-1"
        await says(streams, "hello")


async def test_an_optional_certificate_may_be_missing(ours: Authority) -> None:
    async with serving(ours, "optional") as served:
        assert await greeting(await served.connect(ours.context())) == "nobody"
        assert await greeting(await served.connect(ours.context(ours.client("one")))) == "one"


async def test_certificates_that_nobody_asks_for_say_nothing(ours: Authority) -> None:
    async with serving(ours, "off") as served:
        assert await greeting(await served.connect(ours.context(ours.client("one")))) == "nobody"


async def test_who_comes_after_the_end_is_told_at_once_and_others_are_served_on(ours: Authority) -> None:
    async with serving(ours) as served:
        streams = await served.connect(ours.context())
        await greeting(streams)
        served.door.close()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(ConnectionError):
                await greeting(await served.connect(ours.context()))
        await says(streams, "hello")


def bad_clients(ours: Authority, other: Authority) -> dict[str, tuple[Callable[[int], None], str]]:
    """Each bad client, and the sentence about it."""
    day = timedelta(days=1)
    no_signer = "the client's certificate is not signed by a CA that is known here"
    no_tls = "the client does not speak TLS, and this port speaks nothing else"
    return {
        "wrong CA": (by_tls(ours.context(other.client("one"))), no_signer),
        "expired": (
            by_tls(ours.context(ours.client("one", starts=-2 * day, ends=-day))),
            "the client's certificate has expired",
        ),
        "not yet valid": (
            by_tls(ours.context(ours.client("one", starts=day, ends=2 * day))),
            "the client's certificate is not valid yet",
        ),
        "a server's": (
            by_tls(ours.context(ours.client("one", for_clients=False))),
            "the client's certificate is not made for clients (extended key usage)",
        ),
        "none": (by_tls(ours.context()), "the client shows no certificate, and this port requires one"),
        "plain MQTT": (by_plain_text(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test"), no_tls),
        "plain HTTP": (
            by_plain_text(b"GET / HTTP/1.1\r\n\r\n"),
            "the client speaks HTTP without TLS, and this port speaks HTTPS alone",
        ),
        "does not know us": (
            by_tls(other.context(ours.client("one"))),
            "the client does not know who signed this server's certificate",
        ),
    }


async def test_each_bad_client_is_refused_with_one_sentence_and_harms_no_other(
    ours: Authority, other: Authority
) -> None:
    async with serving(ours, "required") as served:
        good = await served.connect(ours.context(ours.client("good")))
        assert await greeting(good) == "good"
        for name, (attempt, sentence) in bad_clients(ours, other).items():
            line = await refusal(served.port, attempt)
            assert line["why"] == sentence, name
            assert (line["event"], line["port"]) == ("refused", "test")
            assert str(line["client"]).startswith("127.0.0.1:")
            await says(good, name)


async def test_who_only_looks_whether_somebody_listens_is_no_refusal(ours: Authority) -> None:
    """Load balancers do so every few seconds."""

    def look(port: int) -> None:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S).close()

    async with serving(ours) as served:
        with capture_logs() as lines:
            await asyncio.to_thread(look, served.port)
            await served.serial()  # which takes some more steps of the loop than to see that the other one has left
        assert [line for line in lines if line["log_level"] != "debug"] == []


async def test_silent_connections_keep_nobody_out_at_the_limit_the_oldest_is_cut(
    ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HANDSHAKES_LIMIT", 8)
    async with serving(ours) as served:
        with capture_logs() as lines:
            silent = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(8)]
            assert await greeting(await served.connect(ours.context())) == "nobody"
            async with asyncio.timeout(DEADLINE_S):
                assert await silent[0][0].read() == b""
        oldest = silent[0][1].get_extra_info("sockname")[1]
        assert [(line["client"], line["why"]) for line in lines] == [
            (f"127.0.0.1:{oldest}", "there are 8 younger handshakes under way, the limit")
        ]
        second = silent[1][1]
        await second.start_tls(ours.context(), server_hostname="localhost")
        assert await greeting(silent[1]) == "nobody"
        for _, writer in silent:
            writer.close()


async def test_what_is_sent_with_the_last_flight_of_the_handshake_arrives(ours: Authority) -> None:
    async with serving(ours) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ours.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
        client.write(b"early\n")
        writer.write(outgoing.read())
        received = b""
        async with asyncio.timeout(DEADLINE_S):
            while received != b"nobody\nearly\n":
                incoming.write(await reader.read(65_536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        received += client.read(1024)
        writer.close()


async def test_new_connections_get_the_new_certificate_and_open_ones_stay(ours: Authority) -> None:
    async with serving(ours) as served:
        before = served.shown.serial
        opened = await served.connect(ours.context())
        assert await served.serial() == before
        new = ours.server()
        served.shown.replace_with(new)
        served.look()
        assert await served.serial() == new.serial != before
        await greeting(opened)
        await says(opened, "still here")


async def test_a_half_written_pair_keeps_the_old_one_and_says_so_once(ours: Authority) -> None:
    async with serving(ours) as served:
        before, new = served.shown.serial, ours.server()
        replace(served.shown.certificate, new.certificate)
        with capture_logs() as lines:
            for _ in range(3):
                served.look()
                assert await served.serial() == before
        assert [line["why"] for line in lines] == [
            f"KEY ({served.shown.key}) is not the key of CERTIFICATE ({served.shown.certificate})"
        ]
        replace(served.shown.key, new.key)
        served.look()
        assert await served.serial() == new.serial


async def test_a_ca_that_is_taken_out_of_the_file_is_good_for_nobody_new(ours: Authority, other: Authority) -> None:
    async with serving(ours, "required") as served:
        assert await greeting(await served.connect(ours.context(ours.client("one")))) == "one"
        trusting = ours.context(other.client("two"))
        old = ours.context(ours.client("one"))
        replace(ours.ca, other.ca)
        served.look()
        assert await greeting(await served.connect(trusting)) == "two"
        line = await refusal(served.port, by_tls(old))
        assert line["why"] == "the client's certificate is not signed by a CA that is known here"


@pytest.mark.parametrize("broken", ["missing", "empty", "another key"])
def test_files_that_cannot_be_used_stop_the_start(ours: Authority, broken: str) -> None:
    shown: Signed = ours.server()
    match broken:
        case "missing":
            Path(shown.key).unlink()
        case "empty":
            Path(shown.key).write_text("")
        case _:
            replace(shown.key, ours.server().key)
    pair = Pair(NamedFile("IOT_HTTP_TLS_CERTIFICATE", shown.certificate), NamedFile("IOT_HTTP_TLS_KEY", shown.key))
    with pytest.raises(InvalidSetting, match="IOT_HTTP_TLS_KEY") as refused:
        server_contexts(pair, None, "off")
    assert "\n" not in str(refused.value)


def test_a_file_without_a_certificate_is_no_ca(ours: Authority) -> None:
    shown = ours.server()
    pair = Pair(NamedFile("CERTIFICATE", shown.certificate), NamedFile("KEY", shown.key))
    with pytest.raises(InvalidSetting, match=r"IOT_DEVICE_CA .* holds no certificate of a CA"):
        server_contexts(pair, NamedFile("IOT_DEVICE_CA", shown.key), "required")
