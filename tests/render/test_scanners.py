"""kube-score and checkov report nothing about production but what exceptions.toml explains."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from chart_harness.rendering import Manifest

from ci import checkov, tools
from ci.go import NoGoError
from tests.harness import helm
from tests.harness.helm import NAMESPACE
from tests.render.rendered import EXPOSED, PRODUCTION, STORE, Installation

EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
DIGESTS = {name: f"sha256:{number:064x}" for number, name in enumerate(("api", "actor-system", "nats", "postgres"), 1)}
PLAIN = Installation("production", (PRODUCTION,))
COMPLETE = Installation(
    "complete", (PRODUCTION,), {**EXPOSED, **STORE, "global.image.digests": DIGESTS, "sample.enabled": True}
)
"""As it comes, and as a team would complete it."""
Findings = dict[str, set[str]]
"""Objects, as Kind/name, by check."""


def of(manifest: Manifest) -> str:
    """Kind and name; of a job without the digest that ends its name."""
    name = str(manifest["metadata"]["name"])
    return f"{manifest['kind']}/{re.sub('-[0-9a-f]{8}$', '', name)}"


def unexplained(findings: Findings, tool: str) -> tuple[Findings, set[str]]:
    """What is reported without an exception, and the exceptions that are not needed."""
    exceptions = {one["check"]: set(one["of"]) for one in tomllib.loads(EXCEPTIONS.read_text())[tool]}
    left = {
        check: objects - exceptions.get(check, set())
        for check, objects in findings.items()
        if "*" not in exceptions.get(check, set())
    }
    stale = {
        f"{check} of {', '.join(objects - findings[check]) or '*'}"
        for check, objects in exceptions.items()
        if not findings[check] or (objects - findings[check] - {"*"})
    }
    return {check: objects for check, objects in left.items() if objects}, stale


def kube_score(manifests: list[Manifest]) -> Findings:
    """What is not perfect for kube-score, warnings included."""
    try:
        program = tools.path("kube-score")
    except NoGoError as lacking:
        pytest.skip(f"kube-score is not run: {lacking}")
    version = "v" + ".".join(helm.KUBERNETES.split(".")[:2])
    command = [str(program), "score", "-", "--output-format=json", f"--kubernetes-version={version}"]
    run = subprocess.run(command, input=yaml.safe_dump_all(manifests), capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stderr
    names = {(one["kind"], one["metadata"]["name"]): of(one) for one in manifests}
    scored = json.loads(run.stdout)
    assert {(one["type_meta"]["kind"], one["object_meta"]["name"]) for one in scored} <= names.keys()
    found: Findings = defaultdict(set)
    for one in scored:
        for check in one["checks"]:
            if check["grade"] < 10 and not check["skipped"]:
                found[check["check"]["id"]].add(names[one["type_meta"]["kind"], one["object_meta"]["name"]])
    return found


def placed(manifests: Iterable[Manifest]) -> list[Manifest]:
    """As Helm sends them: in the release's namespace."""
    return [one | {"metadata": {"namespace": NAMESPACE, **one["metadata"]}} for one in manifests]


def joined(*all_findings: Findings) -> Findings:
    found: Findings = defaultdict(set)
    for findings in all_findings:
        for check, objects in findings.items():
            found[check] |= objects
    return found


def test_kube_score_reports_nothing_that_is_not_explained() -> None:
    left, stale = unexplained(joined(*(kube_score(one.manifests) for one in (PLAIN, COMPLETE))), "kube-score")
    assert (left, stale) == ({}, set())


def test_checkov_reports_nothing_that_is_not_explained(tmp_path: Path) -> None:
    for installation in (PLAIN, COMPLETE):
        (tmp_path / f"{installation.name}.yaml").write_text(yaml.safe_dump_all(placed(installation.manifests)))
    names = {
        f"{one['kind']}.{NAMESPACE}.{one['metadata']['name']}": of(one)
        for one in (*PLAIN.manifests, *COMPLETE.manifests)
    }
    found: Findings = defaultdict(set)
    for finding in checkov.findings(tmp_path):
        found[finding.check].add(names[finding.subject])
    assert unexplained(found, "checkov") == ({}, set())


def test_kube_score_reports_a_pod_without_limits() -> None:
    manifests = [one for one in Installation("defaults").manifests if one["kind"] == "StatefulSet"]
    assert {"container-resources", "pod-networkpolicy"} <= kube_score(manifests).keys()


def test_every_exception_has_its_reason() -> None:
    for tool, exceptions in tomllib.loads(EXCEPTIONS.read_text()).items():
        assert tool in ("kube-score", "checkov")
        assert all(len(one["why"]) > 20 and one["of"] for one in exceptions)
        assert len({one["check"] for one in exceptions}) == len(exceptions)


def test_an_exception_that_nothing_needs_and_a_report_without_one_are_found() -> None:
    left, stale = unexplained(defaultdict(set, {"new": {"Pod/x"}, "CKV_K8S_8": {"Pod/check", "Pod/x"}}), "checkov")
    assert left == {"new": {"Pod/x"}, "CKV_K8S_8": {"Pod/x"}}
    assert {one.split()[0] for one in stale} >= {"CKV_K8S_9", "CKV_K8S_15"}
    assert "CKV_K8S_8" not in {one.split()[0] for one in stale}
