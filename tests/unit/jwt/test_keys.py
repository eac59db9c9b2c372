"""The issuer's keys as they change, from a file and from a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from iot_system.adapters.jwt.keys import DOCUMENT_LIMIT, FILE_AGE_S, URL_AGE_S, URL_RETRY_S, keys_from, parse_keys
from iot_system.errors import Unavailable

from tests.unit.jwt.issuer import Key, KeyServer, document, key_server

OLD, NEW = Key("ES256", "old"), Key("EdDSA", "new")


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server() -> Iterator[KeyServer]:
    with key_server() as one:
        yield one


@pytest.fixture
def served(server: KeyServer) -> KeyServer:
    server.asked, server.answer = 0, (200, document(OLD))
    return server


async def test_a_file_that_changes_is_read_again(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(document(OLD))
    keys = keys_from(str(path), clock)
    assert await keys.find("old")
    assert await keys.find("new") is None
    path.write_bytes(document(NEW))
    clock.now_s += FILE_AGE_S
    assert await keys.find("new")
    assert await keys.find("old") is None


async def test_a_file_that_goes_or_breaks_leaves_what_was_known(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(document(OLD))
    keys = keys_from(str(path), clock)
    assert await keys.find("old")
    for breakage in (lambda: path.write_bytes(b'{"keys": ['), path.unlink):
        breakage()
        clock.now_s += 10 * FILE_AGE_S
        assert await keys.find("old")


async def test_while_no_keys_could_be_read_nobody_can_tell(tmp_path: Path, clock: Clock) -> None:
    keys = keys_from(str(tmp_path / "missing.json"), clock)
    with pytest.raises(Unavailable, match="cannot be read"):
        await keys.find("old")


async def test_a_server_is_asked_once_and_again_when_its_keys_are_old(served: KeyServer, clock: Clock) -> None:
    keys = keys_from(served.url, clock)
    for _ in range(5):
        assert await keys.find("old")
    assert served.asked == 1
    clock.now_s += URL_AGE_S
    assert await keys.find("old")
    assert served.asked == 2


async def test_an_unknown_key_makes_it_ask_again_but_not_for_each_token(served: KeyServer, clock: Clock) -> None:
    keys = keys_from(served.url, clock)
    assert await keys.find("old")
    served.answer = (200, document(OLD, NEW))
    for _ in range(20):
        assert await keys.find("new") is None
    assert served.asked == 1
    clock.now_s += URL_RETRY_S
    assert await keys.find("new")
    for number in range(20):
        assert await keys.find(f"unknown-{number}") is None
    assert served.asked == 2


@pytest.mark.parametrize(
    "answer",
    [(500, b""), (302, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"keys": 7}'), (200, b" " * (DOCUMENT_LIMIT + 1))],
    ids=lambda answer: f"{answer[0]} {answer[1][:12].decode()!r}",
)
async def test_a_server_in_trouble_leaves_what_was_known(
    served: KeyServer, clock: Clock, answer: tuple[int, bytes]
) -> None:
    keys = keys_from(served.url, clock)
    assert await keys.find("old")
    served.answer = answer
    clock.now_s += URL_AGE_S
    assert await keys.find("old")
    assert served.asked == 2


def test_what_cannot_sign_is_left_out_and_is_no_mistake() -> None:
    others = [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
        NEW.jwk(private=True) | {"kid": "private"},
        NEW.jwk() | {"kid": "encryption", "use": "enc"},
        NEW.jwk() | {"kid": ["several"]},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
        {"kty": "unheard of", "kid": "unknown"},
        Key("ES384", "other").jwk(),
        7,
    ]
    assert set(parse_keys(json.dumps({"keys": [*others, OLD.jwk()]}).encode())) == {"old"}
