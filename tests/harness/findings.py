"""What is wrong with a system, by kind: how often, and the first examples of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

EXAMPLES = 20
"""Kept of each kind: what is wrong everywhere must not fill the memory."""
SHOWN = 3
SHOWN_CHARACTERS = 200


class Found:
    """One kind; ``len`` is how often, an iterator gives the first examples."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[object] = []

    def note(self, one: object) -> None:
        """Once more."""
        self._count += 1
        if len(self._examples) < EXAMPLES:
            self._examples.append(one)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[object]:
        return iter(self._examples)


@dataclass(frozen=True, repr=False)
class Findings:
    """All empty when the contracts hold; printed, it is a sentence."""

    lost: Found = field(default_factory=Found)
    """Acknowledged, and not there."""
    doubled: Found = field(default_factory=Found)
    """There more than once, or done more than once."""
    never_sent: Found = field(default_factory=Found)
    """There, and nobody has sent or given it."""
    wrong: Found = field(default_factory=Found)
    """Another value than was sent, or a state that does not follow from the rows."""
    reordered: Found = field(default_factory=Found)
    """Applied after what was sent later, or overwritten by what was sent earlier."""
    late: Found = field(default_factory=Found)
    """Acknowledged or to be seen later than it may be."""
    old_owner: Found = field(default_factory=Found)
    """A commit of somebody who did not own the partition any more."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.kinds().values())

    def kinds(self) -> dict[str, Found]:
        """By name, for people."""
        return {one.name.replace("_", " "): getattr(self, one.name) for one in fields(self)}

    def __repr__(self) -> str:
        said = (f"{len(found):,} {kind}: {_shown(found)}" for kind, found in self.kinds().items() if found)
        return "; ".join(said) or "nothing"


def _shown(found: Found) -> str:
    texts = [str(one)[:SHOWN_CHARACTERS] for one in list(found)[:SHOWN]]
    return ", ".join(texts) + (" …" if len(found) > SHOWN else "")
