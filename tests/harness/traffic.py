"""Devices that send for as long as a test breaks things: seeded, at a bounded rate, everything in the ledger."""

from __future__ import annotations

import random
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from chart_harness.waiting import wait_until

from tests.harness.clients import Clients
from tests.harness.ledger import Entry, Ledger
from tests.harness.mqtt import MqttSender
from tests.harness.rest import Rest
from tests.harness.timeline import LONG_S, Wait, wait_until_now

ROOMS = ("hall", "lab")
BY_MQTT = ("m1", "m2")
BY_REST = ("r1", "r2")
"""Of each room."""
MESSAGES_A_SECOND = 20
"""Of each device; a message bears two readings."""
BULK = 4
"""Messages of one device in one request."""
ANSWER_S = 3.0
METRICS = ("level", "open")
HEARD_WITHIN_S = 240.0


class TimedLedger(Ledger):
    """Also notes when each device last heard that something is durable, and its longest wait since `watch`."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s: dict[str, float] = {}
        self._gaps_s: dict[str, float] = {}
        self._newest: dict[str, int] = {}
        self.waits: list[Wait] = []
        """The long ones since `watch`."""
        self._seconds: dict[int, Counter[str]] = defaultdict(Counter)

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """As the base, with the time; the entries are one device's."""
        readings = list(entries)
        super().acknowledge(readings)
        now_s, device = time.monotonic(), readings[0].device
        gap_s = now_s - self._last_s.get(device, now_s)
        if gap_s > LONG_S:
            self.waits.append(wait_until_now(device, "acknowledgement", gap_s))
        self._gaps_s[device] = max(self._gaps_s.get(device, 0.0), gap_s)
        self._last_s[device] = now_s
        with self._lock:
            self._seconds[int(time.time())][device] += len(readings)
        self._newest[device] = max(self._newest.get(device, 0), *(entry.ts for entry in readings))

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


class Traffic(Clients):
    """Sends; `stop` returns when all that was sent is acknowledged.

    MQTT devices number their messages, so a message out of its order would be lost.

    ``name`` goes before every device and room, so that one traffic after the other finds nothing of the one before.
    With ``trust`` all speak TLS; without ``rest`` all send by MQTT.
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
    ) -> None:
        self.ledger = TimedLedger()
        self.by_mqtt = _devices(name, BY_MQTT)
        self.by_rest = _devices(name, BY_REST) if rest else []
        self._mqtt = mqtt
        self._trust = trust
        self._seed = seed
        self._begin_ms = time.time_ns() // 1_000_000
        super().__init__(
            lambda: Rest(url, token, answer_s=ANSWER_S, trust=trust),
            dict.fromkeys(self.by_mqtt, self._by_mqtt) | dict.fromkeys(self.by_rest, self._by_rest),
        )

    @property
    def devices(self) -> list[str]:
        """All that send."""
        return [*self.by_mqtt, *self.by_rest]

    @property
    def rooms(self) -> dict[str, str]:
        """Device → the room that it stands in."""
        return {device: room_of(device) for device in self.devices}

    def wait_until_heard(self, within_s: float = HEARD_WITHIN_S) -> None:
        """Return when each device has had an acknowledgement since now. Raises what stopped one."""
        since_s = time.monotonic()

        def is_heard() -> bool:
            self.check()
            return self.ledger.heard_since(since_s, self.devices)

        wait_until(is_heard, within_s=within_s, why="not every device got an acknowledgement")

    def _by_mqtt(self, rest: Rest, device: str) -> None:
        token = rest.register(device, room=room_of(device))
        sender = MqttSender(*self._mqtt, device=device, token=token, ledger=self.ledger, boot="first", tls=self._trust)
        messages = _Messages(device, self._seed, self._begin_ms)
        while not self.is_stopped_within(1 / MESSAGES_A_SECOND):
            sender.send(messages.next())
        sender.close()

    def _by_rest(self, rest: Rest, device: str) -> None:
        rest.register(device, room=room_of(device))
        messages = _Messages(device, self._seed, self._begin_ms)
        while not self.is_stopped_within(BULK / MESSAGES_A_SECOND):
            rest.send(self.ledger, [entry for _ in range(BULK) for entry in messages.next()])


class _Messages:
    """The readings of one device: each moment is later than the one before."""

    def __init__(self, device: str, seed: int, begin_ms: int) -> None:
        self._device = device
        self._random = random.Random(f"{seed} {device}")
        self._ts = begin_ms

    def next(self) -> list[Entry]:
        self._ts += self._random.randint(1, 1000 // MESSAGES_A_SECOND)
        level, is_open = METRICS
        return [
            Entry(self._device, level, self._ts, self._random.uniform(-50, 50)),
            Entry(self._device, is_open, self._ts, self._random.random() < 0.5),
        ]


def room_of(device: str) -> str:
    """The room that a device of a traffic stands in."""
    return device.rpartition("-")[0]


def _devices(name: str, kinds: Sequence[str]) -> list[str]:
    return [f"{name}-{room}-{kind}" for room in ROOMS for kind in kinds]
