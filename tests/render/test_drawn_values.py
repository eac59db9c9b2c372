"""Whatever the schemas admit renders to what Kubernetes takes, or is refused by one sentence.

The same few installations each time; `--hypothesis-profile=thorough` draws a thousand others each time:

    make test-render ARGS="-k drawn --hypothesis-profile=thorough"
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from chart_harness.admission import complaints
from chart_harness.errors import HelmError
from chart_harness.fixed import refused
from hypothesis import HealthCheck, Phase, given, note, settings

from ci import schemas
from tests.harness import helm
from tests.render import (
    test_availability,
    test_certificates,
    test_config,
    test_labels,
    test_names,
    test_probes,
    test_resources,
    test_secrets,
    test_security,
    test_services,
    test_storage,
)
from tests.render.drawn import installations
from tests.render.rendered import INSTALLATIONS, Installation
from tests.render.test_kubernetes_schemas import kubeconform
from tests.render.test_upgrade import staying

OF_SCHEMA = re.compile(
    r"Error: values don't meet the specifications of the schema\(s\) in the following chart\(s\):\n.*", re.DOTALL
)
OF_TEMPLATE = re.compile(
    r"Error: execution error at \(iot-system/templates/validate\.yaml:\d+:\d+\): [^\n]+[.]"
    r"(\n\nUse --debug flag to render out invalid YAML)?"
)
HOLDING: tuple[Callable[[Installation], None], ...] = (
    test_availability.test_replicated_parts_lose_one_pod_at_a_time_and_single_ones_block_no_node,
    test_availability.test_replicas_are_spread_over_zones_and_nodes,
    test_certificates.test_the_ca_that_signs_is_mounted_nowhere,
    test_certificates.test_the_rights_are_those_over_the_secrets_that_are_made,
    test_config.test_every_config_map_that_a_pod_uses_is_rendered,
    test_config.test_every_mount_has_its_volume_and_every_volume_its_mount,
    test_config.test_hooks_use_no_config_map_because_none_is_there_yet,
    test_labels.test_a_selector_matches_the_pods_of_its_own_workload_only,
    test_labels.test_claims_bear_selector_labels_only,
    test_labels.test_every_object_bears_the_standard_labels,
    test_labels.test_selectors_use_unchanging_labels_only,
    test_names.test_names_are_unique_within_their_kind,
    test_probes.test_every_service_tells_whether_it_started_lives_and_is_ready_at_ports_that_it_opens,
    test_resources.test_every_container_asks_for_cpu_and_memory_and_is_bounded_in_memory,
    test_secrets.test_no_password_or_token_stands_in_a_manifest,
    test_secrets.test_no_secret_is_rendered,
    test_secrets.test_passwords_and_tokens_are_generated_long_enough,
    test_security.test_every_pod_meets_pod_security_restricted,
    test_security.test_every_pod_runs_under_an_account_of_the_chart,
    test_security.test_every_writable_folder_of_a_pod_is_bounded,
    test_security.test_the_root_file_system_is_read_only_and_the_user_is_10001,
    test_services.test_autoscalers_lead_to_deployments_and_never_go_below_the_replicas,
    test_services.test_every_service_leads_to_ports_that_its_pods_open,
    test_services.test_every_stateful_set_has_its_service,
    test_storage.test_state_lies_on_claims_and_nowhere_else,
)
"""What no value may change; what the other tests say depends on one."""
FEW = settings(derandomize=True, max_examples=30, phases=[Phase.generate])
"""As they are found: to make what fails smaller takes minutes."""
OURS = settings.default if settings.get_current_profile_name() == "thorough" else FEW


def refusal(drawn: Installation) -> str | None:
    """What Helm says where the chart does not take the values."""
    try:
        assert drawn.manifests
    except HelmError as error:
        return str(error)
    return None


@pytest.mark.timeout(3600)
@given(installations())
@settings(OURS, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_drawn_values_give_what_kubernetes_takes_or_one_sentence(drawn: Installation) -> None:
    note(f"{drawn.name} with {drawn.sets}")
    refused_with = refusal(drawn)
    if refused_with is not None:
        assert OF_SCHEMA.fullmatch(refused_with) or OF_TEMPLATE.fullmatch(refused_with)
    else:
        run = kubeconform(helm.render_text(*drawn.values, sets=drawn.sets), helm.KUBERNETES, schemas.location())
        assert run.returncode == 0, run.stdout
        assert [*complaints(drawn.manifests)] == []
        for holds in HOLDING:
            holds(drawn)
        base = next(one for one in INSTALLATIONS if one.name == drawn.name)
        changed = {path for path in drawn.sets if drawn.sets[path] != base.sets.get(path)}
        assert changed & staying() or refused(base.manifests, drawn.manifests) == {}
