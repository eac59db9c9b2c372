"""Secrets: what ``IOT_SECRETS`` asks for, and what a cluster has afterwards."""

from __future__ import annotations

import json
import re
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from iot_system.commands.kubernetes import RENEW, Kubernetes
from iot_system.commands.secrets import Generated, fill_in, main, make_secrets, read_wanted, with_what_refers
from iot_system.errors import Forbidden, InvalidInput, InvalidSetting, Unavailable

from tests.unit.commands.kubernetes_api import Answer, KubernetesApi

DATABASE = {
    "username": "iot",
    "password": {"generate": 32},
    "url": "postgresql://{username}:{password}@database-service:5432/iot",
}


def connect(api: KubernetesApi, patience_s: float = 20.0) -> Kubernetes:
    return Kubernetes(url=api.url, folder=api.folder, patience_s=patience_s)


def wanted(**secrets: Any) -> Any:
    return read_wanted(json.dumps({name.replace("_", "-"): values for name, values in secrets.items()}))


def test_references_are_filled_in_and_random_text_is_safe_in_an_address() -> None:
    one, two = (fill_in(wanted(database=DATABASE)["database"]) for _ in range(2))
    assert one["password"] != two["password"]
    assert len(one["password"]) >= 32
    assert re.fullmatch("[A-Za-z0-9_-]+", one["password"])
    url = urlsplit(one["url"])
    assert (url.username, url.password, url.hostname, url.port) == ("iot", one["password"], "database-service", 5432)


def test_references_may_lead_to_references_in_any_order() -> None:
    values: dict[str, Generated | str] = {"a": "<{b}>", "b": "[{c-1}{c-1}]", "c-1": "x", "d": "no {} here: { }"}
    with pytest.raises(InvalidSetting, match=r"key 'd' refers to \{\}"):
        fill_in(values)
    values["d"] = "a { brace"
    assert fill_in(values) == {"a": "<[xx]>", "b": "[xx]", "c-1": "x", "d": "a { brace"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "IOT_SECRETS is not what it must be: Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"a": {"b": 1}}', "IOT_SECRETS is not what it must be: Expected `str | object`, got `int`"),
        ('{"a": {"b": {"generate": 8}}}', "Expected `int` >= 16"),
        ('{"a": {"b": {"generate": 32, "kind": "hex"}}}', "unknown field `kind`"),
        ('{"A b": {}}', "matching regex"),
        ('{"a": {"b/c": "d"}}', "matching regex"),
        ('{"a": {"b": "{c}"}}', "secret 'a': key 'b' refers to {c}, which is not a key of the secret"),
        ('{"a": {"b": "{c}", "c": "{b}"}}', "secret 'a': key 'b' refers to itself"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        read_wanted(text)
    assert why in str(refusal.value)


def test_a_missing_secret_is_made_as_opaque_once(api: KubernetesApi) -> None:
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE, api={"admin-token": {"generate": 16}}))
        made = dict(api.secrets)
        make_secrets(kubernetes, "here", wanted(database=DATABASE, api={"admin-token": {"generate": 16}}))
    assert api.secrets == made
    assert made.keys() == {("here", "database"), ("here", "api")}
    secret = made["here", "database"]
    assert (secret["kind"], secret["type"], secret["apiVersion"]) == ("Secret", "Opaque", "v1")
    values = api.values("here", "database")
    assert values["url"] == f"postgresql://iot:{values['password']}@database-service:5432/iot"


def test_an_existing_secret_is_left_as_it_is(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"username": "me", "password": "mine", "url": "postgresql://elsewhere", "more": "x"}
    api.put("here", "database", **given)
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE))
    assert api.values("here", "database") == given
    assert capsys.readouterr().out == "database: exists, left as it is\n"


def test_a_key_that_an_existing_secret_lacks_is_added_and_the_others_stay(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put("here", "database", username="me", password="mine", more="x")
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE | {"replication-password": {"generate": 32}}))
    values = api.values("here", "database")
    assert len(values.pop("replication-password")) >= 32
    assert values == {
        "username": "me",
        "password": "mine",
        "more": "x",
        "url": "postgresql://me:mine@database-service:5432/iot",
    }
    assert capsys.readouterr().out == "database: exists, replication-password added, url added\n"


def test_values_that_are_no_text_stay_as_they_are_where_a_key_is_added(api: KubernetesApi) -> None:
    api.replace("here", "database", {"username": b"\xff\x00", "url": b"postgresql://x"})
    before = api.secrets["here", "database"]["data"]
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE))
    assert before.items() < api.secrets["here", "database"]["data"].items()


def test_where_two_add_a_key_at_once_the_first_ones_value_stays(api: KubernetesApi) -> None:
    api.put("here", "database", username="me")
    api.both_look_first(2)
    run_twice_at_once(api, wanted(database=DATABASE))
    values = api.values("here", "database")
    assert api.conflicts == 1
    assert values["url"] == f"postgresql://me:{values['password']}@database-service:5432/iot"


