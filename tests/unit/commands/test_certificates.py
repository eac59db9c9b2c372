"""Certificates: what ``IOT_CERTIFICATES`` asks for, what a namespace has afterwards, and who trusts whom meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iot_system.adapters.tls.authority import CA_LIFE, LIFE, contents, is_signed_by, new_ca
from iot_system.commands.certificates import Certificates, read_wanted_certificates
from iot_system.commands.kubernetes import RENEW, Kubernetes
from iot_system.commands.renewal import NOTICE, OVERLAP
from iot_system.commands.secrets import main
from iot_system.errors import InvalidInput, InvalidSetting

from tests.unit.commands.kubernetes_api import KubernetesApi

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HERE, CA, RAY = "here", "tls-ca", "ray-ca"
SIGNED = {
    "nats-tls": {"name": "nats", "hosts": ["nats-service", "127.0.0.1"]},
    "api-tls": {"name": "api", "hosts": ["api"]},
}
WANTED = {"authority": CA, "signed": SIGNED, "separate": [RAY]}
Held = dict[str, str]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(tmp_path) as running:
        yield running


def run(api: KubernetesApi, now: datetime, wanted: Any = WANTED) -> None:
    """One run of the command, as of ``now``."""
    read = read_wanted_certificates(json.dumps(wanted))
    assert read is not None
    with Kubernetes(url=api.url, folder=api.folder) as kubernetes:
        Certificates(kubernetes, HERE, read, now).make()


def held(api: KubernetesApi) -> dict[str, Held]:
    """What is signed, as pods see it."""
    return {name: api.values(HERE, name) for name in SIGNED}


def cas(values: Held) -> int:
    """How many CAs a secret trusts."""
    return len(x509.load_pem_x509_certificates(values["ca.crt"].encode()))


def trusts(one: Held, other: Held, host: str, now: datetime) -> bool:
    """Whether who holds ``one`` accepts the certificate of ``other`` for a server of this name."""
    store = Store(x509.load_pem_x509_certificates(one["ca.crt"].encode()))
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(host))
    try:
        verifier.verify(x509.load_pem_x509_certificate(other["tls.crt"].encode()), [])
    except VerificationError:
        return False
    return True


def test_what_is_missing_is_made_and_all_trust_each_other(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    assert {name for _, name in api.secrets} == {CA, RAY, *SIGNED}
    assert {secret["type"] for secret in api.secrets.values()} == {"kubernetes.io/tls"}
    nats, by_api = held(api)["nats-tls"], held(api)["api-tls"]
    assert trusts(by_api, nats, "nats-service", NOW)
    assert trusts(nats, by_api, "api", NOW)
    assert not trusts(by_api, nats, "api", NOW)
    assert nats.keys() == {"tls.crt", "tls.key", "ca.crt"}
    assert api.values(HERE, CA).keys() == api.values(HERE, RAY).keys() == {"tls.crt", "tls.key"}
    assert capsys.readouterr().out == "ray-ca: made\ntls-ca: made\nnats-tls: made\napi-tls: made\n"


def test_the_ca_of_ray_and_that_of_everything_else_sign_nothing_for_each_other(api: KubernetesApi) -> None:
    run(api, NOW)
    ray, ca = api.values(HERE, RAY), api.values(HERE, CA)
    assert ray["tls.crt"] not in held(api)["nats-tls"]["ca.crt"]
    assert not is_signed_by(ray["tls.crt"].encode(), ca["tls.crt"].encode())


def test_a_second_run_changes_nothing(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    run(api, NOW)
    made = dict(api.secrets)
    capsys.readouterr()
    run(api, NOW + LIFE / 2)
    assert api.secrets == made
    assert capsys.readouterr().out == "ray-ca: good\ntls-ca: good\nnats-tls: good\napi-tls: good\n"


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(api: KubernetesApi) -> None:
    run(api, NOW)
    before, ca = held(api), api.values(HERE, CA)
    run(api, NOW + LIFE * 2 / 3 - DAY)
    assert held(api) == before
    run(api, NOW + LIFE * 2 / 3 + DAY)
    assert api.values(HERE, CA) == ca
    for name, values in held(api).items():
        assert values["tls.crt"] != before[name]["tls.crt"]
        assert values["tls.key"] != before[name]["tls.key"]
        assert values["ca.crt"] == before[name]["ca.crt"]


def test_only_what_wants_other_names_is_signed_anew(api: KubernetesApi) -> None:
    run(api, NOW)
    before = held(api)
    more = {"name": "api", "hosts": ["api", "iot.example.org"]}
    run(api, NOW, WANTED | {"signed": SIGNED | {"api-tls": more}})
    after = held(api)
    assert after["nats-tls"] == before["nats-tls"]
    assert contents(after["api-tls"]["tls.crt"].encode(), NOW).hosts == {"api", "iot.example.org"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tls.crt": b"x"}, "made anew: this is no certificate in PEM"),
        ({"tls.key": new_ca("another", NOW).key}, "made anew: the key is not that of the certificate"),
        ({"ca.crt": b"x"}, "made anew: the CAs are others"),
        ({"tls.crt": new_ca("a", NOW).certificate}, "made anew: the key is not that of the certificate"),
    ],
    ids=["no certificate", "another key", "another CA", "another certificate"],
)
def test_what_cannot_be_used_is_made_anew(
    api: KubernetesApi, change: dict[str, bytes], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    good = {key: value.encode() for key, value in held(api)["nats-tls"].items()}
    api.replace(HERE, "nats-tls", good | change)
    capsys.readouterr()
    run(api, NOW)
    assert f"nats-tls: {why}\n" in capsys.readouterr().out
    assert trusts(held(api)["api-tls"], held(api)["nats-tls"], "nats-service", NOW)


@pytest.mark.parametrize("name", [CA, RAY])
def test_a_ca_that_cannot_be_used_is_not_replaced_but_told(api: KubernetesApi, name: str) -> None:
    run(api, NOW)
    broken = {"tls.crt": b"x", "tls.key": b"y"}
    api.replace(HERE, name, broken)
    with pytest.raises(InvalidInput) as refusal:
        run(api, NOW)
    assert str(refusal.value) == (
        f"secret {name!r} is no CA, this is no certificate in PEM: delete it to have another one made"
    )
    assert api.values(HERE, name) == {"tls.crt": "x", "tls.key": "y"}


@pytest.mark.parametrize("name", [CA, RAY])
def test_what_does_not_need_an_unusable_ca_is_made_all_the_same(
    api: KubernetesApi, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    api.replace(HERE, name, {"tls.crt": broken, "tls.key": b"y"})
    monkeypatch.setattr("iot_system.commands.secrets.Kubernetes", partial(Kubernetes, url=api.url, folder=api.folder))
    monkeypatch.setenv("IOT_SECRETS_NAMESPACE", HERE)
    monkeypatch.setenv("IOT_SECRETS", '{"api": {"admin-token": {"generate": 16}}}')
    monkeypatch.setenv("IOT_CERTIFICATES", json.dumps(WANTED))
    assert main([]) == 1
    assert capsys.readouterr().err.startswith(f"iot-system secrets: secret {name!r} is no CA, ")
    needing = {CA: [], RAY: [CA, *SIGNED]}
    assert {secret for _, secret in api.secrets} == {CA, RAY, "api", *needing[name]}


def test_a_secret_without_a_key_is_told_as_well(api: KubernetesApi) -> None:
    api.replace(HERE, CA, {"tls.crt": new_ca("a", NOW).certificate})
    with pytest.raises(InvalidInput, match=r"'tls-ca' is no CA, it has no key 'tls.key': delete"):
        run(api, NOW)


@pytest.mark.parametrize("name", ["nats-tls", RAY])
def test_what_is_annotated_is_made_anew_once(api: KubernetesApi, name: str) -> None:
    run(api, NOW)
    before = api.values(HERE, name)
    api.annotate(HERE, name, RENEW, "tls.crt")
    run(api, NOW)
    after = api.values(HERE, name)
    assert after["tls.crt"] != before["tls.crt"]
    assert api.annotations(HERE, name) == {}
    run(api, NOW)
    assert api.values(HERE, name) == after


def test_a_ca_is_replaced_step_by_step_when_it_is_asked_for(api: KubernetesApi) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + OVERLAP)
    assert api.annotations(HERE, CA) == {}
    assert [cas(one) for one in held(api).values()] == [2, 2]
    assert all(is_signed_by(one["tls.crt"].encode(), old.encode()) for one in held(api).values())
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + 2 * OVERLAP)
    assert api.annotations(HERE, CA) == {}
    new = api.values(HERE, CA)["tls.crt"]
    assert new != old
    assert [cas(one) for one in held(api).values()] == [2, 2]
    assert all(is_signed_by(one["tls.crt"].encode(), new.encode()) for one in held(api).values())
    run(api, NOW + 3 * OVERLAP)
    assert [one["ca.crt"] for one in held(api).values()] == [new, new]
    assert api.values(HERE, CA).keys() == {"tls.crt", "tls.key"}


def test_a_run_that_comes_too_soon_after_another_takes_no_step(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + OVERLAP - timedelta(seconds=1))
    assert [cas(one) for one in held(api).values()] == [1, 1]
    assert api.annotations(HERE, CA).keys() == {RENEW}
    assert "tls-ca: what is asked for waits until the last change is everywhere\n" in capsys.readouterr().out


def test_a_ca_that_is_coming_signs_when_people_have_had_notice_and_not_before(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    api.annotate(HERE, CA, RENEW, "tls.crt")
    came = NOW + DAY
    for now in (came, came + DAY, came + NOTICE - timedelta(seconds=1)):
        capsys.readouterr()
        run(api, now)
        assert "tls-ca: another CA is trusted beside it, and signs from 2026-12-27 on\n" in capsys.readouterr().out
        assert api.values(HERE, CA)["tls.crt"] == old
    run(api, came + NOTICE)
    assert api.values(HERE, CA)["tls.crt"] != old
    assert [cas(one) for one in held(api).values()] == [2, 2]


def test_a_ca_is_replaced_when_a_third_of_its_life_is_left_and_long_before_what_it_signs_ends_early(
    api: KubernetesApi,
) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    due = NOW + CA_LIFE * 2 / 3
    run(api, due - DAY)
    run(api, due)
    run(api, due + NOTICE)
    run(api, due + NOTICE + DAY)
    for one in held(api).values():
        assert old not in one["ca.crt"]
        assert contents(one["tls.crt"].encode(), due).ends - due > LIFE


def test_a_ca_that_has_ended_is_replaced_at_once(api: KubernetesApi) -> None:
    run(api, NOW)
    late = NOW + CA_LIFE + DAY
    run(api, late)
    assert trusts(held(api)["api-tls"], held(api)["nats-tls"], "nats-service", late)


def test_the_ca_of_ray_is_not_replaced_unasked_but_told(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    run(api, NOW)
    ray = api.values(HERE, RAY)
    run(api, NOW + CA_LIFE * 0.7)
    assert api.values(HERE, RAY) == ray
    assert "ray-ca: ends on 2036-11-23, and is made anew only when the annotation iot-system/renew" in (
        capsys.readouterr().out
    )


def test_what_another_has_signed_in_a_secret_of_ours_is_replaced(api: KubernetesApi) -> None:
    run(api, NOW)
    first = held(api)
    del api.secrets[HERE, CA]
    run(api, NOW)
    assert held(api)["nats-tls"]["ca.crt"] != first["nats-tls"]["ca.crt"]
    assert trusts(held(api)["api-tls"], held(api)["nats-tls"], "nats-service", NOW)
    assert not trusts(first["api-tls"], held(api)["nats-tls"], "nats-service", NOW)


def test_two_at_once_agree_on_one_ca(api: KubernetesApi) -> None:
    api.both_look_first(2)
    failures: list[BaseException] = []

    def run_here() -> None:
        try:
            run(api, NOW)
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=run_here) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert api.conflicts >= 1
    run(api, NOW)
    nats, by_api = held(api)["nats-tls"], held(api)["api-tls"]
    assert nats["ca.crt"] == by_api["ca.crt"] == api.values(HERE, CA)["tls.crt"]
    assert trusts(by_api, nats, "nats-service", NOW)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([timedelta(0), OVERLAP / 2, OVERLAP, DAY, NOTICE]),
            st.sampled_from([None, None, CA, "nats-tls"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_renewed_nobody_distrusts_who_has_not_seen_it_yet(
    api: KubernetesApi, runs: list[tuple[timedelta, str | None]]
) -> None:
    """A pod may still have what was there `OVERLAP` ago, never what is older."""
    api.secrets.clear()
    now = NOW
    run(api, now)
    seen = [(now, held(api))]
    for later, asked in runs:
        now += later
        if asked is not None:
            api.annotate(HERE, asked, RENEW, "tls.crt")
        run(api, now)
        # What was replaced before `OVERLAP` ago is nowhere any more.
        seen = [one for one, after in zip(seen, [*seen[1:], (now, {})], strict=True) if now - after[0] < OVERLAP]
        seen.append((now, held(api)))
        for _, one in seen:
            for _, other in seen:
                assert trusts(one["api-tls"], other["nats-tls"], "nats-service", now)
                assert trusts(one["nats-tls"], other["api-tls"], "api", now)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Input data was truncated"),
        ("{}", "missing required field `authority`"),
        (json.dumps(WANTED | {"more": 1}), "unknown field `more`"),
        (json.dumps(WANTED | {"authority": "A b"}), "matching regex"),
        (json.dumps(WANTED | {"signed": {"a": {"name": "a"}}}), "missing required field `hosts`"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^IOT_CERTIFICATES is not what it must be: ") as refusal:
        read_wanted_certificates(text)
    assert why in str(refusal.value)


def test_without_the_setting_there_are_none() -> None:
    assert read_wanted_certificates(None) is None
