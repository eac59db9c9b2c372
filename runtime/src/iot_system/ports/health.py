"""What a process says of itself to its probes."""

from __future__ import annotations

from typing import Protocol


class Health(Protocol):
    """Both answers are reasons for a person; none means yes."""

    def why_not_alive(self) -> str | None:
        """A reason to restart this process, e.g. that its last fetch is too long ago."""
        ...

    def why_not_ready(self) -> str | None:
        """What is missing before this process can serve, e.g. the database."""
        ...
