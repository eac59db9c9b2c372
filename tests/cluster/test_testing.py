"""values/testing.yaml: several nodes, a database that stays, and the sample loaded by the installation itself."""

from __future__ import annotations

import pytest
from chart_harness.errors import KubernetesError

from tests.cluster import sample
from tests.harness import occupancy
from tests.harness.installation import Installation

REPLICATED = ("api", "actor-system", "nats", "postgres")
AGAIN_WITHIN_S = 240.0


def test_it_becomes_ready_and_breaks_no_rule_of_pod_security(testing: Installation) -> None:
    assert testing.namespace.not_ready() == []
    assert "PodSecurity" not in testing.printed, testing.printed


def test_helm_test_sends_a_reading_and_a_command_and_hears_of_both(testing: Installation) -> None:
    printed = testing.test()
    assert "Phase:          Succeeded" in printed, printed


@pytest.mark.parametrize("component", REPLICATED)
def test_the_pods_of_a_part_are_spread_over_the_workers(testing: Installation, component: str) -> None:
    taints = {
        node["metadata"]["name"]: node["spec"].get("taints", [])
        for node in testing.namespace.cluster.read("nodes")["items"]
    }
    workers = [name for name, found in taints.items() if not found]
    if len(workers) < 2:
        pytest.skip("the cluster has one worker only")
    used = {pod["spec"]["nodeName"] for pod in testing.namespace.pods(component)}
    assert len(used) >= 2, f"all pods of {component} run on {used}, of {workers}"


def test_the_installation_has_loaded_the_sample_row_for_row(testing: Installation) -> None:
    sample.wait_until_applied(testing.rest)
    sample.assert_held_once(testing.rest)


def test_actor_system_pods_use_the_database_as_a_role_that_owns_nothing(testing: Installation) -> None:
    ask = "select distinct usename from pg_stat_activity where application_name = 'iot-system'"
    assert testing.sql(ask).split() == ["iot_runtime"]


def test_a_dashboard_reads_the_sample_and_no_credentials(testing: Installation) -> None:
    of_room = (
        "select count(*) from readings r join devices d on d.key = r.device join metrics m on m.key = r.metric "
        f"where d.room = '{occupancy.ROOM}' and m.name in ({', '.join(map(repr, occupancy.room()))})"
    )
    assert int(testing.sql(of_room, user="iot_reader")) >= sum(one.count for one in occupancy.room().values())
    with pytest.raises(KubernetesError, match="permission denied for table credentials"):
        testing.sql("select * from credentials", user="iot_reader")


def test_everything_is_still_there_after_all_pods_were_killed_at_once(testing: Installation) -> None:
    pods = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in testing.namespace.read("pods")["items"]}
    testing.namespace.kill(*pods.values())
    testing.namespace.wait_until_ready(within_s=AGAIN_WITHIN_S, without=pods)
    sample.assert_held_once(testing.rest)
