"""A password or token in a file: read again when it changes, kept when it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from iot_system.adapters.secret_file import SecretFile
from iot_system.adapters.tls.contexts import LOOK_EVERY_S, NamedFile
from iot_system.errors import InvalidSetting
from structlog.testing import capture_logs


class Watch:
    """A clock that is turned."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def opened(path: Path, watch: Watch | None = None) -> SecretFile:
    return SecretFile(NamedFile("IOT_ADMIN_TOKEN_FILE", str(path)), watch or Watch())


def test_it_is_read_again_but_not_for_each_question(path: Path) -> None:
    watch = Watch()
    secret = opened(path, watch)
    path.write_text("second")
    watch.now_s = LOOK_EVERY_S / 2
    assert secret() == "first"
    watch.now_s = LOOK_EVERY_S
    assert secret() == "second"


def test_what_cannot_be_read_leaves_the_last_good_one_and_is_told_once(path: Path) -> None:
    watch = Watch()
    secret = opened(path, watch)
    path.write_text("")
    with capture_logs() as logs:
        for _ in range(3):
            watch.now_s += LOOK_EVERY_S
            assert secret() == "first"
    assert [one["why"] for one in logs] == [f"IOT_ADMIN_TOKEN_FILE ({path}) is empty"]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read: No such file"), (b"\n", "is empty"), (b"\xff\xfe", "is no text")]
)
def test_one_that_is_no_secret_at_first_stops_the_start(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=rf"IOT_ADMIN_TOKEN_FILE .*{why}"):
        opened(path)
