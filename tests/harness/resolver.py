"""The event loop's way to addresses, which may fall silent as a cluster's DNS does."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

SILENT = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class Resolver:
    """In the place of the loop's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asked: list[str] = []
        self.is_silent = False
        self._getaddrinfo = loop.getaddrinfo
        loop.getaddrinfo = self.getaddrinfo  # type: ignore[assignment]

    async def getaddrinfo(self, host: str, *arguments: Any, **options: Any) -> Any:
        """As that of the loop. Raises gaierror while it is silent."""
        self.asked.append(host)
        if self.is_silent:
            raise SILENT
        return await self._getaddrinfo(host, *arguments, **options)
