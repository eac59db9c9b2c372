"""Anything that the domain accepts, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st
from iot_system.domain.readings import INTEGER_LIMIT, SEQ_LIMIT, Telemetry, Value

NOW_US = 1_700_000_000_000_000

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True).filter(lambda id_: id_ != "me")
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.integers(-INTEGER_LIMIT, INTEGER_LIMIT) | st.floats(allow_nan=False, allow_infinity=False)
json = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)
values: st.SearchStrategy[Value] = (
    numbers | texts | st.booleans() | st.lists(json, max_size=3) | st.dictionaries(texts, json, max_size=3)
)
telemetry: st.SearchStrategy[Telemetry] = st.builds(
    Telemetry,
    device=ids,
    time_us=st.integers(0, NOW_US),
    values=st.dictionaries(names, values, min_size=1, max_size=4),
    seq=st.none() | st.integers(0, SEQ_LIMIT),
    boot=st.none() | names,
    id=st.none() | names,
)
