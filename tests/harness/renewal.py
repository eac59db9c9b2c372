"""Has secrets of an installation made anew, as docs/rotation.md says."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection

from chart_harness.cluster import Namespace
from iot_system.commands.kubernetes import RENEW

ACCOUNT = "secrets-renewal"
JOB_WITHIN_S = 90
Key = tuple[str, str]
"""A secret and its key."""


class Renewal:
    """`ask`, then `run_job`, then `bring`."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def ask(self, keys: Collection[Key]) -> None:
        """Annotate the secrets."""
        for name in {name for name, _ in keys}:
            wanted = ",".join(key for one, key in keys if one == name)
            self._namespace.kubectl("annotate", "secret", name, f"{RENEW}={wanted}")

    def run_job(self) -> list[str]:
        """What a job that is made from the CronJob has told, once it is complete."""
        name = f"renew-{secrets.token_hex(3)}"
        self._namespace.kubectl("create", "job", name, f"--from=cronjob/{ACCOUNT}")
        self._namespace.kubectl("wait", "--for=condition=complete", f"job/{name}", f"--timeout={JOB_WITHIN_S}s")
        return self._namespace.kubectl("logs", f"job/{name}").splitlines()

    def bring(self) -> None:
        """Have the kubelets bring what has changed now, not within the next minute or two.

        To pods that run: those of Jobs that are done go at any moment, and need nothing.
        """
        running, mark = "--field-selector=status.phase=Running", f"iot-system/renewed={time.time_ns()}"
        self._namespace.kubectl("annotate", "pods", running, mark, "--overwrite")
