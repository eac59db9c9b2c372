"""The command line's verbs, against the real system."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chart_harness.loopback import free_port
from iot_system.__main__ import main
from iot_system.client import IotClient, Message, NewDevice

from tests.contract.client.applied import applied
from tests.contract.client.shared import Shared

START = 1_700_000_000_000
DEADLINE_S = 30.0


class CommandLine:
    """Runs verbs in a thread: each has a loop of its own."""

    def __init__(self, system: Shared, capsys: pytest.CaptureFixture[str]) -> None:
        self._access = ["--url", system.url, "--token", system.admin_token]
        self._capsys = capsys
        self.said = self.complained = ""

    async def run(self, *words: str) -> int:
        """The exit code; see `said` and `complained`."""
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, [*words, *self._access])
        self.said, self.complained = self._capsys.readouterr()
        return code

    async def json(self, *words: str, code: int = 0) -> list[Any]:
        """What it says to a program."""
        assert await self.run(*words, "--json") == code, self.complained
        # The system in this process writes its log there, too.
        return [json.loads(line) for line in self.said.splitlines() if line.startswith(("{", "["))]


@pytest.fixture
def line(system: Shared, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(system, capsys)


async def test_a_device_is_made_shown_listed_and_deleted(line: CommandLine) -> None:
    (made,) = await line.json("devices", "create", "c-1", "--room", "c-lab", "--label", "floor=2")
    assert (made["id"], made["room"], made["labels"]) == ("c-1", "c-lab", {"floor": "2"})
    assert await line.json("devices", "show", "c-1") == await line.json("devices", "list", "--room", "c-lab") == [made]
    assert await line.run("devices", "list", "--label", "floor=2") == 0
    assert "c-1" in line.said
    assert "floor=2" in line.said
    assert await line.run("devices", "delete", "c-1") == 0
    assert "c-1 is removed" in line.said


async def test_a_device_is_kept_out_by_its_credential_or_altogether(line: CommandLine, iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="c-11"))
    (issued,) = await line.json("devices", "token", "c-11")
    (listed,) = await line.json("devices", "credentials", "c-11")
    assert listed["credential"] == issued["credential"]
    assert (await line.json("devices", "disable", "c-11"))[0]["enabled"] is False
    assert (await line.json("devices", "enable", "c-11"))[0]["enabled"] is True
    assert await line.run("devices", "revoke", "c-11", issued["credential"]) == 0
    assert await line.json("devices", "credentials", "c-11") == []


async def test_what_is_refused_is_one_sentence_and_an_exit_code(line: CommandLine, system: Shared) -> None:
    assert await line.run("devices", "show", "c-nobody") == 1
    assert line.complained.startswith("iot-system devices: GET /v1/devices/c-nobody was answered 404: ")
    assert line.complained.count("\n") == 1
    assert await line.run("send", "c-nobody", "t") == 1
    assert line.complained == "iot-system send: 't' is neither NAME=VALUE nor a JSON object\n"


async def test_what_may_succeed_later_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iot_system.commands.session.PATIENCE_S", 1.5)
    words = ["devices", "list", "--url", f"http://127.0.0.1:{free_port()}", "--token", "t"]
    assert await asyncio.to_thread(main, words) == 3
    while_waiting, at_the_end = capsys.readouterr().err.splitlines()
    assert while_waiting.startswith("iot-system devices: no answer yet from http://127.0.0.1:")
    assert "gave no answer" in at_the_end


async def test_devices_come_from_a_file(line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "devices.ndjson"
    file.write_text('{"id": "c-2"}\n\n{"id": "c-3", "room": "c-hall"}\n{"id": "no id"}\n')
    assert await line.run("devices", "import", str(file)) == 1
    assert "2 registered, 0 existed, 1 refused" in line.said
    assert "no id was refused" in line.complained
    file.write_text('{"id": "c-2"}\n{"id": "c-4", "rooms": ["c-hall"]\n')
    assert await line.run("devices", "import", str(file)) == 1
    assert "line 2" in line.complained


async def test_values_are_sent_and_the_twin_shows_them(line: CommandLine, iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="c-5"))
    assert await line.run("send", "c-5", "t=21.5", "open=true", "label=3rd", f"--ts={START}") == 0
    await applied(iot, "c-5", 3)
    (twin,) = await line.json("twin", "show", "c-5")
    assert {metric: one["value"] for metric, one in twin["latest"].items()} == {"t": 21.5, "open": True, "label": "3rd"}
    (desired,) = await line.json("twin", "desire", "c-5", "interval_s=60", '{"led": {"on": true}}')
    assert desired == {"desired": {"interval_s": 60, "led": {"on": True}}, "version": 1}
    assert await line.run("twin", "desire", "c-5", "interval_s=5", "--if-version=7") == 1
    assert "412" in line.complained


async def test_a_command_that_stays_open_is_told_by_the_exit_code(line: CommandLine, iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="c-6"))
    (given,) = await line.json("commands", "send", "c-6", "turn", '{"angle": 90}', "--wait=0.1", "--id=c-once", code=3)
    assert (given["id"], given["payload"], given["status"]) == ("c-once", {"angle": 90}, "queued")
    assert await line.json("commands", "list", "c-6", "--status=pending") == [given]
    assert await line.run("commands", "cancel", "c-6", "c-once") == 0
    assert (await line.json("commands", "show", "c-6", "c-once"))[0]["status"] == "cancelled"
    assert await line.run("commands", "send", "c-6", "turn", '{"angle": 90}', "--wait=1", "--id=c-once") == 1


async def test_a_room_is_set_shown_steered_and_forgotten(line: CommandLine, iot: IotClient) -> None:
    (room,) = await line.json("rooms", "set", "c-room", "--label", "floor=2", "--stale-after=60")
    assert (room["labels"], room["stale_after_s"]) == ({"floor": "2"}, 60)
    await iot.devices.create(NewDevice(id="c-7", room="c-room"))
    assert (await line.json("rooms", "desire", "c-room", "mode=night"))[0]["desired"] == {"mode": "night"}
    (told,) = await line.json("rooms", "command", "c-room", "stop")
    assert [(one["device"], one["status"]) for one in told["commands"]] == [("c-7", "queued")]
    assert await line.run("rooms", "show", "c-room") == 0
    assert "night" in line.said
    assert await line.run("rooms", "list") == 0
    assert await line.run("rooms", "delete", "c-room") == 1
    await iot.devices.delete("c-7")
    assert await line.run("rooms", "delete", "c-room") == 0


async def test_a_token_is_made_listed_and_deleted(line: CommandLine) -> None:
    (made,) = await line.json("tokens", "create", "c-dashboard", "viewer", "--scope=room:c-room", "--days=1")
    assert made["token"]
    assert made["expires"] > made["created"]
    listed = await line.json("tokens", "list")
    assert {"token", made["id"]}.isdisjoint(*([one.keys() for one in listed]))
    assert made["id"] in [one["id"] for one in listed]
    assert await line.run("tokens", "delete", made["id"]) == 0


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
async def test_what_is_exported_is_imported_as_it_was(
    line: CommandLine, iot: IotClient, tmp_path: Path, kind: str
) -> None:
    source, room = f"c-{kind}-1", f"c-{kind}"
    await iot.devices.register(NewDevice(id=f"c-{kind}-{n}", room=room) for n in (1, 2))
    values: list[dict[str, Any]] = [{"t": 21.5, "n": 3, "on": True}, {"text": "21.5"}, {"json": {"a": [1, None, "x"]}}]
    sent = [Message(device=source, ts=START + n + 0.125, values=values[n % 3]) for n in range(300)]
    await iot.telemetry.send_many([*sent, Message(device=f"c-{kind}-2", ts=START, values={"t": 1})])
    await applied(iot, source, 500)
    await applied(iot, f"c-{kind}-2", 1)
    before = [one async for one in iot.history.readings(source)]
    file = tmp_path / f"history.{kind}"
    assert await line.run("export", str(file), "--room", room) == 0
    assert "501 readings of 2 devices" in line.said
    assert not file.with_name(f"{file.name}.part").exists()
    await iot.devices.delete(source)
    assert await line.run("import", str(file)) == 1, "the device is not registered any more"
    assert "is not registered" in line.complained
    await iot.devices.create(NewDevice(id=source, room=room))
    assert (await line.json("import", str(file)))[0] == {"readings": 501, "refused": []}
    await applied(iot, source, 500)
    assert repr([one async for one in iot.history.readings(source)]) == repr(before)


async def test_an_export_is_narrowed_to_metrics_and_times(line: CommandLine, iot: IotClient, tmp_path: Path) -> None:
    await iot.devices.create(NewDevice(id="c-8"))
    await iot.telemetry.send_many(
        Message(device="c-8", ts=START + 1000 * n, values={"t": n, "h": n}) for n in range(10)
    )
    await applied(iot, "c-8", 20)
    file = tmp_path / "some.csv"
    window = ["--metric=t", f"--from={START + 2000}", "--to=2023-11-14T22:13:24Z"]
    assert await line.run("export", str(file), "c-8", *window) == 0
    assert file.read_text().splitlines() == [
        "device,ts,metric,value",
        f"c-8,{START + 2000},t,2",
        f"c-8,{START + 3000},t,3",
    ]


async def test_where_no_device_is_there_is_nothing_to_export(line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "none.csv"
    for name in (str(file), "-"):
        assert await line.run("export", name, "--room", "c-nowhere", "--format=csv") == 1
        assert line.complained == "iot-system export: no device is registered in room c-nowhere\n"
    assert not file.exists()


async def test_a_broken_row_of_an_import_harms_no_other(line: CommandLine, iot: IotClient, tmp_path: Path) -> None:
    await iot.devices.create(NewDevice(id="c-9"))
    file = tmp_path / "mine.csv"
    file.write_text(f"device,ts,metric,value\nc-9,{START},t,1\nc-9,noon,t,2\nc-9,{START + 1},t,3\nc-9,-5,t,4\n")
    assert await line.run("import", str(file)) == 1
    assert "2 readings accepted, 2 rows refused" in line.said
    assert "row 3 was refused: ts is 'noon'" in line.complained
    assert "row 5 was refused: ts is -5" in line.complained
    await applied(iot, "c-9", 2)


async def test_an_installation_is_checked_by_both_protocols_and_nothing_is_left(
    system: Shared, iot: IotClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOT_ADMIN_TOKEN", system.admin_token)
    before = [device.id async for device in iot.devices.list()]
    words = ["check", "--url", system.url, "--mqtt", "{}:{}".format(*system.mqtt)]
    assert await asyncio.to_thread(main, words) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    steps = ("REST, acknowledged", "MQTT, acknowledged", "from the history", "from the twin", "the device answered it")
    for step in (*steps, "removed helm-test-"):
        assert step in said
    assert [device.id async for device in iot.devices.list()] == before


async def test_a_sample_is_replayed_by_both_protocols(
    system: Shared, iot: IotClient, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", "--url", system.url, "--token", system.admin_token, "--mqtt", "{}:{}".format(*system.mqtt)]
    assert await asyncio.to_thread(main, [*words, "--limit", "30", "--rate", "100"]) == 0, capsys.readouterr().err
    assert "30 rows: 120 messages sent, 120 acknowledged (180 readings), 0 refused" in capsys.readouterr().out
    for device, readings in (("office-climate", 90), ("office-light", 30), ("office-air", 30), ("office-presence", 30)):
        await applied(iot, device, readings)


async def test_nobody_who_reads_on_is_no_error(system: Shared) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    access = ["--url", system.url, "--token", system.admin_token]
    words = [sys.executable, "-m", "iot_system", "export", "-", "--format=csv", *access]
    try:
        export = await asyncio.create_subprocess_exec(*words, stdout=writer, stderr=subprocess.PIPE)
        async with asyncio.timeout(DEADLINE_S):
            assert (await export.communicate())[1] == b""
        assert export.returncode == 141
    finally:
        os.close(writer)


async def test_watch_prints_what_happens_until_it_is_stopped(system: Shared, iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="c-10"))
    access = ["--url", system.url, "--token", system.admin_token]
    watch = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "iot_system", "watch", "--device=c-10", "--kind=twin", "--json", *access),
        stdout=subprocess.PIPE,
        # Where tests run in the background, a shell has them ignore Ctrl-C, and what they start as well.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert watch.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            reading = asyncio.ensure_future(watch.stdout.readline())
            while not reading.done():  # it listens once it has started
                version = (
                    await iot.twins.desire("c-10", {"at": (await iot.twins.get("c-10")).version.desired})
                ).version
                await asyncio.wait([reading], timeout=0.5)
            event = json.loads(await reading)
            assert (event["kind"], event["device"], event["data"]["desired"].keys()) == ("twin", "c-10", {"at"})
            assert 0 < event["data"]["version"] <= version
            watch.send_signal(signal.SIGINT)
            assert await watch.wait() == 130
    finally:
        if watch.returncode is None:
            watch.kill()
            await watch.wait()
