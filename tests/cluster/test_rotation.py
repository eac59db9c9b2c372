"""While readings flow, every secret and certificate is exchanged: the new one works, the old one is refused."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from chart_harness.cluster import NAME, Namespace
from iot_system.adapters.tls.authority import Identity, sign
from iot_system.commands.renewal import COMING_CERTIFICATE, COMING_KEY, OVERLAP

from tests.harness.applied import found_in, settle
from tests.harness.doors import Answers, Doors
from tests.harness.installation import Installation
from tests.harness.renewal import Key
from tests.harness.rest import Rest
from tests.harness.rotating import Ask, Data, Rotation, identity, wait_for
from tests.harness.traffic import Traffic
from tests.render.rendered import TESTING
from tests.render.rendered import Installation as Rendered

SEED = 20261127
READY_WITHIN_S = 240.0
TLS_KEY = "tls.crt"
AUTHORITY = ("tls-ca", TLS_KEY)
CERTIFICATES = [(f"{component}-tls", TLS_KEY) for component in ("api", "actor-system", "nats", "postgres")]
SERVERS = ("api", "nats", "postgres")
DATABASE = "database-credentials"


def of_the_chart() -> list[Key]:
    """Everything that the chart makes."""
    chart = Rendered("testing", (TESTING,))
    made = [(name, key) for name, keys in chart.made_secrets.items() for key in keys if isinstance(keys[key], dict)]
    certificates = chart.made_certificates
    names = [*certificates["signed"], *certificates["separate"], certificates["authority"]]
    return [*made, *((name, TLS_KEY) for name in names)]


@pytest.fixture(scope="module")
def rest(testing: Installation) -> Iterator[Rest]:
    """A program that comes with an API token, as the administrator's is exchanged; it will trust other CAs, too."""
    trust = ssl.create_default_context(cadata=testing.namespace.secret("api-tls", "ca.crt"))
    made = testing.entry.rest.request("POST", "/v1/tokens", json={"name": "rotation", "role": "admin"})
    assert made.status_code == 201, made.text
    token = made.json()
    program = Rest(testing.entry.url, token["token"], trust=trust)
    yield program
    program.request("DELETE", f"/v1/tokens/{token['id']}")
    program.close()
    testing.close()  # what is open trusts a CA that is gone


