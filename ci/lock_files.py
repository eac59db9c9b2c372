"""What the modules that make locks do when they are run: check them, or write them anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ci.errors import CiError


def check(complaints: Sequence[str]) -> int:
    """Print what no longer fits; the exit status is 1 where something does not."""
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def write(locks: Callable[[], None]) -> int:
    """Make them; the exit status is 1, with a sentence, where they cannot be made."""
    try:
        locks()
    except CiError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
