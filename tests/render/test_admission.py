"""Nothing that Kubernetes would refuse for what its schemas do not say."""

from __future__ import annotations

from typing import Any

import pytest
from chart_harness.admission import complaints

from tests.render.rendered import Installation


def test_names_labels_networks_and_schedules_are_what_kubernetes_takes(installation: Installation) -> None:
    assert [*complaints(installation.manifests)] == []


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"metadata": {"name": "A"}}, "Thing/A: its name is not valid"),
        ({"metadata": {"name": "x" * 64}, "kind": "Job"}, f"Job/{'x' * 64}: its name is not valid"),
        ({"metadata": {"name": "x", "labels": {"a": "-"}}}, "Thing/x: labels {'a': '-'}"),
        ({"metadata": {"name": "x", "annotations": {"a b": ""}}}, "Thing/x: annotations 'a b'"),
        ({"kind": "ConfigMap", "data": {"a/b": ""}}, "ConfigMap/x: key 'a/b'"),
        ({"spec": {"selector": {"a/b/c": "d"}}}, "Thing/x: selector {'a/b/c': 'd'}"),
        (
            {"spec": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "Thing/x: matchExpressions {'key': 'a', 'operator': 'In'}",
        ),
        ({"spec": {"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}}, "Thing/x: cidr '10.0.0.0/33'"),
        ({"spec": {"from": [{"ipBlock": {"cidr": "fd00::/x"}}]}}, "Thing/x: cidr 'fd00::/x'"),
        ({"spec": {"ports": [{"port": 65536}]}}, "Thing/x: port 65536"),
        ({"spec": {"rules": [{"host": "198.51.100.7"}]}}, "Thing/x: host '198.51.100.7'"),
        ({"spec": {"volumes": [{"secret": {"secretName": "a..b"}}]}}, "Thing/x: secretName 'a..b'"),
        ({"spec": {"env": [{"secretKeyRef": {"name": "A"}}]}}, "Thing/x: secretKeyRef {'name': 'A'}"),
        ({"spec": {"containers": [{"image": "a//b:1"}]}}, "Thing/x: image 'a//b:1'"),
        ({"spec": {"loadBalancerClass": "a b"}}, "Thing/x: loadBalancerClass 'a b'"),
        ({"spec": {"schedule": "60 * * * *"}}, "Thing/x: schedule '60 * * * *'"),
        ({"spec": {"schedule": "0 * * *"}}, "Thing/x: schedule '0 * * *'"),
        ({"spec": {"schedule": "*/0 * * * *"}}, "Thing/x: schedule '*/0 * * * *'"),
        ({"spec": {"schedule": "@every day"}}, "Thing/x: schedule '@every day'"),
        ({"apiVersion": "example.org/v1", "metadata": {"name": "A"}}, "Thing/A: its name is not valid"),
        (
            {"apiVersion": "example.org/v1", "spec": {"groups": [{"spec": {"containers": [{"image": "a//b:1"}]}}]}},
            "Thing/x: image 'a//b:1'",
        ),
    ],
)
def test_what_it_refuses_is_found(broken: dict[str, Any], complaint: str) -> None:
    assert [*complaints([{"kind": "Thing", "metadata": {"name": "x"}} | broken])] == [complaint]


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1",
        f"nginx@sha256:{0:064}",
        f"nginx@sha512:{0:0128}",
        f"registry.example.org:5000/a/b:1@sha256:{0:064}",
    ],
)
def test_images_may_be_named_in_every_way(image: str) -> None:
    assert [*complaints([{"kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"image": image}]}}])] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "Secret", "data": {"host": "ZGI="}, "stringData": {"image": "A//B"}},
        {"kind": "ConfigMap", "data": {"schedule": "0 0 0 * * *", "port": "0"}},
        {"metadata": {"name": "x", "labels": {"schedule": "nightly"}, "annotations": {"Example.org/host": "A b"}}},
        {"spec": {"selector": {"host": "A"}, "nodeSelector": {"image": "A"}}},
        {"spec": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["4"]}]}]}},
    ],
)
def test_what_users_name_is_no_field_of_kubernetes(fields: dict[str, Any]) -> None:
    assert [*complaints([{"kind": "Thing", "metadata": {"name": "x"}} | fields])] == []


@pytest.mark.parametrize("name", ["system:x", "A b"])
def test_roles_may_have_names_that_nothing_else_has(name: str) -> None:
    assert [*complaints([{"kind": "ClusterRole", "metadata": {"name": name}}])] == []
    assert [*complaints([{"kind": "Service", "metadata": {"name": name}}])] != []


@pytest.mark.parametrize(
    "schedule", ["@daily", "@every 1h30m", "0 3 * * sun", "*/15 0-6,18-23 1 JAN-mar 0", "0  3 ? * *"]
)
def test_schedules_may_be_words_ranges_and_steps(schedule: str) -> None:
    assert [*complaints([{"kind": "CronJob", "metadata": {"name": "x"}, "spec": {"schedule": schedule}}])] == []


@pytest.mark.parametrize(
    "spec",
    [
        {"schedule": "0 0 0 * * *"},
        {"groups": [{"rules": [{"labels": {"severity": "{{ $labels.severity }}"}}]}]},
        {"image": {"name": "A"}, "host": "10.0.0.1"},
        {"host": "10.0.0.1", "containers": [{"name": "merged", "schedule": "x"}]},
    ],
)
def test_what_the_fields_of_custom_resources_mean_is_not_guessed(spec: dict[str, Any]) -> None:
    own = {"apiVersion": "example.org/v1", "kind": "Own", "metadata": {"name": "x"}, "spec": spec}
    assert [*complaints([own])] == []
