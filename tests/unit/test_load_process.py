"""A load in a process of its own: whatever becomes of who started it or of whom it asks, it ends, and says why."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from chart_harness.loopback import free_port
from chart_harness.waiting import until, wait_until

from tests.harness.load.__main__ import Load
from tests.harness.load.log import LoadLedger, LogWriter, Stretch
from tests.harness.load.order import Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import Script
from tests.harness.traffic import TimedLedger

SCRIPT = Script(seed=3, begin_ms=1_000, step_ms=10)
WITHIN_S = 30.0
NEVER = 0.001
"""Messages a second: none at all within a test."""


def order_of(log: Path, *devices: Device, messages_a_second: float = NEVER, seconds: float = 600.0) -> Order:
    """To addresses at which nobody answers."""
    return Order(
        url=f"http://127.0.0.1:{free_port()}",
        mqtt=("127.0.0.1", free_port()),
        token="nobody asks",
        devices=[Device("r"), *devices],
        script=SCRIPT,
        messages_a_second=messages_a_second,
        seconds=seconds,
        log=str(log),
    )


def load_of(order: Order) -> LoadProcess:
    return LoadProcess(order, LoadLedger(SCRIPT, [device.id for device in order.devices]))


def sentence_of(load: LoadProcess) -> str:
    """With which it has ended by itself; empty while it has not."""
    try:
        load.follow()
    except AssertionError as ended:
        return str(ended)
    return ""


async def test_a_load_that_nobody_answers_ends_some_time_after_the_stop_and_names_what_is_left(tmp_path: Path) -> None:
    order = order_of(tmp_path / "log", messages_a_second=20)
    with LogWriter(tmp_path / "log") as log:
        load = Load(order, log, patience_s=0.5)
        running = asyncio.create_task(load.run())
        await until(lambda: load.sendings[0].sent, within_s=WITHIN_S)
        load.stop()
        with pytest.RaisesGroup(
            pytest.RaisesExc(AssertionError, match=r"no acknowledgement within 0.5 s for messages of {'r': \d+}")
        ):
            await asyncio.wait_for(running, WITHIN_S)


async def test_a_connection_that_dies_of_what_nobody_foresaw_ends_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr("tests.harness.load.mqtt.MqttDevice.keep_connected", die)
    with LogWriter(tmp_path / "log") as log:
        load = Load(order_of(tmp_path / "log", Device("m", "secret")), log)
        with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match="nobody foresaw this")):
            await asyncio.wait_for(load.run(), WITHIN_S)


def test_a_load_whose_standard_input_ends_ends_too(tmp_path: Path) -> None:
    with load_of(order_of(tmp_path / "log", Device("m", "secret"))) as load:
        assert load.stop().readings == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("certificates", "nothing is encrypted, so there is nobody to trust"), (5, "Expected `str`, got `int`")],
)
def test_a_line_right_behind_the_order_that_it_cannot_take_ends_it(tmp_path: Path, line: object, sentence: str) -> None:
    with load_of(order_of(tmp_path / "log")) as load:
        load.trust(line)  # type: ignore[arg-type]  # that is the mistake
        said = wait_until(partial(sentence_of, load), within_s=WITHIN_S)
    assert said == f"the load ended with 1: load: {sentence}\n"


def test_a_load_whose_time_is_over_is_told_from_one_that_goes_on(tmp_path: Path) -> None:
    with load_of(order_of(tmp_path / "log", seconds=0.2)) as load:
        assert "ended by itself after" in wait_until(partial(sentence_of, load), within_s=WITHIN_S)


def test_a_long_wait_is_dated_by_when_it_was_whenever_it_is_read() -> None:
    ledger = TimedLedger(SCRIPT, ["a"])
    ago_s, gap_s = 100.0, 3.0
    last_ns = time.monotonic_ns() - int(ago_s * 1e9)
    ledger.note(Stretch(False, 0, 1, 2, last_ns - int(2 * gap_s * 1e9)))
    for number, at_ns in ((1, last_ns - int(gap_s * 1e9)), (2, last_ns)):
        ledger.note(Stretch(True, 0, number, 1, at_ns))
    (wait,) = ledger.waits
    began = datetime.now(UTC).timestamp() - ago_s - gap_s
    assert (wait.device, wait.what, wait.seconds) == ("a", "acknowledgement", gap_s)
    assert datetime.fromisoformat(wait.began).timestamp() == pytest.approx(began, abs=5)
