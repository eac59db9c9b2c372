"""An OCI registry on loopback, empty at first."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ci import tools
from ci.go import NoGoError


@contextmanager
def running_registry() -> Iterator[str]:
    """Its `host:port` while it runs; the test is skipped where the program cannot be had."""
    try:
        program = tools.path("registry")
    except NoGoError as lacking:
        pytest.skip(f"there is no registry: {lacking}")
    with subprocess.Popen([program, "-port=0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr
        try:
            said = server.stderr.readline()
            port = re.search(r"serving on port (\d+)", said)
            assert port, said
            # It tells of every request, and stops where nobody reads that.
            threading.Thread(target=server.stderr.read, daemon=True).start()
            yield f"localhost:{port[1]}"
        finally:
            server.kill()
