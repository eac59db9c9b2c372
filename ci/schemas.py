"""Strict JSON schemas of the Kubernetes kinds that the chart renders, for kubeconform, made without its download site.

Kubernetes publishes its API as one OpenAPI file per release; Gateway API, cert-manager, KEDA, KubeRay one CRD per kind.
From them comes one self-contained schema per kind, in which an unknown field is an error. Everything is cached outside
the checkout, in a folder that is named after this recipe.

    python -m ci.schemas          prints the folder, for `kubeconform -schema-location FOLDER/…`
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ci import folders, stamp
from ci.errors import CiError

Schema = dict[str, Any]

# The oldest release that the chart supports, the one that the local cluster runs, and the newest; each with the SHA-256
# of its api/openapi-spec/swagger.json.
VERSIONS = {
    "1.32.13": "2335b4e7f79df85b20066164b14d8f02dd077dee7cd8c7b7fb425009c9837e85",
    "1.34.4": "d3b0cdc2fda15c753206d25ab459dc7c12df64e2fd652b6809687471ea751c37",
    "1.36.3": "dcede2063da1d7ad62ecb5af8adb6d7fabd0b52385a7fa0048afb491dac90450",
}
KINDS = {
    ("", "v1"): ("ConfigMap", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount"),
    ("apps", "v1"): ("Deployment", "StatefulSet"),
    ("autoscaling", "v2"): ("HorizontalPodAutoscaler",),
    ("batch", "v1"): ("CronJob", "Job"),
    ("networking.k8s.io", "v1"): ("Ingress", "NetworkPolicy"),
    ("policy", "v1"): ("PodDisruptionBudget",),
    ("rbac.authorization.k8s.io", "v1"): ("Role", "RoleBinding"),
}
SPEC = "api/openapi-spec/swagger.json"
KUBERNETES, GATEWAY = "k8s.io/kubernetes", "sigs.k8s.io/gateway-api"
CERT_MANAGER, KEDA = "github.com/cert-manager/cert-manager", "github.com/kedacore/keda/v2"
KUBERAY = "github.com/ray-project/kuberay/ray-operator"
CUSTOM = (
    (
        GATEWAY,
        "1.3.0",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        "a4ecf600c7e0bfd3cdb24e6411938d9b330117a26675f303cc6d9a407cb257d1",
    ),
    (
        CERT_MANAGER,
        "1.21.2",
        "deploy/crds/cert-manager.io_certificates.yaml",
        "7ad91029c00ec959d54215b19d3b1a9b7e0247eaa60f987151c2b70d8661f8af",
    ),
    (
        CERT_MANAGER,
        "1.21.2",
        "deploy/crds/cert-manager.io_issuers.yaml",
        "05e37efb02777e0362d24269fa103c2fc11419f9c85e31854ef873e5d9e5c5cc",
    ),
    (
        KEDA,
        "2.21.0",
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "af35555862a83933b074af14ad439c4b4ceabaf4daa3e9338e9b23e36d308d80",
    ),
    (
        KUBERAY,
        "1.5.0",
        "config/crd/bases/ray.io_rayclusters.yaml",
        "d0094482c5855c504a56670a5a1a012c3b7fe0149e63445e863790e7a9a9a9fb",
    ),
)
"""CustomResourceDefinitions: the module, its version, the file in it, and that file's SHA-256."""
DOWNLOADS = {
    KUBERNETES: "kubernetes/kubernetes/v{}",
    GATEWAY: "kubernetes-sigs/gateway-api/v{}",
    CERT_MANAGER: "cert-manager/cert-manager/v{}",
    KEDA: "kedacore/keda/v{}",
    KUBERAY: "ray-project/kuberay/v{}/ray-operator",
}
"""Where a module's files are, by its version."""
DOWNLOAD = "https://raw.githubusercontent.com"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# What kubeconform replaces in its own default location.
LAYOUT = "{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json"


class SchemasError(CiError):
    """The description of an API can be had neither from the Go module proxy nor from GitHub."""


def folder() -> Path:
    """The folder with the schemas of all VERSIONS; made on the first call, which takes some seconds.

    Raises SchemasError when a release's API description cannot be fetched or is not the pinned one.
    """

    def make(target: Path) -> None:
        custom = [yaml.load(published(*one), Loader=yaml.CSafeLoader) for one in CUSTOM]
        for version, digest in VERSIONS.items():
            write(target / f"v{version}", json.loads(published(KUBERNETES, version, SPEC, digest)))
            for crd in custom:
                write_custom(target / f"v{version}", crd)

    return stamp.folder(folders.cache() / "kubernetes-schemas" / stamp.of(Path(__file__)), make)


