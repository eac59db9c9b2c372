"""The traffic of the tests in a cluster, by TLS, against the whole system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from chart_harness.waiting import until
from iot_system.settings import HttpTlsSettings, MqttTlsSettings

from tests.harness.applied import check_applied, settle
from tests.harness.certificates import Authority
from tests.harness.checker import Checker
from tests.harness.load.log import LoadLedger
from tests.harness.load.order import Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import Script
from tests.harness.rest import Rest
from tests.harness.system import ADMIN_TOKEN, Pod, running_system
from tests.harness.traffic import Traffic

WITHIN_S = 60.0
ENOUGH = 2_000


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
async def pod(ours: Authority, tmp_path: Path) -> AsyncIterator[Pod]:
    shown = ours.server()
    tls = {
        "http_tls": HttpTlsSettings(certificate=shown.certificate, key=shown.key),
        "mqtt_tls": MqttTlsSettings(port=0, certificate=shown.certificate, key=shown.key, plain="off"),
    }
    async with running_system(tmp_path, tls=tls, trust=ours.context()) as system:
        yield system.pod


def text(authority: Authority) -> str:
    """Its certificate as PEM."""
    return Path(authority.ca).read_text()


async def test_each_device_is_heard_and_all_that_was_acknowledged_is_there(pod: Pod, ours: Authority) -> None:
    mqtt = ("localhost", pod.mqtt_tls_port)
    traffic = Traffic(pod.url, ADMIN_TOKEN, mqtt, seed=5, name="traffic", trust=ours.context())
    began_s = time.time()
    await asyncio.to_thread(traffic.start)
    try:
        await asyncio.to_thread(traffic.wait_until_heard, WITHIN_S)
        await until(lambda: traffic.ledger.count_acknowledged() > ENOUGH, within_s=WITHIN_S)
    finally:
        await asyncio.to_thread(traffic.stop)
    assert traffic.ledger.newest().keys() == set(traffic.devices)
    assert 0 < traffic.ledger.gap_s(traffic.devices) < WITHIN_S
    seconds = traffic.ledger.seconds({"MQTT": traffic.by_mqtt, "REST": traffic.by_rest})
    assert sum(sum(ways.values()) for ways in seconds.values()) == traffic.ledger.count_acknowledged()
    assert int(began_s) <= min(seconds)
    assert all(sum(ways[way] for ways in seconds.values()) for way in ("MQTT", "REST"))
    assert traffic.cost is not None
    assert traffic.cost.readings == traffic.ledger.count_acknowledged()
    rest, checker = Rest(pod.url, ADMIN_TOKEN, trust=ours.context()), Checker(traffic.ledger)
    await asyncio.to_thread(settle, rest, traffic.rooms)
    await asyncio.to_thread(check_applied, checker, rest, traffic.rooms)
    assert checker.findings.clean, checker.findings


async def test_a_traffic_that_cannot_go_on_says_so_before_it_is_stopped(pod: Pod, ours: Authority) -> None:
    mqtt = ("localhost", pod.mqtt_tls_port)
    traffic = Traffic(pod.url, ADMIN_TOKEN, mqtt, seed=5, name="forbidden", trust=ours.context())
    await asyncio.to_thread(traffic.start)
    try:
        await asyncio.to_thread(traffic.wait_until_heard, WITHIN_S)
        deleted = await pod.admin.delete(f"/v1/devices/{traffic.by_rest[0]}")
        assert deleted.is_success, deleted.text

        def has_failed() -> bool:
            try:
                traffic.check()
            except AssertionError as problem:
                return "is not registered" in str(problem)
            return False

        await until(has_failed, within_s=WITHIN_S)
    finally:
        with pytest.raises(AssertionError, match="the load ended with 1"):
            await asyncio.to_thread(traffic.stop)


async def test_a_load_comes_to_servers_of_a_ca_that_it_is_told_of_later(
    pod: Pod, ours: Authority, tmp_path: Path
) -> None:
    rest = Rest(pod.url, ADMIN_TOKEN, trust=ours.context())
    token = await asyncio.to_thread(rest.register, "wary")
    order = Order(
        url=pod.url,
        mqtt=("localhost", pod.mqtt_tls_port),
        token=ADMIN_TOKEN,
        devices=[Device("wary", token)],
        script=Script(1, 1_700_000_000_000, 50),
        messages_a_second=20,
        seconds=WITHIN_S,
        log=str(tmp_path / "log"),
        trusted=text(Authority(tmp_path, "other")),
    )

    def is_heard(load: LoadProcess) -> bool:
        load.follow()
        return load.ledger.count_acknowledged() > 0

    with LoadProcess(order, LoadLedger(order.script, ["wary"])) as load:
        with pytest.raises(AssertionError, match="nothing is acknowledged"):
            await until(partial(is_heard, load), within_s=3, why="nothing is acknowledged")
        load.trust(text(ours))
        await until(partial(is_heard, load), within_s=WITHIN_S)
        await asyncio.to_thread(load.stop)
