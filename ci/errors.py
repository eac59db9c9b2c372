"""What can go wrong here, each told in one sentence."""

from __future__ import annotations


class CiError(Exception):
    """Something failed; the text says what, and what to do about it."""


class NoClusterError(CiError):
    """This machine can run no Kubernetes cluster; the text says what it lacks."""
