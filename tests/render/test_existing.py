"""An upgrade looks at what is there, and refuses in one sentence what it could not change without losing something."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from chart_harness.errors import HelmError
from chart_harness.rendering import Manifest

from ci import previous
from tests.harness.helm import values_file
from tests.render.existing import KINDS, rendered_beside, stateful_set
from tests.render.rendered import BY_VOLUME, EXPOSED, KUBERAY, RESTORED, STORE, TESTING, Installation
from tests.render.test_upgrade import exceptions, manifests
from tests.render.test_validate import EXTERNAL_NATS, untested

SCALE = "kubectl --namespace iot scale statefulset"
OFF = {"global.tls.mode": "off"}
EXTERNAL_DATABASE = {"global.database": {"mode": "external", "existingSecret": "mine"}}
MEMORY = {
    "global.database.mode": "memory",
    "actor-system.ray.mode": "embedded",
    "actor-system.replicas": 1,
    "actor-system.autoscaling.maxReplicas": 1,
}


def nats(
    servers: int, secret: str = "nats-tls", *, running: int | None = None, replaced: bool = False, prefix: str = ""
) -> Manifest:
    """So many servers, which run unless others are ``running``; without a ``secret`` they are of 0.1.0."""
    volumes = [{"name": "config"}, *([{"name": "tls", "secret": {"secretName": secret}}] if secret else [])]
    names = [f"{prefix}nats-{number}.{prefix}nats-headless" for number in range(servers if servers > 1 else 0)]
    told = [{"name": "nats", "command": ["sh", "-c", f"for server in {' '.join(names)}; do"]}]
    spec = {
        "replicas": servers if running is None else running,
        "template": {"spec": {"containers": told, "volumes": volumes}},
    }
    revisions = {"currentRevision": "nats-1", "updateRevision": "nats-2" if replaced else "nats-1"}
    return stateful_set("nats", spec, name=f"{prefix}nats") | {"status": revisions}


def nats_config(*, encrypts: bool, sync: str = "always") -> Manifest:
    text = f'{"cert_file: x" if encrypts else ""}\nsync_interval: "{sync}"\n'
    return {"kind": "ConfigMap", "metadata": {"name": "nats-config"}, "data": {"nats.conf": text}}


def postgres(service: str, servers: int = 1) -> Manifest:
    return stateful_set("postgres", {"serviceName": service, "replicas": servers})


def volumes(component: str, size: str, *, of_class: str = "", service: str = "") -> Manifest:
    """Of a StatefulSet."""
    asked = {"resources": {"requests": {"storage": size}}, **({"storageClassName": of_class} if of_class else {})}
    claims = [{"metadata": {"name": "data"}, "spec": asked}]
    return stateful_set(component, nats(3)["spec"] | {"serviceName": service, "volumeClaimTemplates": claims})


def claim(name: str, size: str) -> Manifest:
    spec = {"resources": {"requests": {"storage": size}}}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


BALANCED: Manifest = {"kind": "Service", "metadata": {"name": "mqtt-service"}, "spec": {"loadBalancerClass": "a"}}
SMALLER_REPOSITORY = {"postgres.backup.repository.volume.size": "10Gi"}


class Change(NamedTuple):
    """Beside these objects: values that are refused, how, and values that are not."""

    there: list[Manifest]
    refused: Mapping[str, Any]
    sentence: str
    taken: Mapping[str, Any]


def other_certificates(mode: str, secret: str) -> str:
    return (
        f"global.tls.mode is {mode}, but the NATS servers that run in namespace iot have other certificates (secret: "
        f"{secret}), and make no cluster with those to come: stop them first, devices wait meanwhile: {SCALE} nats "
        "--replicas=0"
    )


def other_size(value: str, name: str) -> str:
    return (
        f"{value} is 30Gi, but the volumes of StatefulSet {name} in namespace iot have 20Gi, and Kubernetes does not "
        "change them by itself: set that, or let them grow first, as docs/operations.md says."
    )


def smaller_claim(value: str, name: str) -> str:
    return f"{value} is 10Gi, but the claim {name} in namespace iot has 20Gi, and no volume shrinks: set that, or more."


def of_another_kind(mode: str, there: str) -> str:
    return (
        f"global.database.mode is {mode}, but the database in namespace iot is {there}, and stays so: set that, or "
        "restore its backup into a new installation."
    )


def left_behind(mode: str) -> str:
    return (
        f"global.database.mode is {mode}, but the database in namespace iot runs, and nobody moves what it holds: once "
        f"you have, or do not want it any more, stop it: {SCALE} postgres --replicas=0"
    )


def servers_of(wanted: int, there: int) -> str:
    return (
        f"nats.replicas is {wanted}, but namespace iot has {there}, and another number of servers would lose streams: "
        "set that, or make a new installation."
    )


ONE = {"nats.replicas": 1, "global.stream.replicas": 1}
OF_ONES_OWN = {
    "global.tls.mode": "existing",
    **{f"global.tls.existing.{one}": f"new-{one}" for one in ("api", "actor-system", "nats", "postgres", "ray")},
}
CHANGES = {
    "a single database becomes several": Change(
        [postgres("database-service")], {}, of_another_kind("replicated", "single"), {"global.database.mode": "single"}
    ),
    "several databases become one": Change(
        [postgres("database-headless", 3)],
        {"global.database.mode": "single"},
        of_another_kind("single", "replicated"),
        {},
    ),
    "a database is left for another one": Change(
        [postgres("database-service")],
        EXTERNAL_DATABASE,
        left_behind("external"),
        {"global.database.mode": "single"},
    ),
    "a database is left for none": Change(
        [postgres("database-headless", 3)], MEMORY, left_behind("memory"), {"global.database.mode": "replicated"}
    ),
    "the broker is left for another one": Change(
        [nats(3)],
        EXTERNAL_NATS,
        "global.nats.mode is external, but the NATS servers in namespace iot run, and nobody moves what they hold, "
        "such as readings that are acknowledged and not applied yet: once all are applied and nobody sends, stop them: "
        f"{SCALE} nats --replicas=0",
        {},
    ),
    "one server of NATS becomes three": Change([nats(1)], {}, servers_of(3, 1), ONE),
    "three servers of NATS become one": Change([nats(3)], ONE, servers_of(1, 3), {}),
    "three servers of NATS become five": Change([nats(3)], {"nats.replicas": 5}, servers_of(5, 3), {}),
    "three servers of NATS become five while none runs": Change(
        [nats(3, running=0)], {"nats.replicas": 5}, servers_of(5, 3), {}
    ),
    "one server of NATS becomes three while none runs": Change([nats(1, running=0)], {}, servers_of(3, 1), ONE),
    "three servers of NATS, of which two run, become one": Change([nats(3, running=2)], ONE, servers_of(1, 3), {}),
    "encryption is switched on while servers of 0.1.0 run": Change(
        [nats(3, secret="")], {}, other_certificates("generated", "none"), OFF
    ),
    "certificates of another secret": Change(
        [nats(3, secret="mine"), nats_config(encrypts=True)], {}, other_certificates("generated", "mine"), OFF
    ),
    "certificates of one's own after others": Change(
        [nats(3), nats_config(encrypts=True)], OF_ONES_OWN, other_certificates("existing", "nats-tls"), {}
    ),
    "certificates of one's own after none": Change(
        [nats(3), nats_config(encrypts=False)], OF_ONES_OWN, other_certificates("existing", "nats-tls"), {}
    ),
    "encryption is switched on while servers of before may still run": Change(
        [nats(3, replaced=True), nats_config(encrypts=False)],
        {},
        "global.tls.mode is generated, but the NATS servers in namespace iot are being replaced, and those of before "
        "may not hear of it: let that end first (kubectl --namespace iot rollout status statefulset nats), or stop "
        f"them: {SCALE} nats --replicas=0",
        OFF,
    ),
    "encryption is switched on together with what NATS reads only at its start": Change(
        [nats(3), nats_config(encrypts=False, sync="2m")],
        {},
        "global.tls.mode is generated and nats.syncInterval is always, but both are otherwise in namespace iot, and "
        "NATS servers that run take only the first: change one after the other.",
        {"nats.syncInterval": "2m"},
    ),
    "encryption is switched off together with that": Change(
        [nats(3), nats_config(encrypts=True)],
        OFF | {"nats.syncInterval": "2m"},
        "global.tls.mode is off and nats.syncInterval is 2m, but both are otherwise in namespace iot, and NATS servers "
        "that run take only the first: change one after the other.",
        OFF,
    ),
    "another number of partitions": Change(
        [{"kind": "ConfigMap", "metadata": {"name": "actor-system-config"}, "data": {"IOT_PARTITIONS": "64"}}],
        {"global.partitions": 128},
        "global.partitions is 128, but namespace iot has 64, by which everything is stored: set that, or make a new "
        "installation.",
        {},
    ),
    "another prefix": Change(
        [nats(3, secret="site-a-nats-tls", prefix="site-a-")],
        {},
        'global.namePrefix is "", but namespace iot has the StatefulSet site-a-nats of this release: with another '
        "prefix everything would be made anew, and be empty.",
        {"global.namePrefix": "site-a-"},
    ),
    "another storage class": Change(
        [volumes("nats", "3Gi")],
        {"global.storageClass": "fast"},
        'global.storageClass is "fast", but the volumes of StatefulSet nats in namespace iot have "", and Kubernetes '
        "does not change them: set that, or restore a backup into a new installation.",
        {},
    ),
    "no storage class any more": Change(
        [volumes("nats", "3Gi", of_class="fast")],
        {},
        'global.storageClass is "", but the volumes of StatefulSet nats in namespace iot have "fast", and Kubernetes '
        "does not change them: set that, or restore a backup into a new installation.",
        {"global.storageClass": "fast"},
    ),
    "larger volumes of NATS": Change(
        [volumes("nats", "20Gi")],
        {"nats.storage": "30Gi"},
        other_size("nats.storage", "nats"),
        {"nats.storage": "20480Mi"},
    ),
    "larger volumes of Postgres": Change(
        [volumes("postgres", "20Gi", service="database-headless")],
        {"postgres.storage": "30Gi"},
        other_size("postgres.storage", "postgres"),
        {"postgres.storage": "20Gi"},
    ),
    "a larger volume of Ray's head": Change(
        [volumes("ray-head", "20Gi")],
        {"actor-system.ray.head.storage": "30Gi"},
        other_size("actor-system.ray.head.storage", "ray-head"),
        KUBERAY,  # its StatefulSet goes
    ),
    "a smaller volume of Ray's head by KubeRay": Change(
        [claim("ray-head", "20Gi")],
        KUBERAY | {"actor-system.ray.head.storage": "10Gi"},
        smaller_claim("actor-system.ray.head.storage", "ray-head"),
        KUBERAY | {"actor-system.ray.head.storage": "30Gi"},
    ),
    "a smaller repository of backups": Change(
        [claim("backup-repository", "20Gi")],
        BY_VOLUME | SMALLER_REPOSITORY,
        smaller_claim("postgres.backup.repository.volume.size", "backup-repository"),
        BY_VOLUME | {"postgres.backup.repository.volume.size": "30Gi"},
    ),
    "another class of load balancer": Change(
        [BALANCED],
        EXPOSED,
        'api.mqttLoadBalancer.className is "lb", but the Service mqtt-service in namespace iot has "a", which '
        "Kubernetes does not change: set that, or leave api.mqttLoadBalancer.sourceRanges out by an upgrade in "
        "between.",
        EXPOSED | {"api.mqttLoadBalancer.className": "a"},
    ),
}
STOPPED = {
    "the database": (postgres("database-service", 0), EXTERNAL_DATABASE),
    "the broker": (nats(3, running=0), EXTERNAL_NATS),
    "the servers of 0.1.0": (nats(3, secret="", running=0), {}),
}
"""What may be changed once nothing runs any more."""
LEFT_ALONE: dict[str, tuple[list[Manifest], Mapping[str, Any]]] = {
    "a repository of the same size": ([claim("backup-repository", "20Gi")], BY_VOLUME),
    "a repository that backups had": ([claim("backup-repository", "20Gi")], SMALLER_REPOSITORY),
    "a repository that has gone to a store": ([claim("backup-repository", "20Gi")], STORE | SMALLER_REPOSITORY),
    "a repository that is given": ([claim("backup-repository", "20Gi")], RESTORED | SMALLER_REPOSITORY),
    "a volume of Ray's head that goes": ([claim("ray-head", "20Gi")], {"actor-system.ray.head.storage": "10Gi"}),
    "a class of load balancer by somebody else": ([BALANCED], EXPOSED | {"api.mqttLoadBalancer.className": ""}),
    "a server of NATS that was stopped by hand": ([nats(3, running=2), nats_config(encrypts=True)], {}),
    "another secret of one's own": ([nats(3, secret="mine"), nats_config(encrypts=True)], OF_ONES_OWN),
    "another image while one comes": ([nats(3, replaced=True), nats_config(encrypts=True)], {}),
}
"""What an upgrade does not change, or may."""


def singly(sets: Mapping[str, Any]) -> list[str]:
    """Helm's arguments for values by dotted path."""
    return [part for path, value in sets.items() for part in ("--set-json", f"{path}={json.dumps(value)}")]