def test_a_key_that_is_annotated_is_made_anew_once_with_what_refers_to_it(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put("here", "database", username="me", password="mine", url="postgresql://elsewhere", token="1", more="x")
    api.annotate("here", "database", RENEW, "password")
    api.annotate("here", "database", "example.org/owner", "us")
    more = wanted(database=DATABASE | {"token": {"generate": 16}})
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", more)
        values = api.values("here", "database")
        make_secrets(kubernetes, "here", more)
    assert api.values("here", "database") == values
    password = values["password"]
    assert len(password) >= 32
    assert values == {
        "username": "me",
        "password": password,
        "url": f"postgresql://me:{password}@database-service:5432/iot",
        "token": "1",
        "more": "x",
    }
    assert api.annotations("here", "database") == {"example.org/owner": "us"}
    assert capsys.readouterr().out == (
        "database: exists, password made anew, url made anew\ndatabase: exists, left as it is\n"
    )


def test_several_keys_can_be_made_anew_at_once(api: KubernetesApi) -> None:
    both = wanted(keys={"one": {"generate": 16}, "two": {"generate": 16}, "three": {"generate": 16}})
    api.put("here", "keys", one="1", two="2", three="3")
    api.annotate("here", "keys", RENEW, "one, two")
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", both)
    values = api.values("here", "keys")
    assert (values["one"] != "1", values["two"] != "2", values["three"]) == (True, True, "3")


def test_what_refers_to_a_key_is_found_over_any_number_of_steps() -> None:
    values = wanted(keys={"a": {"generate": 16}, "b": "{a}", "c": "<{b}>", "d": "{e}", "e": {"generate": 16}})["keys"]
    assert with_what_refers(values, frozenset({"a"})) == {"a", "b", "c"}
    assert with_what_refers(values, frozenset()) == set()


@pytest.mark.parametrize("key", ["username", "user", "yes", ""])
def test_an_annotation_that_names_no_generated_key_is_told_after_the_others_are_made(
    api: KubernetesApi, key: str
) -> None:
    given = {"username": "me", "password": "mine", "url": "postgresql://elsewhere"}
    api.put("here", "database", **given)
    api.annotate("here", "database", RENEW, key)
    with connect(api) as kubernetes, pytest.raises(InvalidInput) as refusal:
        make_secrets(kubernetes, "here", wanted(database=DATABASE, api={"admin-token": {"generate": 16}}))
    assert str(refusal.value) == (
        f"secret 'database': iot-system/renew names {key!r}, which is none of the generated keys password"
    )
    assert api.values("here", "database") == given
    assert ("here", "api") in api.secrets


def test_no_value_is_printed(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE))
    assert api.values("here", "database")["password"] not in "".join(capsys.readouterr())


def run_twice_at_once(api: KubernetesApi, secrets: Any) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with connect(api) as kubernetes:
                make_secrets(kubernetes, "here", secrets)
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures


def test_two_at_once_agree_on_the_first_ones_values(api: KubernetesApi) -> None:
    # Each looks before the other creates: the second to create is told 409.
    api.both_look_first(2)
    run_twice_at_once(api, wanted(**{f"secret_{number}": DATABASE for number in range(10)}))
    assert api.conflicts >= 1
    assert len(api.secrets) == 10


def test_the_service_accounts_token_is_sent_and_read_anew(api: KubernetesApi) -> None:
    with connect(api) as kubernetes:
        assert kubernetes.read_secret("here", "database") is None
        api.renew_token()
        assert kubernetes.read_secret("here", "database") is None


def test_an_api_that_is_away_for_a_moment_is_waited_for(api: KubernetesApi) -> None:
    api.before += [Answer(503, "starting"), Answer(429, "too many"), Answer(500, "etcd"), None]
    with connect(api) as kubernetes:
        make_secrets(kubernetes, "here", wanted(database=DATABASE))
    assert api.before == []
    assert ("here", "database") in api.secrets


def test_an_api_that_stays_away_ends_the_command_with_one_sentence(api: KubernetesApi) -> None:
    api.before += [Answer(503, "the server is starting")] * 100
    with (
        connect(api, patience_s=0.5) as kubernetes,
        pytest.raises(
            Unavailable, match=r"^cannot read secret 'database' in namespace 'here': .*503 the server is star"
        ),
    ):
        make_secrets(kubernetes, "here", wanted(database=DATABASE))


def test_missing_rights_are_told_in_the_apis_words(api: KubernetesApi) -> None:
    api.before += [Answer(403, 'secrets "database" is forbidden: User "x" cannot get resource')]
    with connect(api) as kubernetes, pytest.raises(Forbidden) as refusal:
        make_secrets(kubernetes, "here", wanted(database=DATABASE))
    assert str(refusal.value) == (
        "cannot read secret 'database' in namespace 'here': 403 secrets \"database\" is forbidden: "
        'User "x" cannot get resource'
    )


def test_a_server_that_the_clusters_authority_did_not_sign_is_not_trusted(
    api: KubernetesApi, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with KubernetesApi(tmp_path_factory.mktemp("other")) as other:
        trusting_other = Kubernetes(url=api.url, folder=other.folder, patience_s=0.1)
        with trusting_other as kubernetes, pytest.raises(Unavailable, match="certificate verify failed"):
            kubernetes.read_secret("here", "database")
    assert api.requests == 0


def test_a_cluster_whose_certificates_have_no_key_identifiers_is_trusted(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ssl.create_default_context

    def strict(*, cafile: Path) -> ssl.SSLContext:
        """What Python 3.13 makes; 3.11 is not strict."""
        made = usual(cafile=cafile)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    api.show_bare_certificates()
    with connect(api, patience_s=0.1) as kubernetes:
        assert kubernetes.read_secret("here", "database") is None


def test_outside_of_a_pod_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOT_SECRETS_NAMESPACE", "here")
    monkeypatch.setenv("IOT_SECRETS", "{}")
    with pytest.raises(InvalidSetting, match=r"ca.crt cannot be used: .*; this command runs in a pod"):
        main([])


@pytest.mark.parametrize("namespace", ["", "no/way", "A"])
def test_the_namespace_must_be_one(monkeypatch: pytest.MonkeyPatch, namespace: str) -> None:
    monkeypatch.setenv("IOT_SECRETS_NAMESPACE", namespace)
    with pytest.raises(InvalidSetting, match="IOT_SECRETS_NAMESPACE is"):
        main([])
