"""How connections to the MQTT server end, and the server itself, by raw packets on a real socket."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_5, Disconnect, PingReq, PubAck
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.contract.mqtt.serving import DEADLINE_S, Served, reading, serving


async def test_a_packet_cut_off_by_the_end_of_the_connection_stores_nothing(served: Served) -> None:
    client = await served.client()
    whole = encode(reading(1, 1))
    await client.send_bytes(whole[:-1])
    await client.close()
    await served.check_works()
    assert served.stored("one", "t") == []


async def test_a_client_of_mqtt_5_is_told_why_its_connection_ends(served: Served) -> None:
    client = await served.client(level=MQTT_5)
    await client.send_bytes(b"\xf1\x00")
    (goodbye,) = await client.receive_rest()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == ReasonCode.MALFORMED_PACKET


async def test_disconnect_closes_after_the_last_acknowledgement(served: Served) -> None:
    client = await served.client()
    await client.send(reading(1, 1), Disconnect())
    assert await client.receive_rest() == [PubAck(1)]


async def test_what_a_client_still_sends_after_the_end_does_not_hold_up_its_closing() -> None:
    async with serving(MqttLimits(linger_s=10 * DEADLINE_S)) as served:
        for late in (b"", encode(reading(1, 1)) * 100):
            client = await served.client()
            await client.send(Disconnect())
            assert await client.receive_rest() == []
            await client.send_bytes(late)
            await client.close()
        async with asyncio.timeout(DEADLINE_S / 2):
            await served.server.stop(10 * DEADLINE_S)


async def test_a_client_that_reads_no_answers_is_cut_and_harms_nobody() -> None:
    limits = MqttLimits(write_buffer_bytes=1024, write_timeout_s=0.5)
    async with serving(limits) as served:
        deaf = await served.client()
        deaf.pause()
        served.shrink_send_buffers()
        flood = encode(PingReq()) * 10_000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await _flood(deaf.writer, flood)
        await served.check_works()


async def _flood(writer: asyncio.StreamWriter, data: bytes) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            writer.write(data)
            await writer.drain()


async def test_a_stop_acknowledges_what_was_accepted_and_closes(served: Served) -> None:
    client = await served.client()
    served.gateway.hold()
    await client.send(reading(1, 1))
    await served.gateway.called(1)
    stopping = asyncio.create_task(served.server.stop(deadline_s=10))
    served.gateway.release(0)
    assert await client.receive_rest() == [PubAck(1)]
    await client.close()
    async with asyncio.timeout(DEADLINE_S):
        await stopping
    with pytest.raises(ConnectionRefusedError):
        await served.open()


async def test_a_stop_cuts_what_takes_longer_than_its_deadline(served: Served) -> None:
    client = await served.client()
    served.gateway.hold()
    await client.send(reading(1, 1))
    await served.gateway.called(1)
    async with asyncio.timeout(DEADLINE_S):
        await served.server.stop(0.1)
    assert await client.receive_rest() == []
