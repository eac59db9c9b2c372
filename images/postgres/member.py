#!/usr/bin/python3
"""Becomes Patroni with the given configuration: one of several servers.

Who makes the database holds the right to, a mark in Patroni's ConfigMap that nobody takes over. A server that was
killed meanwhile has on its volume what it was making: it gives the right back, so that one of them begins again.
"""

import os
import shutil
import sys
from pathlib import Path

from patroni.config import Config
from patroni.dcs import get_dcs

environment = dict(os.environ)  # Patroni takes out what is its own
making = Path(f"{os.environ['PGDATA']}.making")
if making.exists():
    shared = get_dcs(Config(sys.argv[1]))
    if shared.get_cluster().initialize == "":  # the right is held; afterwards the database's identity stands there
        shared.cancel_initialization()
    shutil.rmtree(making)
os.execve("/usr/bin/patroni", ["patroni", *sys.argv[1:]], environment)  # noqa: S606 - becomes the first process
