"""What can go wrong beside the chart's own rules; each is one sentence for who runs the tests."""

from __future__ import annotations


class HarnessError(Exception):
    """All of these."""


class SettingError(HarnessError):
    """What the tests are told leads nowhere: a chart, a values file or a program that is not there, no number."""


class HelmError(HarnessError):
    """Helm refused to render; the text is Helm's own."""


class KubernetesError(HarnessError):
    """kubectl, helm or a node refused; the text is theirs."""


class NotReadyError(HarnessError):
    """A release that did not become ready: what is missing."""


class NotFreezableError(HarnessError):
    """Why no pod can stand still here."""
