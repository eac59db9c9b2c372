"""What a connection says of itself to the owners of its devices."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.adapters.mqtt.broker.attachment import Attachment, session_from
from iot_system.adapters.mqtt.downlink import Downlink
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.domain import deliveries
from iot_system.domain.signals import Connected, Signal
from iot_system.ports.broker import SessionRecord, Subscription


class Client:
    """Takes everything."""

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        return []

    def taken_over(self) -> None:
        raise AssertionError("nobody takes it over")


def test_an_owner_that_asks_whether_the_connection_is_there_is_told_once_more_what_it_listens_to() -> None:
    subscriptions = (Subscription("v1/devices/d/#"),)
    record = SessionRecord(owner="device:d", client_id="c", connection="one", subscriptions=subscriptions)
    said: list[Signal] = []
    member = Attachment(Client(), session_from(record, ()), record, 1, MqttLimits())
    downlink = Downlink("d", "api", "one", member, now_us=lambda: 7, say=said.append)
    downlink.begin()
    said.clear()
    downlink.deliver(deliveries.Delivery("d", "one", None, []))
    assert said == [Connected("d", "api", "one", 7, wants_desired=True, wants_commands=True)]
    downlink.end("gone")
    said.clear()
    downlink.deliver(deliveries.Delivery("d", "one", None, []))
    assert said == []
