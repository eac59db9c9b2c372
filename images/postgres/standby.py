#!/usr/bin/python3
"""Becomes Postgres with the given arguments, unless it is to follow a primary whose log contradicts what is here.

The data is then given up, as by a rewind, and Patroni copies the primary's.
"""

import os
import subprocess
import sys
from pathlib import Path

import psycopg2
from primary_log import NoAnswerError, NotPrimaryError, contradicts, give_up

POSTGRES = "/usr/lib/postgresql/17/bin/postgres"


def main() -> None:
    """Raises SystemExit where Patroni is to go on instead: the data is gone, or the primary is not one yet."""
    data = Path(os.environ["PGDATA"])
    starts = "-D" in sys.argv and not {"-C", "--single"} & set(sys.argv)  # no question for a setting
    # What was copied just now, all of it or by a rewind, has a label, and no log of its own.
    if starts and (data / "standby.signal").exists() and not (data / "backup_label").exists():
        primary = subprocess.run(  # noqa: S603
            [POSTGRES, *sys.argv[1:], "-C", "primary_conninfo"], stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
        try:
            is_other = bool(primary) and contradicts(primary, data)
        except NotPrimaryError:
            sys.exit("who is to be followed is not the primary yet")
        except (NoAnswerError, psycopg2.Error) as error:
            sys.stderr.write(f"not compared with the primary's log: {error}\n")
            is_other = False
        if is_other:
            give_up(data)
            sys.exit("what is here contradicts the primary's log: it is given up and copied anew")
    os.execv(POSTGRES, [POSTGRES, *sys.argv[1:]])  # noqa: S606 - Patroni knows it by its process


main()
