"""Devices that send for as long as a test breaks things: a load in a process of its own, followed as it goes on."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from chart_harness.waiting import wait_until

from tests.harness.load.log import LoadLedger, Stretch
from tests.harness.load.order import MOST_SECONDS, Cost, Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import METRICS, Script
from tests.harness.rest import Rest
from tests.harness.timeline import LONG_S, Wait

ROOMS = ("hall", "lab")
BY_MQTT = ("m1", "m2")
BY_REST = ("r1", "r2")
"""Of each room."""
MESSAGES_A_SECOND = 20
"""Of each device."""
ANSWER_S = 3.0
FOLLOW_S = 0.05
HEARD_WITHIN_S = 240.0


class TimedLedger(LoadLedger):
    """Also notes when each device last heard that something is durable, and its longest wait since `watch`."""

    def __init__(self, script: Script, names: Sequence[str]) -> None:
        super().__init__(script, names)
        self._names = names
        self._last_s: dict[str, float] = {}
        self._gaps_s: dict[str, float] = {}
        self._newest: dict[str, int] = {}
        self._seconds: dict[int, Counter[str]] = defaultdict(Counter)
        self.waits: list[Wait] = []
        """The long ones since `watch`."""

    def note(self, stretch: Stretch) -> None:
        """See `LoadLedger.note`."""
        super().note(stretch)
        if not stretch.is_acknowledged:
            return
        at_s, device = stretch.at_ns / 1e9, self._names[stretch.device]
        gap_s = at_s - self._last_s.get(device, at_s)
        moment_s = time.time() - time.monotonic() + at_s
        if gap_s > LONG_S:
            # From what the load wrote down: this may be read long after.
            began = datetime.fromtimestamp(moment_s - gap_s, UTC).isoformat(timespec="milliseconds")
            self.waits.append(Wait(began, round(gap_s, 2), device, "acknowledgement"))
        self._gaps_s[device] = max(self._gaps_s.get(device, 0.0), gap_s)
        self._last_s[device] = max(self._last_s.get(device, 0.0), at_s)
        newest = self._script.ts(stretch.first + stretch.messages - 1)
        self._newest[device] = max(self._newest.get(device, 0), newest)
        self._seconds[int(moment_s)][device] += METRICS * stretch.messages

    def watch(self) -> None:
        """Begin to measure anew."""
        self._gaps_s, self.waits = {}, []

    def gap_s(self, devices: Sequence[str]) -> float:
        """The longest time between two acknowledgements of one device."""
        return max(self._gaps_s.get(device, 0.0) for device in devices)

    def newest(self) -> dict[str, int]:
        """Device → timestamp of its newest acknowledged reading."""
        return dict(self._newest)

    def seconds(self, ways: Mapping[str, Collection[str]]) -> dict[int, dict[str, int]]:
        """Second since 1970 → way in (→ its devices, as given) → how many readings were acknowledged in it."""
        return {
            second: {way: sum(counted[device] for device in devices) for way, devices in ways.items()}
            for second, counted in sorted(self._seconds.items())
        }

    def heard_since(self, moment_s: float, devices: Sequence[str]) -> bool:
        """Whether each of the devices had an acknowledgement after that moment of the monotonic clock."""
        return all(self._last_s.get(device, 0.0) > moment_s for device in devices)


class Traffic:
    """Sends; `stop` returns when all that was sent is acknowledged.

    ``name`` goes before every device and room, so that one traffic after the other finds nothing of the one before.
    With ``trust`` all speak TLS; without ``rest`` all send by MQTT; ``numbered``: see `Device`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        mqtt: tuple[str, int],
        *,
        seed: int,
        name: str,
        trust: ssl.SSLContext | None = None,
        rest: bool = True,
        numbered: bool = True,
    ) -> None:
        self.by_mqtt = _devices(name, BY_MQTT)
        self.by_rest = _devices(name, BY_REST) if rest else []
        self.cost: Cost | None = None
        """What the load itself has taken, once it is over."""
        self._url = url
        self._token = token
        self._mqtt = mqtt
        self._trust = trust
        self._is_numbered = numbered
        self._script = Script(seed, time.time_ns() // 1_000_000, 1000 // MESSAGES_A_SECOND)
        self.ledger = TimedLedger(self._script, self.devices)
        self._folder = tempfile.TemporaryDirectory(prefix="iot-traffic-")
        self._load: LoadProcess | None = None
        self._is_stopped = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._follow)

    @property
    def devices(self) -> list[str]:
        """All that send."""
        return [*self.by_mqtt, *self.by_rest]

    @property
    def rooms(self) -> dict[str, str]:
        """Device → the room that it stands in."""
        return {device: room_of(device) for device in self.devices}

    def start(self) -> None:
        """Register the devices, and begin."""
        load = LoadProcess(self._order(), self.ledger)
        load.start()
        self._load = load
        self._thread.start()

    def stop(self) -> None:
        """Return when all is acknowledged. Raises what ended it before, once the load is over."""
        self._is_stopped.set()
        with ExitStack() as last:
            if self._load is not None:
                self._thread.join()
                last.callback(self._folder.cleanup)
                last.callback(self._end, self._load)
                self._load = None
            self.check()

    def check(self) -> None:
        """Raises what has ended it before it was stopped."""
        if self._problem is not None:
            raise self._problem

    def trust(self, authorities: str) -> None:
        """Bring CAs to the devices, as people do."""
        assert self._load is not None
        self._load.trust(authorities)

    def wait_until_heard(self, within_s: float = HEARD_WITHIN_S) -> None:
        """Return when each device has had an acknowledgement since now. Raises what stopped one."""
        since_s = time.monotonic()

        def is_heard() -> bool:
            self.check()
            return self.ledger.heard_since(since_s, self.devices)

        wait_until(is_heard, within_s=within_s, why="not every device got an acknowledgement")

    def _order(self) -> Order:
        rest = Rest(self._url, self._token, answer_s=ANSWER_S, trust=self._trust)
        tokens = {device: rest.register(device, room=room) for device, room in self.rooms.items()}
        rest.close()
        authorities = [] if self._trust is None else self._trust.get_ca_certs(binary_form=True)
        return Order(
            url=self._url,
            mqtt=self._mqtt,
            token=self._token,
            devices=[
                Device(one, tokens[one] if one in self.by_mqtt else None, is_numbered=self._is_numbered)
                for one in self.devices
            ],
            script=self._script,
            messages_a_second=MESSAGES_A_SECOND,
            seconds=MOST_SECONDS,
            log=str(Path(self._folder.name) / "ledger"),
            connections=len(self.by_rest),
            trusted="".join(map(ssl.DER_cert_to_PEM_cert, authorities)),
        )

    def _end(self, load: LoadProcess) -> None:
        self.cost = load.stop()

    def _follow(self) -> None:
        assert self._load is not None
        while not self._is_stopped.wait(FOLLOW_S):
            try:
                self._load.follow()
            except Exception as problem:  # noqa: BLE001 # `check` raises it
                self._problem = problem
                return


def room_of(device: str) -> str:
    """The room that a device of a traffic stands in."""
    return device.rpartition("-")[0]


def _devices(name: str, kinds: Sequence[str]) -> list[str]:
    return [f"{name}-{room}-{kind}" for room in ROOMS for kind in kinds]
