"""``iot-system secrets``: makes the Kubernetes secrets that do not exist yet, once, and touches no other.

``IOT_SECRETS`` names them as JSON, ``{secret: {key: value}}``. A value is ``{"generate": n}``, n random bytes as
text that is safe in an address, or text in which ``{key}`` stands for another key's value of the same secret.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from iot_system.commands.kubernetes import Kubernetes
from iot_system.commands.output import complain, say
from iot_system.commands.parser import new_parser
from iot_system.errors import Conflict, InvalidSetting, IotError

_REFERENCE = re.compile(r"\{([^{}]*)\}")
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
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
    try:
        with Kubernetes() as kubernetes:
            make_secrets(kubernetes, namespace, wanted)
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


def fill_in(values: Mapping[str, Generated | str]) -> dict[str, str]:
    """Generate what is to be generated, then replace references. Raises `InvalidSetting`."""
    filled: dict[str, str] = {}

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


def make_secrets(kubernetes: Kubernetes, namespace: str, wanted: Wanted) -> None:
    """Make what is missing. Two may run at once: the first to create a secret decides its values.

    Raises `InvalidSetting` where an existing secret lacks a key, after all others are made, and as `Kubernetes`.
    """
    lacking: list[str] = []
    for name, values in wanted.items():
        keys = kubernetes.secret_keys(namespace, name)
        if keys is None:
            try:
                kubernetes.create_secret(namespace, name, fill_in(values))
            except Conflict:
                say(f"{name}: made by another at the same time")
            else:
                say(f"{name}: made")
        elif missing := sorted(values.keys() - keys):
            lacking.append(f"secret {name!r} in namespace {namespace!r} exists, but has no key {missing[0]!r}")
        else:
            say(f"{name}: exists, left as it is")
    if lacking:
        raise InvalidSetting(f"{lacking[0]}; add it, or delete the secret to have it made anew")
