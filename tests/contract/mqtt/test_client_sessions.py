"""What clients that others wrote get of the broker's finer points: paho-mqtt, aiomqtt, and mosquitto's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count

import paho.mqtt.client as paho
import pytest
from aiomqtt import ProtocolVersion
from chart_harness.waiting import until
from iot_system.adapters.mqtt.limits import MqttLimits
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.contract.mqtt.mosquitto import mosquitto, needs_mosquitto
from tests.contract.mqtt.peers import Peer, peer_at
from tests.contract.mqtt.serving import DEADLINE_S, Served, serving

VERSIONS = [ProtocolVersion.V311, ProtocolVersion.V5]
_numbers = count(1)


@pytest.fixture
def below() -> str:
    """Topics of this test alone."""
    return f"app/sessions/{next(_numbers)}"


@asynccontextmanager
async def peer(
    served: Served, version: ProtocolVersion, *, client_id: str | None = None, keeps_session: bool = False
) -> AsyncIterator[Peer]:
    """aiomqtt, as the administrator."""
    async with peer_at(
        served.port, "admin", served.tokens["admin"], version=version, client_id=client_id, keeps_session=keeps_session
    ) as one:
        yield one


@contextmanager
def paho_client(
    served: Served, client: paho.Client, *, keep_alive_s: int = 60, properties: Properties | None = None
) -> Iterator[paho.Client]:
    """In its own thread, as the administrator."""
    client.username_pw_set("admin", served.tokens["admin"])
    client.connect_async("127.0.0.1", served.port, keepalive=keep_alive_s, properties=properties)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def paho_5(client_id: str, *, acknowledges: bool = True) -> paho.Client:
    return paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=not acknowledges,
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_overlapping_subscriptions_of_aiomqtt_bring_a_message_once(
    served: Served, below: str, version: ProtocolVersion
) -> None:
    async with peer(served, version) as listener, peer(served, version) as sender:
        assert await listener.subscribe(f"{below}/#", f"{below}/+", f"{below}/a") == [1, 1, 1]
        for number in range(3):
            await sender.publish(f"{below}/a", number)
        assert [await listener.get() for _ in range(3)] == [(f"{below}/a", number) for number in range(3)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_members_of_a_shared_subscription_by_aiomqtt_share_what_comes(
    served: Served, below: str, version: ProtocolVersion
) -> None:
    async with (
        peer(served, version) as one,
        peer(served, version) as other,
        peer(served, version) as sender,
    ):
        for member in (one, other):
            assert await member.subscribe(f"$share/{version.value}/{below}/#") == [1]
        for number in range(40):
            await sender.publish(f"{below}/{number}", number)
        shares: list[list[int]] = [[], []]

        async def collect(member: Peer, share: list[int]) -> None:
            while True:
                share.append((await member.get())[1])

        tasks = [asyncio.create_task(collect(*pair)) for pair in zip((one, other), shares, strict=True)]
        await until(lambda: len(shares[0]) + len(shares[1]) >= 40, within_s=DEADLINE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(shares[0] + shares[1]) == list(range(40))
    assert all(shares)


@pytest.mark.parametrize("version", VERSIONS)
async def test_aiomqtt_finds_in_its_session_what_came_while_it_was_away(
    served: Served, below: str, version: ProtocolVersion
) -> None:
    client_id = f"away-{version.value}"
    async with peer(served, version, client_id=client_id, keeps_session=True) as listener:
        assert await listener.subscribe(f"{below}/#") == [1]
    async with peer(served, version) as sender:
        for number in range(100):
            await sender.publish(f"{below}/a", number)
    async with peer(served, version, client_id=client_id, keeps_session=True) as listener:
        assert [(await listener.get())[1] for _ in range(100)] == list(range(100))
    async with peer(served, version, client_id=client_id):
        pass  # and the session is over


async def test_paho_is_sent_no_more_than_its_receive_maximum(served: Served, below: str) -> None:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 2
    received: list[paho.MQTTMessage] = []
    done: list[int] = []
    client = paho_5("two-at-a-time", acknowledges=False)
    client.on_message = lambda _client, _data, message: received.append(message)
    client.on_subscribe = lambda *arguments: done.append(arguments[2])
    client.on_publish = lambda *arguments: done.append(arguments[2])
    with paho_client(served, client, properties=properties):
        await until(client.is_connected, within_s=DEADLINE_S)
        client.subscribe(f"{below}/#", qos=1)
        await until(lambda: len(done) == 1, within_s=DEADLINE_S)
        for number in range(10):
            client.publish(f"{below}/a", str(number), qos=1)
        await until(lambda: len(done) == 11 and len(received) == 2, within_s=DEADLINE_S)
        for acknowledged in range(8):
            client.ack(received[acknowledged].mid, 1)
            await until(lambda: len(received) >= acknowledged + 3, within_s=DEADLINE_S)  # noqa: B023
            assert len(received) == acknowledged + 3
    assert [int(one.payload) for one in received] == list(range(10))


async def test_paho_without_an_identifier_is_given_one(served: Served) -> None:
    given: list[object] = []
    clients = [paho_5(""), paho_5("")]
    for client in clients:
        client.on_connect = lambda *arguments: given.append(arguments[4].AssignedClientIdentifier)
    with paho_client(served, clients[0]), paho_client(served, clients[1]):
        await until(lambda: len(given) == 2, within_s=DEADLINE_S)
        assert all(client.is_connected() for client in clients)
    assert len(set(given)) == 2
    assert all(given)


async def test_aiomqtt_of_3_1_1_without_an_identifier_is_served(served: Served, below: str) -> None:
    async with (
        peer(served, ProtocolVersion.V311, client_id="") as one,
        peer(served, ProtocolVersion.V311, client_id="") as other,
    ):
        assert await one.subscribe(f"{below}/a") == [1]
        await other.publish(f"{below}/a", 1)
        assert await one.get() == (f"{below}/a", 1)


@needs_mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
async def test_mosquitto_pub_without_an_identifier_is_served(served: Served, below: str, version: str) -> None:
    async with peer(served, ProtocolVersion.V5) as listener:
        await listener.subscribe(f"{below}/a")
        arguments = ("-V", version, "-q", "1", "-t", f"{below}/a", "-m", "1")
        assert await mosquitto(served, "mosquitto_pub", *arguments, user="admin") == (0, "")
        assert await listener.get() == (f"{below}/a", 1)


async def test_paho_without_keep_alive_keeps_to_the_server_s() -> None:
    async with serving(MqttLimits(server_keep_alive_s=1)) as served:
        told: list[int] = []
        pings: list[str] = []
        ends: list[object] = []
        client = paho_5("patient")
        client.on_connect = lambda *arguments: told.append(arguments[4].ServerKeepAlive)
        client.on_log = lambda *arguments: pings.append(arguments[3]) if "PINGRESP" in arguments[3] else None
        client.on_disconnect = lambda *arguments: ends.append(arguments[3])
        with paho_client(served, client, keep_alive_s=0):
            await until(lambda: len(pings) >= 3, within_s=DEADLINE_S)
            assert told == [1]
            assert ends == []
