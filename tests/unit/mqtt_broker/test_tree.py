"""The subscription tree against MQTT's rule."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.broker.tree import SubscriptionTree, matches
from iot_system.ports.broker import Subscription

from tests.unit.mqtt_broker.strategies import filters, mqtt_matches, topics

Entries: TypeAlias = set[tuple[int, str]]
subscriptions = st.sets(st.tuples(st.integers(0, 3), filters), max_size=20)


def tree_of(entries: Entries) -> SubscriptionTree[int]:
    tree: SubscriptionTree[int] = SubscriptionTree()
    for member, filter_ in entries:
        tree.add(member, Subscription(filter_))
    return tree


@given(filters, topics)
def test_one_filter_matches_what_the_standard_says(filter_: str, topic: str) -> None:
    assert matches(filter_, topic) == mqtt_matches(filter_, topic)


@given(subscriptions, topics)
def test_a_topic_finds_each_subscription_that_matches_it_once(entries: Entries, topic: str) -> None:
    found = [(member, subscription.filter) for member, subscription in tree_of(entries).match(topic)]
    assert sorted(found) == sorted(entry for entry in entries if mqtt_matches(entry[1], topic))


@given(subscriptions, subscriptions, topics)
def test_what_was_removed_leaves_no_trace(kept: Entries, removed: Entries, topic: str) -> None:
    tree = tree_of(kept | removed)
    for member, filter_ in removed:
        tree.remove(member, filter_)
        tree.remove(member, filter_)
    assert len(tree) == len(kept - removed)
    assert sorted(tree.match(topic), key=repr) == sorted(tree_of(kept - removed).match(topic), key=repr)
    for member, filter_ in kept:
        tree.remove(member, filter_)
    assert len(tree) == 0
    assert tree._root.is_empty


def test_a_second_subscription_to_a_filter_replaces_the_first() -> None:
    tree: SubscriptionTree[str] = SubscriptionTree()
    tree.add("m", Subscription("a/+", 0))
    tree.add("m", Subscription("a/+", 1))
    assert tree.match("a/b") == [("m", Subscription("a/+", 1))]
