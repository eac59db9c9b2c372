"""What labels may be, wherever they come in."""

from __future__ import annotations

import pytest
from iot_system.domain.registry import LABEL_LENGTH_LIMIT, LABELS_LIMIT, Device, check_labels
from iot_system.errors import InvalidInput
from iot_system.services.registrations import check_device

LONG = "x" * (LABEL_LENGTH_LIMIT + 1)


@pytest.mark.parametrize("labels", [{}, {"a b": ""}, {"ü": "a = b"}, {LONG[1:]: LONG[1:]}, {"gone": None}])
def test_good_labels_are_taken(labels: dict[str, str | None]) -> None:
    check_labels(labels)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"a=b": "c"}, "label 'a=b' must have 1 to 128 printable characters without '='"),
        ({"": "c"}, "label '' must have 1 to 128"),
        ({LONG: "c"}, "must have 1 to 128"),
        ({"a\n": "c"}, "printable characters"),
        ({"a": LONG}, "a value has up to 128"),
        ({"a": "\0"}, "a value has up to 128 printable characters"),
        ({str(number): "" for number in range(LABELS_LIMIT + 1)}, "labels has 65 entries; the limit is 64"),
    ],
)
def test_a_bad_label_is_refused_with_rule_and_value_by_gateway_and_shard(labels: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_labels(labels)
    with pytest.raises(InvalidInput, match=sentence):
        check_device(Device(id="d", labels=labels))
