"""Commands and questions about owners, as the tests of faults give and ask them, against the whole system."""

from __future__ import annotations

from chart_harness.waiting import wait_until

from tests.contract.client.shared import Shared
from tests.harness.checker import Checker
from tests.harness.commanding import Commanding
from tests.harness.ledger import Ledger
from tests.harness.owners import Owners
from tests.harness.rest import Rest

WITHIN_S = 60.0
ENOUGH = 6


def test_each_command_is_done_once_and_a_partition_has_one_owner(system: Shared, rest: Rest) -> None:
    commanding = Commanding(system.url, system.admin_token, system.mqtt, name="commanded")
    commanding.register(rest)
    owners = Owners(system.url, system.admin_token, commanding.devices)
    clients = (commanding, owners)
    for one in clients:
        one.start()
    try:
        wait_until(lambda: len(commanding.given) >= ENOUGH and owners.said, within_s=WITHIN_S)
    finally:
        for one in clients:
            one.stop()
    given = commanding.given
    assert {one.device for one in given} == set(commanding.devices)
    assert all(len(one.done) == 1 for one in given), given
    checker = Checker(Ledger())
    checker.commands(given, commanding.found(rest))
    for (partition, _), said in owners.said.items():
        checker.owners(partition, said)
    assert checker.findings.clean, checker.findings
