"""How long a replica gets no further in the log, though it could."""


class Standstill:
    """It begins where a look finds the server no further than the look before, and receiving nothing."""

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """It is over, or was none: the server has all that there is, or there is another primary."""
        self.lasts_s = 0.0
        self._place: int | None = None

    def look(self, place: int, passed_s: float, *, receives: bool) -> None:
        """The server is at this place of the log, in bytes, so long after the look before.

        While it receives, nothing is known: one that cannot apply what it gets begins to receive every few seconds.
        """
        if self._place is None or place > self._place:
            self.lasts_s = 0.0
        elif not receives:
            self.lasts_s += passed_s
        self._place = place
