"""What the one command knows, and what it says where something is missing."""

from __future__ import annotations

import builtins
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from iot_system.__main__ import COMMANDS, main

SERVICES = {"api", "actor-system", "ray-head", "migrate", "streams"}
ROOT = Path(__file__).parents[3]
GUIDES = [guide.read_text() for guide in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
EXAMPLES = [example for guide in GUIDES for example in re.findall(r"^iot-system (.+)$", guide, re.MULTILINE)]


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - SERVICES))
def test_every_verb_tells_how_it_is_used(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: iot-system {name}" in said
    assert "``" not in said


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_guides_is_a_verb(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    # --help comes last and ends it: what stands before must be known.
    words = shlex.split(example, comments=True)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0, capsys.readouterr().err


def test_without_a_token_nothing_is_asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IOT_TOKEN", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["devices", "list"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("iot-system devices: no token: set IOT_TOKEN")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["devices", "create"], "iot-system devices create: the following arguments are required: id "),
        (["send", "a", "--ts", "noon"], "iot-system send: argument --ts: invalid float value: 'noon' "),
        (["device", "list"], "iot-system: argument SUBCOMMAND: invalid choice: 'device' "),
        (["replay", "--url", "http://h"], "iot-system replay: no token: set IOT_ADMIN_TOKEN "),
    ],
)
def test_words_that_make_no_sense_are_told_in_one_sentence(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IOT_ADMIN_TOKEN", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert said.endswith(" --help)\n")
    assert said.count("\n") == 1


def test_an_address_in_the_environment_is_held_to_the_same_rules(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOT_URL", "mqtt://somewhere")
    with pytest.raises(SystemExit) as ended:
        main(["devices", "list", "--token", "t"])
    assert ended.value.code == 2
    assert "must be like http://127.0.0.1:8000" in capsys.readouterr().err


@pytest.mark.parametrize(("missing", "extra"), [("httpx", "client"), ("pyarrow", "client,parquet")])
def test_a_package_that_is_not_installed_is_named_with_what_brings_it(
    missing: str, extra: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.split(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return imported(name, *arguments)

    for name in [one for one in sys.modules if one.startswith(("iot_system.c", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["export", "history.parquet", "--token", "t"]) != 0
    said = capsys.readouterr().err
    assert f"pip install './runtime[{extra}]'" in said
    assert said.count("\n") == 1
