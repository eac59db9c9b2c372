"""Logs: one JSON object a line, and each says who wrote it."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from iot_system.logs import set_up_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Other tests log as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_line_names_its_service_also_one_from_a_context_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    contextvars.Context().run(set_up_logs, "info", service="shard", node="n1")
    contextvars.Context().run(structlog.get_logger().info, "claim", partitions=[1, 2])
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["service"], line["node"], line["partitions"]) == ("claim", "shard", "n1", [1, 2])


def test_lines_of_libraries_are_the_same_and_bear_their_error(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("warning", service="api")
    logging.getLogger("some.library").info("not shown")
    try:
        raise ValueError("a reason")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["service"], line["level"]) == ("it failed", "api", "error")
    assert "a reason" in line["exception"]


def test_what_a_line_itself_says_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", service="shard", shard="mine")
    structlog.get_logger().info("silent", shard="another")
    assert json.loads(capsys.readouterr().err)["shard"] == "another"
