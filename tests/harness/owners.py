"""Who says to own which partition, asked again and again: what `Checker.owners` is told."""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Sequence

from tests.harness.checker import Ownership
from tests.harness.clients import Clients
from tests.harness.rest import Rest

EVERY_S = 1.0
ANSWER_S = 2.0


class Owners(Clients):
    """Asks about each device; `start` begins to, `stop` returns when nobody asks any more."""

    def __init__(self, url: str, token: str, devices: Sequence[str], *, trust: ssl.SSLContext | None = None) -> None:
        super().__init__(lambda: Rest(url, token, answer_s=ANSWER_S, trust=trust), dict.fromkeys(devices, self._ask))
        self.said: dict[tuple[int, str], list[Ownership]] = defaultdict(list)
        """Partition and who asked (the name of the device) → what he heard, in turn; what is the same is there once."""

    def _ask(self, rest: Rest, device: str) -> None:
        is_over = False
        while not is_over:
            is_over = self.is_stopped_within(EVERY_S)
            response = rest.request("GET", f"/v1/devices/{device}/twin:explain")
            if response.status_code == 404:  # it is registered only now
                continue
            assert response.status_code == 200, response.text
            told = response.json()
            one, heard = Ownership(told["epoch"], told["applied"]), self.said[told["partition"], device]
            if heard[-1:] != [one]:
                heard.append(one)
