#!/usr/bin/python3
"""Becomes Patroni (see `follower`) with the given configuration: one of several servers.

Who makes the database holds the right to, a mark in Patroni's ConfigMap that nobody takes over. A server that was
killed meanwhile has on its volume what it was making: it gives the right back, so that one of them begins again.

Patroni starts Postgres by `standby`. What was given up, and not yet removed, goes, and what was not yet copied: the
control file is the last that is, and Patroni would leave a folder without it to people.
"""

import os
import shutil
import sys
from pathlib import Path

from patroni.config import Config
from patroni.dcs import get_dcs
from primary_log import CONTROL, give_up, given_up

data = Path(os.environ["PGDATA"])
# A copy, for Patroni's library takes out what is its own.
environment = os.environ | {"PATRONI_POSTGRESQL_BIN_POSTGRES": "/usr/local/bin/standby"}
making = data.with_name(f"{data.name}.making")
if making.exists():
    shared = get_dcs(Config(sys.argv[1]))
    if shared.get_cluster().initialize == "":  # the right is held; afterwards the database's identity stands there
        shared.cancel_initialization()
    shutil.rmtree(making)
if data.exists() and not (data / CONTROL).exists():
    give_up(data)
shutil.rmtree(given_up(data), ignore_errors=True)
os.execve("/usr/local/bin/follower", ["follower", *sys.argv[1:]], environment)  # noqa: S606 - becomes the first process
