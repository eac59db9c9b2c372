"""A Kubernetes cluster and one of its namespaces, through kubectl and helm."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chart_harness.errors import KubernetesError
from chart_harness.manifests import selects
from chart_harness.waiting import wait_until

ANSWER_S = 120.0
POLL_S = 1.0
NAME = "app.kubernetes.io/name"
MARK = "chart-harness/test"
"""Label of every namespace that tests make."""
REACHED_WITHIN_S = 10


@dataclass(frozen=True)
class Kubernetes:
    """A cluster that ``kubeconfig`` leads to; the two programs are paths or names on PATH."""

    kubeconfig: Path
    kubectl_program: str
    helm_program: str

    def kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = ANSWER_S) -> str:
        """What kubectl prints. Raises KubernetesError."""
        return _run(self.kubectl_command(*arguments), stdin, timeout_s)[0]

    def require(self) -> None:
        """Return when it answers. Raises KubernetesError with one sentence."""
        try:
            self.kubectl("get", "--raw", "/readyz", f"--request-timeout={REACHED_WITHIN_S}s")
        except KubernetesError as error:
            why = (str(error).splitlines() or ["kubectl does not say why"])[-1]
            raise KubernetesError(f"no cluster answers where {self.kubeconfig} leads: {why}") from error

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line of kubectl, for what runs on."""
        return [self.kubectl_program, "--kubeconfig", str(self.kubeconfig), *arguments]

    def helm(self, *arguments: str, timeout_s: float = ANSWER_S) -> str:
        """What helm prints, warnings of the cluster included. Raises KubernetesError."""
        return "".join(_run(self.helm_command(*arguments), "", timeout_s))

    def helm_command(self, *arguments: str) -> list[str]:
        """The command line of helm, for what runs on."""
        return [self.helm_program, "--kubeconfig", str(self.kubeconfig), *arguments]

    def read(self, *arguments: str) -> Any:
        """The JSON that `kubectl get ARGUMENTS` answers."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def working_set(self, namespace: str) -> dict[str, int]:
        """Pod → bytes of memory that it cannot give back, as the kubelets say."""
        found: dict[str, int] = {}
        for node in self.read("nodes")["items"]:
            summary = self.kubectl("get", "--raw", f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary")
            for pod in json.loads(summary)["pods"]:
                if pod["podRef"]["namespace"] == namespace and "workingSetBytes" in pod.get("memory", {}):
                    found[pod["podRef"]["name"]] = pod["memory"]["workingSetBytes"]
        return found

    def delete_left_namespaces(self) -> None:
        """Delete what a run of tests that was killed could not."""
        left = [
            Namespace(self, one["metadata"]["name"]) for one in self.read("namespaces", f"--selector={MARK}")["items"]
        ]
        for namespace in left:
            namespace.delete()
        for namespace in left:
            namespace.wait_until_gone()


@dataclass(frozen=True)
class Namespace:
    """One namespace, which enforces Pod Security *restricted*."""

    cluster: Kubernetes
    name: str

    def create(self) -> None:
        """Make it, with the labels that enforce and warn."""
        levels = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn", "audit")}
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.name, "labels": levels | {MARK: "true"}},
        }
        self.cluster.kubectl("create", "--filename=-", stdin=json.dumps(manifest))

    def delete(self) -> None:
        """Begin to delete it and everything in it; the pods get no time to say good-bye."""
        self.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        self.cluster.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")

    def wait_until_gone(self) -> None:
        """Return when it is deleted."""
        self.cluster.kubectl("wait", "--for=delete", f"namespace/{self.name}", f"--timeout={ANSWER_S:.0f}s")

    def kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = ANSWER_S) -> str:
        """As `Kubernetes.kubectl`, here."""
        return self.cluster.kubectl("--namespace", self.name, *arguments, stdin=stdin, timeout_s=timeout_s)

    def helm(self, *arguments: str, timeout_s: float = ANSWER_S) -> str:
        """As `Kubernetes.helm`, here."""
        return self.cluster.helm("--namespace", self.name, *arguments, timeout_s=timeout_s)

    def helm_command(self, *arguments: str) -> list[str]:
        """As `Kubernetes.helm_command`, here."""
        return self.cluster.helm_command("--namespace", self.name, *arguments)

    def read(self, *arguments: str) -> Any:
        """As `Kubernetes.read`, here."""
        return self.cluster.read("--namespace", self.name, *arguments)

    def secret(self, name: str, key: str) -> str:
        """The value of a secret's key."""
        return base64.b64decode(self.read("secret", name)["data"][key]).decode()

    def kill(self, *names: str) -> None:
        """Delete pods without a farewell; they may still be there when this returns.

        Those with a volume get a second for their end: by force, the old and the new one would use it together for a
        while, which no crash does.
        """
        for pod in self.read("pods")["items"]:
            if (name := pod["metadata"]["name"]) in names:
                has_volume = any("persistentVolumeClaim" in volume for volume in pod["spec"].get("volumes", ()))
                how = ("--grace-period=1",) if has_volume else ("--grace-period=0", "--force")
                self.kubectl("delete", "pod", name, *how, "--wait=false")

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of one component that are not about to end: by the label `NAME`, or by a selector (`a=b,c=d`)."""
        selector = component if "=" in component else f"{NAME}={component}"
        return [pod for pod in self.read("pods", f"--selector={selector}")["items"] if not _is_ending(pod)]

    def has_ending_pods(self) -> bool:
        """Whether a pod is about to end."""
        return any(_is_ending(pod) for pod in self.read("pods")["items"])

    def running_pods(self) -> list[dict[str, Any]]:
        """All pods whose work is not done."""
        return list(self.read("pods", "--field-selector=status.phase=Running")["items"])

    def ready_pods(self, component: str) -> list[str]:
        """Names of the component's pods that serve."""
        return [pod["metadata"]["name"] for pod in self.pods(component) if is_ready(pod)]

    def not_ready(self) -> list[str]:
        """What each workload that runs for ever still waits for; empty when all serve with today's template."""
        objects: list[dict[str, Any]] = self.read("deployments,statefulsets,daemonsets,pods")["items"]
        pods = [one for one in objects if one["kind"] == "Pod"]
        return [why for one in objects if one["kind"] != "Pod" and (why := _why_not_ready(one, pods))]

    def complaints(self) -> list[str]:
        """Why each container is not ready that should be: by Kubernetes, or the last line of its log."""
        try:
            return [
                f"{pod['metadata']['name']}, container {one['name']}: {self._complaint(pod, one)}"
                for pod in self.read("pods")["items"]
                if not is_ready(pod) and pod["status"].get("phase") != "Succeeded"
                for one in pod["status"].get("containerStatuses", ())
                if not one["ready"]
            ]
        except KubernetesError as error:
            return [str(error)]

    def _complaint(self, pod: dict[str, Any], status: dict[str, Any]) -> str:
        if waiting := status["state"].get("waiting"):
            return ": ".join(waiting[part] for part in ("reason", "message") if part in waiting)
        last = self.kubectl("logs", pod["metadata"]["name"], f"--container={status['name']}", "--tail=1")
        return last.strip() or "it has logged nothing"

    def wait_until_ready(self, *, within_s: float, without: Iterable[str] = ()) -> None:
        """Return when everything serves and none of the pods with the uids ``without`` is left.

        Raises AssertionError that names what does not, or why the cluster did not say so at last.
        """
        gone = set(without)

        def is_settled() -> bool:
            try:
                left = {pod["metadata"]["uid"] for pod in self.read("pods")["items"]} & gone
                missing[:] = [f"{len(left)} old pods are left"] if left else self.not_ready()
            except KubernetesError as error:
                missing[:] = [str(error)]
            return not missing

        missing: list[str] = []
        try:
            wait_until(is_settled, within_s=within_s, every_s=POLL_S)
        except AssertionError:
            late = f"after {within_s:g} s: {'; '.join(missing)}"
            raise AssertionError("\n".join([late, *self.complaints()])) from None


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod serves."""
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and not _is_ending(pod)


def _is_ending(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _why_not_ready(workload: dict[str, Any], pods: list[dict[str, Any]]) -> str | None:
    """By its pods themselves: a workload's own status lags behind a pod that was killed a moment ago."""
    name, spec, status = workload["metadata"]["name"], workload["spec"], workload["status"]
    # A count of 0 stands in no status.
    if workload["kind"] == "DaemonSet":
        wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    else:
        wanted, updated = spec["replicas"], status.get("updatedReplicas", 0)
    own = [pod for pod in pods if selects(spec["selector"], pod["metadata"].get("labels", {}))]
    ready = sum(map(is_ready, own))
    is_current = (
        status.get("observedGeneration") == workload["metadata"]["generation"]
        and updated == wanted
        and len(own) == wanted
    )
    return None if ready == wanted and is_current else f"{name} has {ready} of {wanted} pods ready, {len(own)} in all"


def _run(command: list[str], stdin: str, timeout_s: float) -> tuple[str, str]:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise KubernetesError(f"`{' '.join(command)}` did not end within {timeout_s:g} s") from None
    if done.returncode:
        raise KubernetesError((done.stderr or done.stdout).strip())
    return done.stdout, done.stderr