def location() -> str:
    """The value of kubeconform's `-schema-location`."""
    return f"{folder()}/{LAYOUT}"


def published(module: str, version: str, path: str, digest: str) -> bytes:
    """A file of a module's release: from the Go module proxy where Go is there, else from GitHub."""
    text = from_go(module, version, path) if shutil.which("go") else from_github(module, version, path)
    found = hashlib.sha256(text).hexdigest()
    if found != digest:
        raise SchemasError(f"{path} of {module} {version} has SHA-256 {found}, but {digest} is pinned")
    return text


def from_go(module: str, version: str, path: str) -> bytes:
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        run = subprocess.run(
            ["go", "mod", "download", "-json", f"{module}@v{version}"],
            cwd=outside_of_any_module,
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode:
        raise SchemasError(f"go cannot download {module}@v{version}: {run.stdout}{run.stderr}".strip())
    return Path(json.loads(run.stdout)["Dir"], path).read_bytes()


def from_github(module: str, version: str, path: str) -> bytes:
    url = f"{DOWNLOAD}/{DOWNLOADS[module].format(version)}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            text: bytes = answer.read()
    except urllib.error.URLError as error:
        raise SchemasError(
            f"cannot download {url} ({error.reason}); with Go installed, it comes from its proxy"
        ) from error
    return text


def write(target: Path, openapi: Schema) -> None:
    """One file for each of KINDS, named as kubeconform looks for it."""
    definitions: dict[str, Schema] = openapi["definitions"]
    target.mkdir()
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            group, version, kind = gvk["group"], gvk["version"], gvk["kind"]
            if kind in KINDS.get((group, version), ()):
                schema = standalone(name, definitions)
                own = schema["definitions"][name]["properties"]
                own["apiVersion"] = {"const": f"{group}/{version}".lstrip("/")}
                own["kind"] = {"const": kind}
                schema["definitions"][name]["required"] = ["apiVersion", "kind", "metadata"]
                short = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
                (target / f"{short}.json").write_text(json.dumps(schema))


def write_custom(target: Path, crd: Schema) -> None:
    """One file for each version of a CustomResourceDefinition."""
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    for version in crd["spec"]["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        own = schema["properties"]
        own["apiVersion"], own["kind"] = {"const": f"{group}/{version['name']}"}, {"const": kind}
        own["metadata"] = {"type": "object", "required": ["name"]}
        schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
        (target / f"{kind.lower()}-{group.split('.')[0]}-{version['name']}.json").write_text(json.dumps(schema))


def closed(schema: Schema) -> Schema:
    """A schema of a CRD in which an unknown field is an error at every depth, as for a strict API server."""
    kept = without_annotations(schema)
    if "properties" in kept:
        kept |= {
            "properties": {key: closed(value) for key, value in kept["properties"].items()},
            "additionalProperties": False,
        }
    if isinstance(kept.get("items"), dict):
        kept["items"] = closed(kept["items"])
    return kept


def standalone(name: str, definitions: dict[str, Schema]) -> Schema:
    """The definition and all that it refers to, in one schema."""
    needed: dict[str, Schema] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in needed:
            needed[current] = strict(current, definitions[current])
            waiting.extend(references(needed[current]))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": f"#/definitions/{name}",
        "definitions": needed,
    }


def strict(name: str, definition: Schema) -> Schema:
    """A definition as the API server reads it: no unknown fields; quantities and int-or-string also as numbers."""
    if name == QUANTITY:
        return {"type": ["string", "number"]}
    schema = without_annotations(definition)
    if "properties" in schema:
        schema["additionalProperties"] = False
    return schema


def without_annotations(schema: Schema) -> Schema:
    if schema.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    kept = {
        key: value
        for key, value in schema.items()
        if not key.startswith("x-") and key not in ("description", "default")
    }
    if "properties" in kept:
        kept["properties"] = {key: without_annotations(value) for key, value in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = without_annotations(kept[key])
    return kept


def references(schema: object) -> Iterator[str]:
    """The names of all definitions that a schema refers to."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/definitions/")
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


if __name__ == "__main__":
    print(folder())
