"""``iot-system secrets``: makes the Kubernetes secrets and keys that are missing, and renews certificates.

``IOT_SECRETS`` names them as JSON, ``{secret: {key: value}}``. A value is ``{"generate": n}``, n random bytes as
text that is safe in an address, or text in which ``{key}`` stands for another key's value of the same secret. What is
there stays, but for keys that the secret's annotation ``iot-system/renew`` names, and what refers to them.
``IOT_CERTIFICATES``: see `iot_system.commands.certificates`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from iot_system.commands.certificates import Certificates, read_wanted_certificates
from iot_system.commands.kubernetes import RENEW, Kubernetes, Name, as_data, do_all, until_agreed
from iot_system.commands.output import complain, say
from iot_system.commands.parser import new_parser
from iot_system.errors import InvalidInput, InvalidSetting, IotError

_REFERENCE = re.compile(r"\{([^{}]*)\}")
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,253}$")]


class Generated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A random text of ``generate`` bytes of entropy."""

    generate: Annotated[int, Meta(ge=16, le=1024)]


Wanted: TypeAlias = dict[Name, dict[Key, Generated | str]]


def main(argv: list[str]) -> int:
    """Run the command; 1 with one sentence where a secret cannot be made."""
    new_parser("secrets", __doc__).parse_args(argv)
    namespace = os.environ.get("IOT_SECRETS_NAMESPACE", "")
    if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", namespace):
        raise InvalidSetting(f"IOT_SECRETS_NAMESPACE is {namespace!r}; it must be the name of a namespace")
    wanted = read_wanted(os.environ.get("IOT_SECRETS", ""))
    certificates = read_wanted_certificates(os.environ.get("IOT_CERTIFICATES"))
    try:
        with Kubernetes() as kubernetes:
            works: list[Callable[[], None]] = [partial(make_secrets, kubernetes, namespace, wanted)]
            if certificates is not None:
                works.append(Certificates(kubernetes, namespace, certificates, datetime.now(UTC)).make)
            do_all(works)
    except InvalidSetting:
        raise
    except IotError as error:
        complain("secrets", error)
        return 1
    return 0


def read_wanted(text: str) -> Wanted:
    """Read ``IOT_SECRETS``. Raises `InvalidSetting`, also for a reference that leads nowhere."""
    try:
        wanted = msgspec.json.decode(text, type=Wanted)
    except msgspec.DecodeError as error:
        raise InvalidSetting(f"IOT_SECRETS is not what it must be: {error}") from None
    for name, values in wanted.items():
        try:
            fill_in(values)
        except InvalidSetting as error:
            raise InvalidSetting(f"IOT_SECRETS: secret {name!r}: {error}") from None
    return wanted


def fill_in(
    values: Mapping[str, Generated | str], existing: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Generate what is to be generated and not ``existing``, then replace references. Raises `InvalidSetting`."""
    filled = {key: existing[key] for key in values.keys() & existing.keys()}

    def value(key: str, asked_by: tuple[str, ...]) -> str:
        if key in asked_by:
            raise InvalidSetting(f"key {key!r} refers to itself")
        if key not in values:
            raise InvalidSetting(f"key {asked_by[-1]!r} refers to {{{key}}}, which is not a key of the secret")
        if key not in filled:
            wanted = values[key]
            filled[key] = (
                secrets.token_urlsafe(wanted.generate)
                if isinstance(wanted, Generated)
                else _REFERENCE.sub(lambda found: value(found[1], (*asked_by, key)), wanted)
            )
        return filled[key]

    return {key: value(key, ()) for key in values}


def with_what_refers(values: Mapping[str, Generated | str], keys: frozenset[str]) -> frozenset[str]:
    """``keys`` and all others of the secret whose text is made of them.

    Raises `InvalidInput` where one of ``keys`` is not generated.
    """
    generated = sorted(key for key, value in values.items() if isinstance(value, Generated))
    if unknown := sorted(keys.difference(generated)):
        raise InvalidInput(f"{RENEW} names {unknown[0]!r}, which is none of the generated keys {', '.join(generated)}")
    found: frozenset[str] = keys
    while True:
        more = {key for key, text in values.items() if isinstance(text, str) and found & set(_REFERENCE.findall(text))}
        if more <= found:
            return found
        found |= more


def make_secrets(kubernetes: Kubernetes, namespace: str, wanted: Wanted) -> None:
    """Make what is missing. Two may run at once: the first to write a secret decides its values.

    Raises `InvalidInput` for an annotation that names what cannot be generated, after all others are made, and as
    `Kubernetes`.
    """
    do_all(partial(_make_one, kubernetes, namespace, name, values) for name, values in wanted.items())


def _make_one(kubernetes: Kubernetes, namespace: str, name: str, values: Mapping[str, Generated | str]) -> None:
    try:
        became = until_agreed(partial(_make_secret, kubernetes, namespace, name, values))
    except InvalidInput as refusal:
        raise InvalidInput(f"secret {name!r}: {refusal}") from refusal
    say(f"{name}: {became}")


def _make_secret(kubernetes: Kubernetes, namespace: str, name: str, values: Mapping[str, Generated | str]) -> str:
    """Return what became of it. Raises `Conflict` where another was faster."""
    found = kubernetes.read_secret(namespace, name)
    if found is None:
        kubernetes.create_secret(namespace, name, as_data(fill_in(values)))
        return "made"
    renewed = with_what_refers(values, found.renew)
    existing = {key: value for key, value in found.texts().items() if key not in renewed}
    filled = fill_in(values, existing)
    made = sorted(filled.keys() - existing.keys())
    if not made:
        return "exists, left as it is"
    data = as_data({key: filled[key] for key in made})
    kubernetes.change_secret(namespace, name, found, data, renewed=bool(renewed))
    told = [f"{key} {'made anew' if key in found.data else 'added'}" for key in made]
    return f"exists, {', '.join(told)}"
