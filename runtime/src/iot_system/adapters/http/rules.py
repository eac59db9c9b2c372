"""Rules for texts in words: nobody is to read a regular expression."""

from __future__ import annotations

import re

ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
BEHAVIOUR_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
LABEL_PATTERN = "^[^=]+=.*$"
_WORDS = {
    ID_PATTERN: "letters, digits, '.', '_' and '-', the first a letter or digit",
    BEHAVIOUR_PATTERN: "a class as module:Class",
    LABEL_PATTERN: "a label as name=value",
}
_MATCHING = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'")


def in_words(rule: str) -> str:
    """What msgspec says of a broken rule, without the pattern."""
    found = _MATCHING.fullmatch(rule)
    words = _WORDS.get(found["pattern"].replace("\\\\", "\\")) if found else None
    return rule if words is None else f"it must be {words}"
