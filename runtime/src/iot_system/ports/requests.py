"""Request-reply between gateways and the owners of partitions, and words that nobody answers, lost at worst."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

Handler = Callable[[bytes], Awaitable[bytes | None]]
"""Takes a question, returns the answer, or None to stay silent because another owner answers."""


class Requests(Protocol):
    """Contract of the request-reply transport."""

    async def ask(self, partition: int | None, data: bytes, *, timeout_s: float) -> bytes:
        """Ask the owner of ``partition`` (None: whichever shard is free).

        While nobody owns it, tries again. Raises `Unavailable` after ``timeout_s``.
        """
        ...

    async def serve(self, partition: int | None, handler: Handler) -> None:
        """Answer the questions for ``partition`` (None: those that any shard may answer) until `unserve`.

        An answer larger than the transport takes becomes an `iot_system.domain.questions.Refusal`: `TooLarge`.
        """
        ...

    async def unserve(self, partition: int | None) -> None:
        """Stop answering; questions already taken are still answered."""
        ...

    async def tell(self, gateway: str, data: bytes) -> None:
        """Hand ``data`` to the gateway of this name, if it is there. Raises `Unavailable`, `TooLarge`."""
        ...

    async def on_told(self, gateway: str, callback: Callable[[bytes], None]) -> None:
        """Call ``callback`` with what `tell` hands to ``gateway`` from now on."""
        ...

    async def alive(self, gateway: str) -> None:
        """Tell all shards that the gateway of this name is there."""
        ...

    async def on_alive(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the name of each gateway that says it is alive from now on."""
        ...

    async def listening(self) -> None:
        """Tell all shards that somebody listens to readings."""
        ...

    async def on_listening(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever somebody says so from now on."""
        ...

    async def announce(self, device: str) -> None:
        """Tell all gateways that the registration or the credentials of ``device`` changed."""
        ...

    async def on_announcement(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the id of each device announced from now on."""
        ...
