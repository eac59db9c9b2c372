"""Exchanges the secrets of an installation as docs/rotation.md says, and tries the old value and the new one."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

from chart_harness.cluster import Namespace
from chart_harness.waiting import wait_until
from iot_system.adapters.tls.authority import Identity
from iot_system.commands.certificates import Certificates, read_wanted_certificates

from tests.harness.account import as_account
from tests.harness.doors import Answers, Doors
from tests.harness.renewal import ACCOUNT, Key, Renewal

REFUSED_WITHIN_S = 60.0
FILES_WITHIN_S = 60.0
READ_CA = "print(open('/etc/iot-system/tls/ca.crt').read(), end='')"
Data = Mapping[str, str]
Ask = Callable[[Data], Answers]
"""What the servers say to who comes with a secret as it is, or as it was."""


class Rotation(Renewal):
    """``proven`` are the keys of which both values were tried; ``trust`` is that of devices."""

    def __init__(self, namespace: Namespace, doors: Doors, trust: ssl.SSLContext) -> None:
        self.doors = doors
        self.proven: set[Key] = set()
        super().__init__(namespace)
        self._trust = trust

    def secret(self, name: str) -> dict[str, str]:
        """What it holds now."""
        return {key: self._namespace.secret(name, key) for key in self._namespace.read("secret", name)["data"]}

    def held(self, keys: Collection[Key]) -> dict[str, Data]:
        """These secrets as they are now, by name."""
        return {name: self.secret(name) for name in {name for name, _ in keys}}

    def renew_certificates(self, now: datetime, folder: Path) -> None:
        """What the job does with certificates, as if it were another time: it takes no step of a CA in five minutes."""
        pod = self._namespace.read("cronjob", ACCOUNT)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        env = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        wanted = read_wanted_certificates(env["IOT_CERTIFICATES"])
        assert wanted is not None
        with as_account(self._namespace, ACCOUNT, folder) as api:
            Certificates(api, self._namespace.name, wanted, now).make()

    def trust(self, authorities: str) -> None:
        """Bring CAs to devices, as people do."""
        self.doors.trusted += authorities
        self._trust.load_verify_locations(cadata=authorities)

    def wait_until_trusted(self, authorities: str, components: Collection[str]) -> None:
        """Return when all pods of the components, which have Python, have exactly these CAs in their files."""

        def have_it() -> bool:
            names = [pod for component in components for pod in self._namespace.ready_pods(component)]
            return all(
                self._namespace.kubectl("exec", name, "--", "python", "-c", READ_CA) == authorities for name in names
            )

        wait_until(have_it, within_s=FILES_WITHIN_S, every_s=1, why="the CA's file is not everywhere")

    def wait_until_shown(self, component: str, certificate: str) -> None:
        """Return when all servers of a component show this one."""
        wanted = ssl.PEM_cert_to_DER_cert(certificate)

        def is_shown() -> bool:
            return set(self.doors.shown_by(component)) == {wanted}

        wait_until(is_shown, within_s=FILES_WITHIN_S, every_s=1, why=f"{component} does not show its new certificate")

    def prove(self, asks: Mapping[Key, Ask], old: Mapping[str, Data]) -> float:
        """Wait until every server refuses the old values and takes the new ones; seconds until the last is refused.

        Raises AssertionError where it takes too long.
        """
        began_s, took_s = time.monotonic(), 0.0
        for (name, key), ask in asks.items():
            new = self.secret(name)
            assert new[key] != old[name][key], f"{name} {key} is what it was"
            left_s = began_s + REFUSED_WITHIN_S - time.monotonic()
            wait_for(ask, old[name], False, left_s, f"{name} {key}: the old value is not refused")
            took_s = time.monotonic() - began_s
            wait_for(ask, new, True, FILES_WITHIN_S, f"{name} {key}: the new value is not good")
            self.proven.add((name, key))
        return took_s


def identity(data: Data) -> Identity:
    """A certificate and its key, from the secret."""
    return Identity(data["tls.crt"].encode(), data["tls.key"].encode())


def wait_for(ask: Ask, value: Data, wanted: bool, within_s: float = FILES_WITHIN_S, why: str = "") -> None:
    """Return when every server answers so."""
    answers: list[Answers] = []

    def is_so() -> bool:
        answers[:] = [ask(value)]
        return bool(answers[0]) and all(one is wanted for one in answers[0])

    try:
        wait_until(is_so, within_s=within_s, every_s=0.5)
    except AssertionError:
        raise AssertionError(f"{why or f'not {wanted}'} within {within_s:.0f} s; last: {answers}") from None
