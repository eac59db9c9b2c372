"""What the tests of this chart cannot do where they run; each is one sentence for who runs them."""

from __future__ import annotations


class NoSuchPartError(Exception):
    """What a fault would break is not there."""


class NotBreakableError(NoSuchPartError):
    """Why nothing of a node can be broken."""
