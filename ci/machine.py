"""Kernel settings that nodes in containers need, made where this process may; they last until the machine restarts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ci.errors import NoClusterError
from ci.progress import note

SETTINGS = Path("/proc/sys")
MODULES = Path("/lib/modules")
# The kubelet, containerd and systemd of each node watch files.
AT_LEAST: Mapping[str, int] = {
    "fs/inotify/max_user_instances": 1024,
    "fs/inotify/max_user_watches": 524288,
    "net/ipv4/ip_forward": 1,
}
# Else this machine's own FORWARD chain sees, and drops, what goes from a pod on one node to a pod on another.
BRIDGED = "net/bridge/bridge-nf-call-iptables"


def prepare() -> None:
    """Make what lacks; raises NoClusterError, which says what to set, where only root may."""
    wrong = lacking()
    if not wrong:
        return
    if not may_prepare():
        raise NoClusterError(f"nodes in containers need, set by root: {'; '.join(wrong)}")
    for line in wrong:
        note(f"kernel: {line}")
    MODULES.mkdir(exist_ok=True)  # kind mounts it into the nodes; it may be empty
    for name, value in _wrong().items():
        (SETTINGS / name).write_text(f"{value}\n")


def may_prepare() -> bool:
    return os.geteuid() == 0


def lacking() -> list[str]:
    """What `prepare` would do, one line each."""
    folder = [] if MODULES.is_dir() else [f"mkdir {MODULES}"]
    return folder + [f"sysctl {name.replace('/', '.')}={value}" for name, value in _wrong().items()]


def _wrong() -> dict[str, int]:
    low = {name: least for name, least in AT_LEAST.items() if (found := _current(name)) is not None and found < least}
    return {**low, **({BRIDGED: 0} if _current(BRIDGED) else {})}


def _current(name: str) -> int | None:
    """The setting's value; None where this kernel has no such setting."""
    path = SETTINGS / name
    return int(path.read_text()) if path.exists() else None
