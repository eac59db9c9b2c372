"""What an image build is told of this machine's pip."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from ci import pip_secrets


def written(folder: Path) -> dict[str, str]:
    file = configparser.RawConfigParser()
    file.read(folder / "pip.conf")
    return dict(file["global"])


def test_options_are_read_as_pip_lists_them() -> None:
    listed = ":env:.timeout='60'\nglobal.timeout='15'\nglobal.index-url='https://mirror.example/simple?a=b'\n"
    assert pip_secrets.parse(listed) == {"timeout": "60", "index-url": "https://mirror.example/simple?a=b"}


def test_only_what_holds_inside_a_build_is_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"index-url": "https://mirror.example/simple", "find-links": "/here/only", "cert": "/here/bundle.crt"}
    monkeypatch.setattr(pip_secrets, "configuration", lambda: own)
    arguments = pip_secrets.write(tmp_path)
    assert written(tmp_path) == {"index-url": "https://mirror.example/simple", "cert": pip_secrets.CA_IN_BUILD}
    assert arguments == ["--secret", "id=ca,src=/here/bundle.crt", "--secret", f"id=pip,src={tmp_path}/pip.conf"]


def test_without_a_bundle_of_this_machine_pip_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_secrets, "configuration", dict)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "not-there"))
    assert pip_secrets.write(tmp_path) == ["--secret", f"id=pip,src={tmp_path}/pip.conf"]
    assert written(tmp_path) == {}
