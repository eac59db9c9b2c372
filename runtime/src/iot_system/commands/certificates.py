"""The certificates of an installation as Kubernetes secrets: one CA, what it signs, and CAs that stand alone.

``IOT_CERTIFICATES`` names them as JSON: ``{"authority": secret, "signed": {secret: {"name": …, "hosts": […]}},
"separate": [secret]}``. When each is made anew, `iot_system.commands.renewal` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from iot_system.adapters.tls.authority import contents, new_ca, sign
from iot_system.commands.kubernetes import RENEW, TLS, Kubernetes, Name, Secret, do_all, until_agreed
from iot_system.commands.output import say
from iot_system.commands.renewal import (
    CA_NAME,
    CERTIFICATE,
    KEY,
    RENEW_AT,
    TRUSTED,
    Authority,
    Certificate,
    is_settled,
    next_step,
    read_authority,
    read_identity,
    signs_from,
    why_sign,
)
from iot_system.errors import InvalidInput, InvalidSetting

T = TypeVar("T")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``authority`` signs what is ``signed``; the CAs that are ``separate`` are made, for others to sign with."""

    authority: Name
    signed: dict[Name, Certificate]
    separate: list[Name]


def read_wanted_certificates(text: str | None) -> Wanted | None:
    """Read ``IOT_CERTIFICATES``; None where it is not set. Raises `InvalidSetting`."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Wanted)
    except msgspec.DecodeError as error:
        raise InvalidSetting(f"IOT_CERTIFICATES is not what it must be: {error}") from None


class Certificates:
    """What is wanted in a namespace, made and renewed as of ``now``. Two may run at once."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, wanted: Wanted, now: datetime) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._wanted = wanted
        self._now = now

    def make(self) -> None:
        """Raises `InvalidInput` for a CA that cannot be used, after all else is made, and as `Kubernetes`."""
        works: list[Callable[[], None]] = [partial(self._make_separate, name) for name in self._wanted.separate]
        do_all(partial(until_agreed, work) for work in [*works, self._make_signed])

    def _make_signed(self) -> None:
        """Raises `Conflict` where another is at it."""
        there = {name: self._read(name) for name in self._wanted.signed}
        authority = self._make_authority(there)
        for name, certificate in self._wanted.signed.items():
            why = why_sign(there[name], certificate, authority, self._now)
            if why is not None:
                made = sign(authority.signing, certificate.name, certificate.hosts, self._now)
                data = {CERTIFICATE: made.certificate, KEY: made.key, TRUSTED: authority.trusted}
                self._write(name, there[name], data, renewed=True)
            say(f"{name}: {why or 'good'}")

    def _make_authority(self, there: Mapping[str, Secret | None]) -> Authority:
        """The CA that signs now, written already where it has changed: nobody shows what a lost one has signed."""
        name = self._wanted.authority
        found = self._read(name)
        if found is None:
            authority = Authority(new_ca(CA_NAME, self._now))
            self._write(name, None, authority.as_data(), renewed=True)
            say(f"{name}: made")
            return authority
        before = _usable(name, read_authority, found)
        settled = all(is_settled(there[one], self._wanted.signed[one], before, self._now) for one in there)
        authority = next_step(before, settled=settled, asked=bool(found.renew), now=self._now)
        if authority != before:
            self._write(name, found, authority.as_data(), renewed=True)
        say(f"{name}: {_told(before, authority, asked=bool(found.renew), now=self._now)}")
        return authority

    def _make_separate(self, name: str) -> None:
        """A CA that is never replaced unasked: those who sign with it may read it only when they start."""
        found = self._read(name)
        if found is None or found.renew:
            made = new_ca(f"{CA_NAME} {name}", self._now)
            self._write(name, found, {CERTIFICATE: made.certificate, KEY: made.key}, renewed=True)
            say(f"{name}: {'made' if found is None else 'made anew, as asked for'}")
            return
        state = contents(_usable(name, read_identity, found).certificate, self._now)
        due = f"ends on {state.ends:%Y-%m-%d}, and is made anew only when the annotation {RENEW} asks for it"
        say(f"{name}: {due if state.left <= RENEW_AT else 'good'}")

    def _read(self, name: str) -> Secret | None:
        return self._kubernetes.read_secret(self._namespace, name)

    def _write(self, name: str, found: Secret | None, data: Mapping[str, bytes | None], *, renewed: bool) -> None:
        if found is None:
            given = {key: value for key, value in data.items() if value is not None}
            self._kubernetes.create_secret(self._namespace, name, given, TLS)
        else:
            self._kubernetes.change_secret(self._namespace, name, found, data, renewed=renewed)


def _usable(name: str, read: Callable[[Mapping[str, bytes]], T], found: Secret) -> T:
    """Read a CA, or say what is wrong with it: all who trust it would be cut off by another one."""
    try:
        return read(found.data)
    except InvalidInput as error:
        raise InvalidInput(f"secret {name!r} is no CA, {error}: delete it to have another one made") from error


def _told(before: Authority, after: Authority, *, asked: bool, now: datetime) -> str:
    if after == before and asked:
        return "what is asked for waits until the last change is everywhere"
    if after.coming is not None:
        return f"another CA is trusted beside it, and signs from {signs_from(after.coming, now):%Y-%m-%d} on"
    if after == before:
        return "good"
    if after.leaving is not None:
        return "another CA signs; the old one is trusted until the next time"
    return "the old CA is trusted no more" if before.leaving is not None else "made anew: it had ended"
