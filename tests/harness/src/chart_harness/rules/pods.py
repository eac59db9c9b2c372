"""What is asked of every pod by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chart_harness.manifests import Objects, Workload
from chart_harness.quantities import amount
from chart_harness.rendering import Manifest

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
ALLOWED_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
ALLOWED_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def probes(chart: Objects) -> Iterator[str]:
    """What runs for ever tells whether it started, lives and is ready, at ports that it opens."""
    for workload in chart.services:
        for container in workload.running:
            yield from (f"{container} has no {probe}" for probe in PROBES if probe not in container.spec)
            for probe in (one for one in PROBES if one in container.spec):
                for how in ("httpGet", "tcpSocket", "grpc"):
                    port = container.spec[probe].get(how, {}).get("port")
                    if port is not None and not container.opens(port):
                        yield f"{container} has no port {port}, which its {probe} asks"


def resources(chart: Objects) -> Iterator[str]:
    """Every container asks for CPU and memory, is bounded in memory, and asks for no more than its limit."""
    for container in chart.containers:
        requests, limits = (container.spec.get("resources", {}).get(kind, {}) for kind in ("requests", "limits"))
        yield from (f"{container} does not ask for {one}" for one in ("cpu", "memory") if one not in requests)
        if "memory" not in limits:
            yield f"{container} has no limit of memory"
        for name in sorted(requests.keys() | limits.keys()):
            try:
                given = [amount(kind[name]) for kind in (requests, limits) if name in kind]
            except ValueError as error:
                yield f"{container}: {name} {error}"
                continue
            if given[0] > given[-1]:
                yield f"{container} asks for more {name} than its limit"


def pod_security(chart: Objects) -> Iterator[str]:
    """Every pod meets Pod Security "restricted"."""
    for workload in chart.workloads:
        yield from (f"{workload} breaks Pod Security restricted: {broken}" for broken in violations(workload))


def violations(workload: Workload) -> Iterator[str]:
    """Every rule of "baseline" and "restricted" that the pods of a workload break."""
    pod = workload.pod
    security = pod.get("securityContext", {})
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(host):
            yield host
    if any(one["name"] not in ALLOWED_SYSCTLS for one in security.get("sysctls", [])):
        yield "sysctls"
    yield from _of_security(security)
    for name, profile in workload.template.get("metadata", {}).get("annotations", {}).items():
        if name.startswith(APPARMOR_ANNOTATION) and not re.match("runtime/default$|localhost/", profile):
            yield "AppArmor annotation"
    for volume in workload.volumes.values():
        if not (volume.keys() - {"name"}) <= ALLOWED_VOLUMES:
            yield f"volume {volume['name']}"
    for container in workload.containers:
        yield from _of_container(security, container.spec)


def _of_container(pod: Manifest, container: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    yield from _of_security(own)
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if "ALL" not in own.get("capabilities", {}).get("drop", []):
        yield "capabilities.drop"
    if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser"
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    if any(_names_host(probe) for name, probe in container.items() if name.endswith("Probe")):
        yield "probe host"
    if any(map(_names_host, container.get("lifecycle", {}).values())):
        yield "lifecycle host"


def _of_security(security: Manifest) -> Iterator[str]:
    """What is asked of a security context alike, be it the pod's or a container's."""
    linux = security.get("seLinuxOptions", {})
    if linux.get("type", "") not in ALLOWED_SELINUX_TYPES or linux.get("user") or linux.get("role"):
        yield "seLinuxOptions"
    if security.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
        yield "appArmorProfile"
    if security.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"


def _names_host(action: Manifest) -> bool:
    """Whether a probe or a hook goes elsewhere than to its own pod."""
    return any(action.get(how, {}).get("host") for how in ("httpGet", "tcpSocket"))