@pytest.fixture(scope="module")
def traffic(testing: Installation, rest: Rest) -> Iterator[Traffic]:
    """Readings flow from before the first exchange until after the last."""
    running = Traffic(rest.url, rest.token, testing.entry.mqtt, seed=SEED, name="rotation", trust=rest.trust)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def rotation(testing: Installation, rest: Rest, traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Rotation:
    trusted = testing.namespace.secret("api-tls", "ca.crt")
    shown = identity({key: testing.namespace.secret("actor-system-tls", key) for key in ("tls.crt", "tls.key")})
    doors = Doors(testing, tmp_path_factory.mktemp("doors"), trusted, shown)
    assert rest.trust is not None
    return Rotation(testing.namespace, doors, rest.trust)


def note(figures: list[str], traffic: Traffic, what: str, refused_s: float) -> None:
    """Once all devices are heard again; say what it cost."""
    traffic.wait_until_heard()
    mqtt_s, rest_s = traffic.ledger.gap_s(traffic.by_mqtt), traffic.ledger.gap_s(traffic.by_rest)
    figures.append(
        f"rotation of {what}: the old values are refused after {refused_s:.0f} s, "
        f"the longest wait of a device {mqtt_s:.1f} s by MQTT, {rest_s:.1f} s by REST"
    )
    traffic.ledger.watch()


def containers(namespace: Namespace) -> set[tuple[str, int]]:
    """Pods of the servers that take new passwords, and how often each was started again."""
    pods = [pod for component in ("api", "actor-system", "nats", "postgres") for pod in namespace.pods(component)]
    return {(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in pods}


def test_what_is_read_from_files_is_exchanged_without_a_restart(
    testing: Installation, traffic: Traffic, rotation: Rotation, figures: list[str]
) -> None:
    doors = rotation.doors
    asks: dict[Key, Ask] = {
        ("nats-api-credentials", "password"): lambda data: doors.nats("api", data["password"]),
        ("nats-actor-system-credentials", "password"): lambda data: doors.nats("actor-system", data["password"]),
        ("nats-credentials", "password"): lambda data: doors.nats(data["username"], data["password"]),
        ("api-credentials", "admin-token"): lambda data: by_token(doors, data["admin-token"]),
    }
    keys = [*asks, *CERTIFICATES]
    old, before = rotation.held(keys), containers(testing.namespace)
    traffic.ledger.watch()
    rotation.ask(keys)
    rotation.run_job()
    rotation.bring()
    took_s = rotation.prove(asks, old)
    for component in SERVERS:
        rotation.wait_until_shown(component, rotation.secret(f"{component}-tls")[TLS_KEY])
    assert containers(testing.namespace) == before
    note(figures, traffic, "what is in files", took_s)


def by_token(doors: Doors, token: str) -> Answers:
    """The administrator's, at both doors."""
    return doors.rest(token) + doors.mqtt("admin", token)


def test_what_is_read_at_the_start_is_exchanged_by_the_migration_and_restarts(
    testing: Installation, traffic: Traffic, rest: Rest, rotation: Rotation, figures: list[str]
) -> None:
    namespace, doors = testing.namespace, rotation.doors

    def role(key: str, name: str) -> dict[Key, Ask]:
        return {(DATABASE, key): lambda data: doors.sql(name, data[key])}

    by_migration = {
        **role("runtime-password", "iot_runtime"),
        **role("owner-password", "iot_owner"),
        **role("reader-password", "iot_reader"),
    }
    by_hand = {**role("password", "iot"), **role("replication-password", "replication")}
    of_ray: dict[Key, Ask] = {
        ("ray-ca", TLS_KEY): lambda data: doors.ray_certificate(identity(data)),
        ("ray-credentials", "token"): lambda data: doors.ray(data["token"], identity(rotation.secret("ray-ca"))),
    }
    asks = by_migration | by_hand | of_ray
    old = rotation.held(asks)
    assert doors.ray(old["ray-credentials"]["token"], identity(old["ray-ca"])) == [True]
    rotation.ask(asks)
    rotation.run_job()
    tell_database(testing, rotation.secret(DATABASE))
    took_s = rotation.prove(by_hand, old)
    namespace.kubectl("delete", "job", f"--selector={NAME}=migrate", "--ignore-not-found")
    testing.upgrade({}, wait=False)
    took_s = max(took_s, rotation.prove(by_migration, old))
    namespace.kubectl("rollout", "restart", "statefulset/ray-head", "deployment/actor-system", "statefulset/postgres")
    took_s = max(took_s, rotation.prove(of_ray, old))
    namespace.wait_until_ready(within_s=READY_WITHIN_S)
    settle(rest, traffic.rooms)
    note(figures, traffic, "what is read at the start", took_s)


def tell_database(testing: Installation, data: Data) -> None:
    """The passwords of its administrator and of replication, on its own socket."""
    for role, key in ((data["username"], "password"), ("replication", "replication-password")):
        psql = ("psql", "--username=iot", "--dbname=iot", f"--command=\\password {role}")
        said = f"{data[key]}\n{data[key]}\n"
        testing.namespace.kubectl("exec", "--stdin", testing.database, "--container=postgres", "--", *psql, stdin=said)


def test_a_ca_is_exchanged_with_an_overlap_in_which_both_are_good(
    testing: Installation, traffic: Traffic, rest: Rest, rotation: Rotation, figures: list[str], tmp_path: Path
) -> None:
    doors, now = rotation.doors, datetime.now(UTC)
    traffic.ledger.watch()
    testing.close()  # pods were replaced: each way leads to another server again

    def is_known(data: Data) -> Answers:
        return doors.certificate(identity(data), rotation.secret("nats-api-credentials")["password"])

    def signed_by_it(data: Data) -> Answers:
        return is_known(as_data(sign(identity(data), "api", ["localhost"], now)))

    # So that all of them are old enough for a step.
    rotation.ask(CERTIFICATES)
    rotation.renew_certificates(now - 3 * OVERLAP, tmp_path)
    old = rotation.held([*CERTIFICATES, AUTHORITY])
    former = old["api-tls"]["ca.crt"]

    rotation.ask([AUTHORITY])
    rotation.renew_certificates(now - 2 * OVERLAP, tmp_path)
    held = rotation.secret("tls-ca")
    coming = {"tls.crt": held[COMING_CERTIFICATE], "tls.key": held[COMING_KEY]}
    rotation.trust(coming["tls.crt"])
    traffic.trust(coming["tls.crt"])
    rotation.bring()
    rotation.wait_until_trusted(former + coming["tls.crt"], ("api", "actor-system"))
    wait_for(signed_by_it, coming, True)
    wait_for(is_known, old["actor-system-tls"], True)

    rotation.ask([AUTHORITY])
    rotation.renew_certificates(now - OVERLAP, tmp_path)
    rotation.bring()
    for component in SERVERS:
        rotation.wait_until_shown(component, rotation.secret(f"{component}-tls")[TLS_KEY])
    wait_for(is_known, old["actor-system-tls"], True)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{rest.url}/health", verify=ssl.create_default_context(cadata=former), trust_env=False)

    rotation.renew_certificates(now, tmp_path)
    rotation.bring()
    asks: dict[Key, Ask] = {AUTHORITY: signed_by_it, **dict.fromkeys(CERTIFICATES, is_known)}
    note(figures, traffic, "the CA", rotation.prove(asks, old))


def as_data(made: Identity) -> Data:
    """As a secret holds it."""
    return {"tls.crt": made.certificate.decode(), "tls.key": made.key.decode()}


def test_no_acknowledged_reading_was_lost_or_doubled_meanwhile(
    traffic: Traffic, rest: Rest, figures: list[str]
) -> None:
    traffic.stop()
    findings = found_in(traffic.ledger, rest, traffic.rooms)
    assert findings.clean, findings
    figures.append(
        f"{traffic.ledger.count_acknowledged():,} readings acknowledged while secrets were exchanged: none lost"
    )


@pytest.mark.parametrize(("secret", "key"), of_the_chart(), ids=lambda one: str(one))
def test_of_each_secret_of_the_chart_the_old_value_was_refused_and_the_new_one_taken(
    rotation: Rotation, secret: str, key: str
) -> None:
    assert (secret, key) in rotation.proven
