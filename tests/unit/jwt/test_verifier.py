"""Which signed tokens are believed, and what their claims allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.adapters.jwt.keys import Keys
from iot_system.adapters.jwt.verifier import LEEWAY_S, KeySetVerifier
from iot_system.domain.access import Principal, Scope
from iot_system.errors import Forbidden, Unauthenticated

from tests.unit.jwt.issuer import RULES, Key, document

KEYS = {algorithm: Key(algorithm, algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
KEY = KEYS["EdDSA"]
STRANGER = Key("EdDSA", "EdDSA")


def verifier(*keys: Key) -> KeySetVerifier:
    published = document(*(keys or KEYS.values()))
    return KeySetVerifier(RULES, Keys(lambda: published, time.monotonic, age_s=60, retry_s=60))


async def principal(token: str) -> Principal:
    return await verifier().principal(token)


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_that_the_issuer_signed_says_who_it_is(algorithm: str) -> None:
    now_s = int(time.time())
    found = await principal(KEYS[algorithm].sign(exp=now_s + 60))
    assert found == Principal("operator", "ada@example.org", expires_us=(now_s + 60 + LEEWAY_S) * 1_000_000)


async def test_without_a_key_id_the_only_key_is_meant_and_one_of_several_is_not() -> None:
    key = Key("ES256", None)
    assert (await verifier(key).principal(key.sign())).id == "ada@example.org"
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier(Key("ES256", "other"), key).principal(key.sign())


NOW_S = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": NOW_S - LEEWAY_S - 60}, id="over"),
        pytest.param({"nbf": NOW_S + LEEWAY_S + 86_400}, id="not yet"),
        pytest.param({"iss": "https://id.example.net"}, id="another issuer"),
        pytest.param({"aud": "another"}, id="another audience"),
        pytest.param({"sub": 7}, id="sub is no text"),
        pytest.param({"exp": "soon"}, id="exp is text"),
        pytest.param({"exp": str(NOW_S + 60)}, id="exp is a number in text"),
        pytest.param({"without": "exp"}, id="no exp"),
        pytest.param({"without": "iss"}, id="no iss"),
        pytest.param({"without": "aud"}, id="no aud"),
        pytest.param({"without": "sub"}, id="no sub"),
    ],
)
async def test_a_token_whose_claims_do_not_fit_is_not_valid(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await principal(KEY.sign(**claims))


async def test_clocks_may_be_some_seconds_apart() -> None:
    assert (await principal(KEY.sign(exp=int(time.time()) - LEEWAY_S + 10))).role == "operator"


async def test_another_key_under_the_same_id_is_not_believed() -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        await principal(STRANGER.sign())


@pytest.mark.parametrize("change", ["header", "payload", "signature"])
async def test_no_part_of_a_token_can_be_changed(change: str) -> None:
    parts = KEY.sign(iot_role="viewer").split(".")
    other = KEY.sign(iot_role="admin").split(".")
    index = ["header", "payload", "signature"].index(change)
    parts[index] = other[index] if change != "header" else _encoded({"alg": "EdDSA", "kid": "EdDSA", "x": 1})
    with pytest.raises(Unauthenticated):
        await principal(".".join(parts))


async def test_a_token_without_a_signature_is_not_believed() -> None:
    payload = KEY.sign().split(".")[1]
    for algorithm in ("none", "None", "NONE"):
        with pytest.raises(Unauthenticated):
            await principal(f"{_encoded({'alg': algorithm, 'kid': 'RS256'})}.{payload}.")


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    public = KEYS["RS256"].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_encoded({'alg': 'HS256', 'kid': 'RS256'})}.{KEYS['RS256'].sign().split('.')[1]}"
    digest = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(Unauthenticated):
        await principal(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")
@pytest.mark.parametrize("algorithm", ["ES384", "RS256 short"])
async def test_keys_of_other_algorithms_and_weak_ones_are_not_believed(algorithm: str) -> None:
    key = Key(algorithm, "k")
    with pytest.raises(Unauthenticated):
        await verifier(key).principal(key.sign())


@pytest.mark.parametrize(
    ("said", "role"),
    [("viewer", "viewer"), ("admin", "admin"), (["other", "viewer"], "viewer"), (["viewer", "admin"], "admin")],
    ids=str,
)
async def test_the_role_is_what_the_claim_names_the_highest_of_several(said: object, role: str) -> None:
    assert (await principal(KEY.sign(iot_role=said))).role == role


@pytest.mark.parametrize("said", ["root", "device", "", None, 3, [], ["device"], {"admin": True}, [["admin"]]], ids=str)
async def test_a_claim_without_a_known_role_allows_nothing(said: object) -> None:
    with pytest.raises(Forbidden, match=r"iot_role.*viewer, operator, admin"):
        await principal(KEY.sign(iot_role=said))
    with pytest.raises(Forbidden, match="iot_role"):
        await principal(KEY.sign(without="iot_role"))


@pytest.mark.parametrize("said", ["room:lab label:floor=2", ["room:lab", "label:floor=2"]], ids=str)
async def test_scopes_stand_in_a_list_or_one_text(said: object) -> None:
    assert (await principal(KEY.sign(iot_scopes=said))).scopes == (Scope("room", "lab"), Scope("label", "floor=2"))


@pytest.mark.parametrize("said", [[], "", " ", None, 7, {}, ["room:"], ["lab"], [7], ["room:lab", "x"]], ids=str)
async def test_a_scope_claim_that_names_none_is_refused_for_it_must_not_mean_everything(said: object) -> None:
    with pytest.raises(Forbidden, match="iot_scopes"):
        await principal(KEY.sign(iot_scopes=said))


@pytest.mark.parametrize("subject", ["admin", "", "a\nb", "x" * 257], ids=repr)
async def test_a_subject_that_would_mislead_in_the_audit_log_is_refused(subject: str) -> None:
    with pytest.raises(Forbidden, match="subject"):
        await principal(KEY.sign(sub=subject))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3), st.text(max_size=30))
async def test_whatever_looks_like_a_token_is_refused_and_breaks_nothing(parts: list[bytes], text: str) -> None:
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    header = _encoded({"alg": "EdDSA", "kid": text})
    for token in (".".join(encoded), f"{header}.{encoded[1]}.{encoded[2]}", f"{text}.{text}.{text}", "e" * 100_000):
        with pytest.raises(Unauthenticated):
            await principal(token)


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
