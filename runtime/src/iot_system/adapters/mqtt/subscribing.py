"""What can be said of a SUBSCRIBE without asking anybody."""

from __future__ import annotations

from collections.abc import Collection

from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import Subscribe, Unsubscribe
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.topics import check_size, is_shared_valid, parse_shared
from iot_system.errors import InvalidInput


def refused_filters(subscribed: Collection[str], subscribe: Subscribe, limits: MqttLimits) -> dict[int, ReasonCode]:
    """The filters that are refused whoever asks, by index: too long, no valid share, over the session's bound.

    ``subscribed`` are the filters of the session. No packet needs more of them than a session may have.
    """
    refused: dict[int, ReasonCode] = {}
    filters = set(subscribed)
    for index, (filter_, _) in enumerate(subscribe.filters):
        if index >= limits.subscriptions:
            refused[index] = ReasonCode.QUOTA_EXCEEDED
        elif not _is_valid(filter_):
            refused[index] = ReasonCode.TOPIC_FILTER_INVALID
        elif filter_ not in filters and len(filters) >= limits.subscriptions:
            refused[index] = ReasonCode.QUOTA_EXCEEDED
        else:
            filters.add(filter_)
    return refused


def unsubscribed(subscribed: Collection[str], unsubscribe: Unsubscribe) -> list[ReasonCode]:
    """The answer to an UNSUBSCRIBE: nobody is refused (3.11.3). One that is there twice is gone at the second."""
    codes: list[ReasonCode] = []
    filters = set(subscribed)
    for filter_ in unsubscribe.filters:
        codes.append(ReasonCode.SUCCESS if filter_ in filters else ReasonCode.NO_SUBSCRIPTION_EXISTED)
        filters.discard(filter_)
    return codes


def _is_valid(filter_: str) -> bool:
    shared = parse_shared(filter_)
    if shared is not None and not is_shared_valid(shared):
        return False
    try:
        check_size(filter_)
    except InvalidInput:
        return False
    return True
