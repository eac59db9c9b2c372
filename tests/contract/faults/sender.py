"""A client that sends readings of one device until it is refused; history against what was acknowledged."""

from __future__ import annotations

import itertools
import secrets

import httpx

from tests.harness.findings import Findings
from tests.harness.ledger import Entry, Ledger
from tests.harness.system import Pod

DEVICE = "logger"
METRICS = 8
TEXT_BYTES = 32 * 1024
BEGIN_MS = 1_700_000_000_000
PAGE = 50


class Sender:
    """A message of it has 256 KiB, and a time of its own. What is refused it does not send again."""

    def __init__(self, pod: Pod) -> None:
        self.ledger = Ledger()
        self._pod = pod
        self._numbers = itertools.count()

    async def register(self, *others: str) -> None:
        """Its device must be there before it can send."""
        for device in (DEVICE, *others):
            created = await self._pod.admin.post("/v1/devices", json={"id": device})
            assert created.status_code == 201, created.text

    async def send(self) -> httpx.Response:
        """One message, which is in the ledger with its acknowledgement."""
        ts = BEGIN_MS + next(self._numbers)
        values = {f"part-{number}": secrets.token_hex(TEXT_BYTES // 2) for number in range(METRICS)}
        entries = [Entry(DEVICE, metric, ts, value) for metric, value in values.items()]
        self.ledger.send(entries)
        answer = await self._pod.admin.post(f"/v1/devices/{DEVICE}/telemetry", json={"ts": ts, "values": values})
        if answer.status_code == 202:
            self.ledger.acknowledge(entries)
        return answer

    async def is_accepted(self) -> bool:
        """Whether the next message is."""
        return (await self.send()).status_code == 202

    async def until_refused(self) -> httpx.Response:
        """The first answer that is no acknowledgement."""
        while (answer := await self.send()).status_code == 202:
            pass
        return answer

    async def has_applied_all(self) -> bool:
        """Whether the history has all that was acknowledged."""
        return not (await self.findings()).lost

    async def findings(self) -> Findings:
        """History and ledger, compared."""
        rows: list[Entry] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self._pod.admin.get(f"/v1/devices/{DEVICE}/telemetry", params={"limit": PAGE, **cursor})
            if page.status_code != 200:
                return self.ledger.compare(())
            rows += [Entry(DEVICE, one["metric"], one["ts"], one["value"]) for one in page.json()["items"]]
            if (following := page.json().get("cursor")) is None:
                return self.ledger.compare(iter(rows))
            cursor = {"cursor": following}
