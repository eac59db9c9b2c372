"""What the benchmark needs."""

from __future__ import annotations

import shutil

import pytest
from iot_system.errors import Unavailable

from bench import servers


def test_a_missing_mosquitto_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="apt install mosquitto"):
        servers.mosquitto()
