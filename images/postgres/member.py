#!/usr/bin/python3
"""Becomes Patroni (see `follower`) with the given configuration: one of several servers.

Who makes the database holds the right to, a mark in Patroni's ConfigMap that nobody takes over. A server that was
killed meanwhile has on its volume what it was making: it gives the right back, so that one of them begins again.

Patroni starts Postgres by `standby`; what that had given up, and not yet removed, goes, too.
"""

import os
import shutil
import sys
from pathlib import Path

from patroni.config import Config
from patroni.dcs import get_dcs

# A copy, for Patroni's library takes out what is its own.
environment = os.environ | {"PATRONI_POSTGRESQL_BIN_POSTGRES": "/usr/local/bin/standby"}
making = Path(f"{os.environ['PGDATA']}.making")
if making.exists():
    shared = get_dcs(Config(sys.argv[1]))
    if shared.get_cluster().initialize == "":  # the right is held; afterwards the database's identity stands there
        shared.cancel_initialization()
    shutil.rmtree(making)
shutil.rmtree(f"{os.environ['PGDATA']}.given-up", ignore_errors=True)
os.execve("/usr/local/bin/follower", ["follower", *sys.argv[1:]], environment)  # noqa: S606 - becomes the first process
