"""Whether an installation holds the sample: every row once, twins that agree with the CSV, and what behaviours did."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from itertools import groupby

from chart_harness.waiting import wait_until
from iot_system.client import IotClient
from iot_system.commands.behaviours import read_outcome

from tests.harness import occupancy
from tests.harness.applied import found_in, twin
from tests.harness.installation import Installation
from tests.harness.ledger import Ledger
from tests.harness.rest import Rest

REPLAY_WITHIN_S = 300
APPLIED_WITHIN_S = 120
ROOMS = dict.fromkeys(occupancy.DEVICES, occupancy.ROOM)


def replay(installation: Installation) -> None:
    """Send the whole sample through loopback: half of the devices by MQTT QoS 1, the others by REST."""
    host, port = installation.mqtt
    command = [
        sys.executable,
        "-m",
        "iot_system",
        "replay",
        "--url",
        installation.api.url(),
        "--mqtt",
        f"{host}:{port}",
        "--with-behaviours",
    ]
    done = subprocess.run(
        command,
        env=os.environ | {"IOT_ADMIN_TOKEN": installation.token},
        capture_output=True,
        text=True,
        timeout=REPLAY_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def wait_until_applied(rest: Rest) -> None:
    """Return when the room has as many readings as the sample: acknowledged means applied soon after."""
    expected = {metric: one.count for metric, one in occupancy.room().items()}

    def counts() -> bool:
        metrics = twin(rest, f"rooms/{occupancy.ROOM}").get("metrics", {})
        return all(metrics.get(metric, {}).get("count", 0) >= count for metric, count in expected.items())

    wait_until(counts, within_s=APPLIED_WITHIN_S, every_s=0.5, why=f"the room does not have {expected}")


def assert_held_once(rest: Rest) -> None:
    """Everything that was acknowledged before is applied; then history and twins are those of the CSV, no more."""
    findings = found_in(whole_sample(), rest, ROOMS)
    assert findings.clean, findings
    asyncio.run(assert_behaviours_agree(rest))


async def assert_behaviours_agree(rest: Rest) -> None:
    """The room has steered its heater, and the alarm has told bad air, each time that the CSV says so and no more."""
    async with IotClient(rest.url, rest.token, tls=rest.trust) as iot:
        outcome = await read_outcome(iot)
    assert [one for one, _ in groupby(told.set_point for told in outcome.set_points)] == occupancy.set_points()
    occupancy.check_heating([(told.set_point, told.heating) for told in outcome.set_points])
    assert [(one.phase, one.since, one.value) for one in outcome.alarm] == occupancy.alarm_phases()


def whole_sample() -> Ledger:
    """A ledger in which every row is acknowledged."""
    ledger, entries = Ledger(), list(occupancy.entries())
    ledger.send(entries)
    ledger.acknowledge(entries)
    return ledger