def render(there: list[Manifest], sets: Mapping[str, Any]) -> str:
    """What Helm makes of values/testing.yaml beside these. Raises HelmError."""
    return rendered_beside(there, "--values", str(TESTING), *singly(sets))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_would_lose_something_is_refused_in_one_sentence_and_what_would_not_is_done(change: Change) -> None:
    with pytest.raises(HelmError, match=re.escape(change.sentence)):
        render(change.there, change.refused)
    assert "kind: Deployment" in render(change.there, change.taken)


@pytest.mark.parametrize(("there", "sets"), STOPPED.values(), ids=STOPPED)
def test_what_was_stopped_may_be_left(there: Manifest, sets: Mapping[str, Any]) -> None:
    assert "kind: Deployment" in render([there], sets)


@pytest.mark.parametrize(("there", "sets"), LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_loses_nothing_is_done(there: list[Manifest], sets: Mapping[str, Any]) -> None:
    assert "kind: Deployment" in render(there, sets)


def test_the_same_values_again_are_never_refused(installation: Installation) -> None:
    there = [one for one in installation.manifests if one["kind"] in KINDS]
    values = [part for path in installation.values for part in ("--values", str(path))]
    assert rendered_beside(there, *values, *singly(installation.sets))


@pytest.mark.parametrize("name", ["testing", "production"])
def test_beside_the_release_before_is_refused_what_the_upgrade_guide_names_and_done_what_it_says(
    previous_tree: Path, name: str
) -> None:
    old = manifests("--values", f"{previous_tree}/values/{name}.yaml", chart=previous_tree / previous.CHART)
    there = [one for one in old if one["kind"] in KINDS]
    values = ("--values", str(values_file(name)))
    _, kept = exceptions()[name]
    with pytest.raises(HelmError, match=r"global\.database\.mode is replicated"):
        rendered_beside(there, *values)
    with pytest.raises(HelmError, match=r"global\.tls\.mode is generated"):
        rendered_beside(there, *values, *kept)
    assert rendered_beside(there, *values, *kept, "--set", "global.tls.mode=off")


@pytest.mark.parametrize("number", [1, 3])
def test_how_many_servers_of_nats_there_are_is_known_of_the_release_before_and_of_this_one(
    previous_tree: Path, number: int
) -> None:
    sets = [*(f"--set={path}={value}" for path, value in ONE.items()), "--set=global.tls.mode=off"]
    wanted, other = (sets, sets[-1:]) if number == 1 else (sets[-1:], sets)
    this = manifests("--values", str(TESTING), *wanted)
    before = manifests(
        "--values", f"{previous_tree}/values/testing.yaml", *wanted[:-1], chart=previous_tree / previous.CHART
    )
    for there in (this, before):
        servers = [one for one in there if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "nats"]
        assert rendered_beside(servers, "--values", str(TESTING), *wanted)
        with pytest.raises(HelmError, match=rf"nats\.replicas is {4 - number}, but namespace iot has {number},"):
            rendered_beside(servers, "--values", str(TESTING), *other)


def test_another_release_of_the_namespace_is_not_looked_at() -> None:
    other = nats(5)
    other["metadata"]["labels"]["app.kubernetes.io/instance"] = "another"
    assert "kind: Deployment" in render([other], {})


def test_every_sentence_has_its_test() -> None:
    assert untested("upgrade.yaml", [change.sentence for change in CHANGES.values()]) == []
