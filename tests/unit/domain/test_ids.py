"""Ids and the partitions that they hash to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.ids import HASH_VERSION, PARTITION_LIMIT, check_id, partition_of
from iot_system.errors import InvalidInput

from tests.unit.domain.strategies import ids


@pytest.mark.parametrize("id_", ["a", "0", "A.b_c-9", "x" * 128, "Me", "me2"])
def test_an_id_of_the_allowed_form_is_returned_as_it_is(id_: str) -> None:
    assert check_id(id_, field="room") == id_


@pytest.mark.parametrize(
    ("id_", "sentence"),
    [
        ("", "room '' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        (".a", "room '.a' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("a b", "room 'a b' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("a\n", "room 'a\\n' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("é", "room 'é' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("٣", "room '٣' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("a/b", "room 'a/b' is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"),
        ("x" * 129, "room has 129 characters; the limit is 128"),
        ("me", "room 'me' is a reserved word"),
    ],
)
def test_any_other_id_is_refused_with_field_limit_and_value(id_: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_id(id_, field="room")
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("id_", "crc"),
    # The check value of CRC-32 (ISO 3309), and published ones for "a" and "abc".
    [("123456789", 0xCBF43926), ("a", 0xE8B7BE43), ("abc", 0x352441C2)],
)
@pytest.mark.parametrize("partitions", [1, 7, 64, PARTITION_LIMIT])
def test_the_partition_is_the_crc_modulo_the_number_of_partitions(id_: str, crc: int, partitions: int) -> None:
    assert partition_of(id_, partitions) == crc % partitions


def test_stored_state_stays_where_version_1_of_the_hash_put_it() -> None:
    assert HASH_VERSION == 1
    assert [partition_of(id_, 64) for id_ in ("office", "room-1", "sensor-0001", "A.b_c-9")] == [2, 6, 36, 50]


@given(ids, st.integers(1, PARTITION_LIMIT))
def test_every_id_has_a_partition(id_: str, partitions: int) -> None:
    assert 0 <= partition_of(id_, partitions) < partitions


def test_ids_that_count_up_spread_over_all_partitions() -> None:
    counts = [0] * 64
    for number in range(64_000):
        counts[partition_of(f"device-{number:06}", 64)] += 1
    assert min(counts) > 700
    assert max(counts) < 1300
