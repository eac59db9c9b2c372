"""MQTT topics as NATS subjects: a topic level is a token, what NATS gives a meaning to is escaped.

Topics that begin with ``$`` have a space of their own, because wildcards at the first level do not match them (MQTT 5,
4.7.2). ``a/#`` also matches ``a`` (4.7.1.2), so it is two subjects.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

FILTERS_LIMIT = 64
"""More filters than this are read as one that gets everything."""


@lru_cache(maxsize=4096)
def subject_of(topic: str) -> str:
    """The tokens of a topic name."""
    return f"{_space(topic)}.{'.'.join([_token(level) for level in topic.split('/')])}"


def topic_of(subject: str) -> str:
    """What `subject_of` was made of."""
    return "/".join([_level(token) for token in subject.split(".")[1:]])


def subjects_of(filter_: str) -> list[str]:
    """The subjects that match what a topic filter matches, and nothing else. They do not overlap."""
    levels = filter_.split("/")
    tokens = [_space(filter_), *["*" if level == "+" else _token(level) for level in levels if level != "#"]]
    if levels[-1] != "#":
        return [".".join(tokens)]
    below = ".".join([*tokens, ">"])
    return [below] if len(tokens) == 1 else [".".join(tokens), below]


def cover(filters: Iterable[str]) -> list[str]:
    """Subjects that match what any of the topic filters matches, perhaps more; no two of them overlap.

    JetStream refuses a consumer with filters that overlap.
    """
    chosen: list[tuple[str, ...]] = []
    for subject in sorted({subject for filter_ in filters for subject in subjects_of(filter_)}):
        tokens = tuple(subject.split("."))
        while (other := next((one for one in chosen if _overlap(one, tokens)), None)) is not None:
            chosen.remove(other)
            tokens = _union(other, tokens)
        chosen.append(tokens)
        if len(chosen) > FILTERS_LIMIT:
            return [">"]
    return [".".join(tokens) for tokens in chosen]


def is_covered(subject: str, by: Iterable[str]) -> bool:
    """Whether one of ``by`` matches everything that ``subject`` matches."""
    tokens = subject.split(".")
    return any(_includes(one.split("."), tokens) for one in by)


def _space(topic: str) -> str:
    return "s" if topic.startswith("$") else "u"


def _token(level: str) -> str:
    return quote(level, safe="").replace(".", "%2E") or "%"


def _level(escaped: str) -> str:
    return "" if escaped == "%" else unquote(escaped)


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    for mine, theirs in zip(one, other, strict=False):
        if mine == ">" or theirs == ">":
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(one) == len(other)


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The narrowest subject that includes two that overlap."""
    tokens: list[str] = []
    for mine, theirs in zip(one, other, strict=False):
        if mine == ">" or theirs == ">":
            return (*tokens, ">")
        tokens.append(mine if mine == theirs else "*")
    return tuple(tokens)


def _includes(wide: list[str], narrow: list[str]) -> bool:
    for index, mine in enumerate(wide):
        if index == len(narrow):
            return False
        if mine == ">":
            return True
        if mine == "*":
            if narrow[index] == ">":
                return False
        elif mine != narrow[index]:
            return False
    return len(wide) == len(narrow)
