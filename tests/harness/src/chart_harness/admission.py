"""What Kubernetes asks of a manifest beyond its schema: names, labels, networks, schedules.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/, …/labels/, and the API server's `validation`
packages. Left out is what no short pattern of a values schema could say: the grammar of IPv6, and what compares two
numbers of one field, such as the ends of a range in a schedule.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from chart_harness.manifests import is_custom
from chart_harness.rendering import Manifest

_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
SUBDOMAIN = re.compile(rf"{_PART}([.]{_PART})*")
SERVICE = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
QUALIFIED = re.compile(rf"({_PART}([.]{_PART})*/)?{_NAME}")
LABEL_VALUE = re.compile(rf"({_NAME})?")
CONFIG_KEY = re.compile("[-._a-zA-Z0-9]{1,253}")
IMAGE = re.compile(
    r"([a-zA-Z0-9][-.a-zA-Z0-9]*(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?"
)
PATH_SEGMENT = re.compile(r"(?![.]{1,2}$)[^/%]+")
ROLES = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
"""Kinds whose names are no DNS names: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""
NAMES = ("secretName", "claimName", "serviceAccountName", "priorityClassName", "storageClassName", "ingressClassName")
"""Fields that name another object."""
REFERENCES = ("secretKeyRef", "configMapRef", "configMap", "imagePullSecrets")
"""Fields that hold the ``name`` of another object."""
OF_USERS = ("data", "stringData", "binaryData", "labels", "matchLabels", "annotations", "nodeSelector", "selector")
"""Fields whose own fields are named by users; but a selector may hold `matchLabels` and `matchExpressions`."""
LONGEST = {"CronJob": 52, "Job": 63, "StatefulSet": 63, "Service": 63}
"""Of names, where something else is made of them."""
LONGEST_NAME = 253
LAST_PORT = 65535
DURATION = re.compile(r"([0-9]+([.][0-9]*)?(ns|us|µs|ms|s|m|h))+")
"""Of Go's, what somebody would write."""
_FIELDS = ((0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"))
CRON = (*_FIELDS, (0, 6, "sun mon tue wed thu fri sat"))
"""Least, greatest and names of minute, hour, day of the month, month and day of the week."""


def complaints(manifests: Iterable[Manifest]) -> Iterator[str]:
    """A sentence for each text that Kubernetes would refuse, or that could never be what it refers to."""
    for manifest in manifests:
        where = f"{manifest['kind']}/{manifest['metadata']['name']}"
        yield from (f"{where}: {complaint}" for complaint in _of(manifest))


def _of(manifest: Manifest) -> Iterator[str]:
    if is_custom(manifest):
        yield from _of_custom(manifest)
        return
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    valid = SERVICE if kind == "Service" else PATH_SEGMENT if kind in ROLES else SUBDOMAIN
    if not valid.fullmatch(name) or len(name) > LONGEST.get(kind, LONGEST_NAME):
        yield "its name is not valid"
    if kind == "ConfigMap":
        yield from (f"key {key!r}" for key in manifest.get("data", {}) if not CONFIG_KEY.fullmatch(key))
    yield from _of_fields(manifest)


def _of_custom(manifest: Manifest) -> Iterator[str]:
    """Name, labels, and the pods in it: what means there what Kubernetes means by it."""
    name = manifest["metadata"]["name"]
    if not SUBDOMAIN.fullmatch(name) or len(name) > LONGEST_NAME:
        yield "its name is not valid"
    for part in ({"metadata": manifest["metadata"]}, *_pods(manifest.get("spec"))):
        yield from _of_fields(part)


def _of_fields(part: Manifest) -> Iterator[str]:
    for field, value in _fields(part):
        yield from (f"{field} {one!r}" for one in _wrong(field, value))


def _pods(value: Any) -> Iterator[Manifest]:
    """Templates of pods, wherever they are in it."""
    if isinstance(value, dict) and isinstance(value.get("spec"), dict) and "containers" in value["spec"]:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _pods(inner)


def _fields(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a manifest with the name of its field; things in a list have that of the list."""
    yield field, value
    if isinstance(value, dict):
        for key, inner in value.items():
            if field not in OF_USERS or isinstance(inner, dict | list):
                yield from _fields(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, field)


def _wrong(field: str, value: Any) -> Iterator[Any]:
    match field, value:
        case ("labels" | "matchLabels" | "nodeSelector" | "selector", dict()):
            for key, text in value.items():
                if isinstance(text, str) and not (QUALIFIED.fullmatch(key) and LABEL_VALUE.fullmatch(text)):
                    yield {key: text}
        case ("matchExpressions", dict()):
            values = value.get("values", [])
            fits = bool(values) is (value["operator"] in ("In", "NotIn", "Gt", "Lt"))
            if not (fits and QUALIFIED.fullmatch(value["key"]) and all(map(LABEL_VALUE.fullmatch, values))):
                yield value
        case ("annotations", dict()):
            yield from (key for key in value if not QUALIFIED.fullmatch(key.lower()))
        case ("loadBalancerClass", str()):
            yield from () if QUALIFIED.fullmatch(value) else (value,)
        case (_, dict()) if field in REFERENCES:
            yield from () if SUBDOMAIN.fullmatch(value.get("name", "")) else (value,)
        case (_, str()) if field in NAMES:
            yield from () if SUBDOMAIN.fullmatch(value) else (value,)
        case ("image", str()):
            yield from () if IMAGE.fullmatch(value) else (value,)
        case ("host" | "hostnames", str()):
            yield from () if SUBDOMAIN.fullmatch(value.removeprefix("*.")) and not _is_address(value) else (value,)
        case ("cidr" | "except" | "loadBalancerSourceRanges", str()):
            yield from () if _is_network(value) else (value,)
        case ("port" | "endPort" | "targetPort" | "containerPort" | "ports", int()):
            yield from () if 0 < value <= LAST_PORT else (value,)
        case ("schedule", str()):
            yield from () if _is_schedule(value) else (value,)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    if ":" in text:
        length = text.rpartition("/")[2]
        return length.isdecimal() and int(length) <= 128
    try:
        ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_schedule(text: str) -> bool:
    """As Kubernetes reads it: https://pkg.go.dev/github.com/robfig/cron/v3, but for slips that it lets pass."""
    if text in ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"):
        return True
    if text.startswith("@every "):
        return bool(DURATION.fullmatch(text.removeprefix("@every ")))
    fields = text.split()
    return len(fields) == len(CRON) and all(_is_field(one, *bounds) for one, bounds in zip(fields, CRON, strict=True))


def _is_field(text: str, least: int, most: int, names: str) -> bool:
    for part in text.split(","):
        values, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            return False
        for one in [] if values in ("*", "?") else values.split("-", 1):
            if not (one.isdecimal() and least <= int(one) <= most) and one.lower() not in names.split():
                return False
    return True
