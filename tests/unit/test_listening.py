"""The kernel's tables of sockets, read as the kernel of this machine writes them."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.harness.listening import TABLES, ports_in


def test_ports_that_others_can_reach_are_found_and_those_of_loopback_are_not() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.create_server(("::", 0), family=socket.AF_INET6) as everywhere_6,
        socket.create_server(("127.0.0.1", 0)) as here,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as here_6,
        socket.create_connection(here.getsockname()) as connection,
    ):
        found = ports_in("".join(Path(table).read_text() for table in TABLES))
        assert {("TCP", one.getsockname()[1]) for one in (everywhere, everywhere_6)} <= found
        assert {("TCP", one.getsockname()[1]) for one in (here, here_6, connection)} & found == set()
