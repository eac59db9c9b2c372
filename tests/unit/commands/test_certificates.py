"""Certificates: what ``IOT_CERTIFICATES`` asks for, and what a namespace has afterwards."""

from __future__ import annotations

import json
import threading
from functools import partial

import pytest
from iot_system.adapters.tls.authority import LIFE, contents, is_signed_by, new_ca
from iot_system.commands.certificates import read_wanted_certificates
from iot_system.commands.kubernetes import RENEW, Kubernetes
from iot_system.commands.secrets import main
from iot_system.errors import InvalidInput, InvalidSetting

from tests.unit.commands.certified import CA, DAY, HERE, NOW, RAY, SIGNED, WANTED, held, run, trusts
from tests.unit.commands.kubernetes_api import KubernetesApi


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
