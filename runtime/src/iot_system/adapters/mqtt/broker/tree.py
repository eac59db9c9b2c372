"""Which subscriptions a topic matches (MQTT 5, 4.7): a trie of topic levels."""

from __future__ import annotations

from typing import Generic, TypeVar

from iot_system.ports.broker import Subscription

M = TypeVar("M")


class _Node(Generic[M]):
    """One level of filters. ``here`` ends at this level, ``below`` with a ``#`` behind it."""

    __slots__ = ("any", "below", "children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _Node[M]] = {}
        self.any: _Node[M] | None = None
        self.here: dict[M, Subscription] = {}
        self.below: dict[M, Subscription] = {}

    @property
    def is_empty(self) -> bool:
        return not (self.children or self.any or self.here or self.below)


class SubscriptionTree(Generic[M]):
    """Subscriptions of many members, at most one of each to the same filter."""

    def __init__(self) -> None:
        self._root: _Node[M] = _Node()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, member: M, subscription: Subscription) -> None:
        """A further one of the member to the same filter replaces the first."""
        node = self._root
        levels = subscription.filter.split("/")
        is_open = levels[-1] == "#"
        for level in levels[:-1] if is_open else levels:
            if level == "+":
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.children.setdefault(level, _Node())
        members = node.below if is_open else node.here
        self._count += member not in members
        members[member] = subscription

    def remove(self, member: M, filter_: str) -> None:
        """Nothing happens where there is none."""
        path: list[tuple[_Node[M], str]] = []
        node = self._root
        levels = filter_.split("/")
        is_open = levels[-1] == "#"
        for level in levels[:-1] if is_open else levels:
            child = node.any if level == "+" else node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        members = node.below if is_open else node.here
        if members.pop(member, None) is not None:
            self._count -= 1
        for parent, level in reversed(path):
            if not node.is_empty:
                break
            if level == "+":
                parent.any = None
            else:
                del parent.children[level]
            node = parent

    def match(self, topic: str) -> list[tuple[M, Subscription]]:
        """All that match a topic name; a member with several filters comes several times."""
        root = self._root
        found: list[tuple[M, Subscription]] = []
        levels = topic.split("/")
        nodes: list[_Node[M]]
        if topic.startswith("$"):  # wildcards do not match it at the first level (4.7.2)
            first = root.children.get(levels.pop(0))
            nodes = [] if first is None else [first]
        else:
            nodes = [root]
        for level in levels:
            below: list[_Node[M]] = []
            for node in nodes:
                if node.below:
                    found += node.below.items()
                if (child := node.children.get(level)) is not None:
                    below.append(child)
                if node.any is not None:
                    below.append(node.any)
            nodes = below
            if not nodes:
                return found
        for node in nodes:
            found += node.here.items()
            if node.below:  # "a/#" matches "a" (4.7.1.2)
                found += node.below.items()
        return found


def matches(filter_: str, topic: str) -> bool:
    """Whether one filter matches a topic name."""
    if topic.startswith("$") and filter_[0] in "+#":
        return False
    levels = topic.split("/")
    pattern = filter_.split("/")
    for index, level in enumerate(pattern):
        if level == "#":
            return True
        if index == len(levels) or level not in ("+", levels[index]):
            return False
    return len(pattern) == len(levels)
