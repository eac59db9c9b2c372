"""Topics and filters with few different levels, so that they meet; and MQTT's rule for when they do."""

from __future__ import annotations

from hypothesis import strategies as st

levels = st.sampled_from(["", "a", "b", "$", "$x", "a.b", "*", ">", " ", "%", "%2E", "ä", "\n"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.tuples(
        st.lists(st.one_of(st.just("+"), levels), max_size=4),
        st.sampled_from([[], ["#"]]),
    )
    .map(lambda parts: "/".join([*parts[0], *parts[1]]))
    .filter(bool)
)


def mqtt_matches(filter_: str, topic: str) -> bool:
    """The standard's rule (MQTT 5, 4.7), by recursion over the levels."""
    if topic.startswith("$") and filter_[0] in "+#":
        return False
    return _matches(filter_.split("/"), topic.split("/"))


def _matches(pattern: list[str], topic: list[str]) -> bool:
    if pattern == ["#"]:
        return True
    if not pattern or not topic:
        return not pattern and not topic
    return pattern[0] in ("+", topic[0]) and (
        _matches(pattern[1:], topic[1:]) or (pattern[1:] == ["#"] and not topic[1:])
    )
