"""Locks of the Debian packages in the images: each package's version and SHA-256, for every architecture.

python -m ci.debian             writes them anew, with the newest versions; needs a container engine and the archive
python -m ci.debian --check     says which no longer fit the lists in this module; needs neither

A lock is a file that `sha256sum --check` reads. Its packages are unpacked, not installed: no script of theirs runs, and
what only such scripts and a person at a terminal need is left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import base_images, engine, lock_files, stamp
from ci.engine import Engine
from ci.folders import ROOT
from ci.progress import step

SUITE = "trixie"
SUFFIX = ".debian"
ARCHITECTURES = ("amd64", "arm64")
RUNTIME = ROOT / "runtime" / "requirements"
SERVERS = ROOT / "images"
# For the scripts that install a package.
SCRIPTS = ("awk", "debconf", "debianutils", "dpkg", "openssl", "tar")
# For a person at a terminal, and for Python's module for Berkeley databases.
NEVER_LOADED = ("libdb5.3t64", "libncursesw6", "readline-common")
LINE_EDITOR = "libreadline8t64"  # psql is linked with it
# The JIT compiler, Debian's tools for several clusters on one machine (Perl), what makes system accounts, and a client
# of a store of the cluster's state that is not Kubernetes.
UNUSED_BY_POSTGRES = (
    *("libllvm19", "locales", "perl", "perl-base", "postgresql-client-common", "postgresql-common", "procps", "ucf"),
    *("adduser", "init-system-helpers", "passwd", "python3-consul", "sensible-utils", "ssl-cert"),
)
# apt takes what an image does without for installed, so it brings neither that nor what only that needs.
RESOLVE = """\
set -eu
for architecture in $ARCHITECTURES; do
  mkdir -p /tmp/lists-$architecture/partial
  for name in $WITHOUT; do
    echo "Package: $name"
    echo 'Status: install ok installed'
    echo 'Version: 9999:1'
    echo "Architecture: $architecture"
    echo 'Multi-Arch: foreign'
    echo
  done > /tmp/status
  set -- -qq -o APT::Architecture=$architecture -o APT::Architectures=$architecture -o Dir::State::status=/tmp/status \
    -o Dir::State::Lists=/tmp/lists-$architecture -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  apt-get "$@" update
  apt-get "$@" --no-install-recommends --simulate install $NAMES > /tmp/chosen
  sed -n 's/^Inst \\([^ ]*\\) (\\([^ ]*\\) .*/\\1=\\2/p' /tmp/chosen | xargs apt-cache "$@" show
done
"""


@dataclass(frozen=True)
class Lock:
    """The packages of these names and all that they depend on, without what is never used."""

    names: Sequence[str]
    without: Sequence[str]


LOCKS: Mapping[Path, Lock] = {
    RUNTIME / "python.debian": Lock(
        ["base-files", "ca-certificates", "libpython3-stdlib", "libstdc++6", "netbase", "python3-minimal"],
        [*SCRIPTS, *NEVER_LOADED, LINE_EDITOR],
    ),
    RUNTIME / "bash.debian": Lock(["bash"], [*SCRIPTS, "base-files", "libc6"]),
    SERVERS / "nats" / "nats.debian": Lock(["busybox-static"], SCRIPTS),
    SERVERS / "postgres" / "postgres.debian": Lock(
        # The locale C.UTF-8 is in libc-bin.
        [
            "bash",
            "ca-certificates",
            "coreutils",
            "libc-bin",
            "patroni",
            "pgbackrest",
            "postgresql-17",
            "postgresql-client-17",
            "sed",
        ],
        [*SCRIPTS, *NEVER_LOADED, *UNUSED_BY_POSTGRES],
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the locks; 1 when they do not fit or cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m ci.debian", description="locks of the images' Debian packages")
    parser.add_argument("--check", action="store_true", help="only say which locks no longer fit")
    options = parser.parse_args(arguments)
    return lock_files.check(outdated()) if options.check else lock_files.write(lambda: write(engine.find()))


def outdated(locks: Mapping[Path, Lock] = LOCKS) -> list[str]:
    """A sentence for each lock that is missing, or was made from other names than are listed here."""
    return [
        f"{path.name} does not fit ci/debian.py: run `python -m ci.debian`"
        for path, lock in locks.items()
        if not path.exists() or not path.read_text().startswith(header(lock))
    ]


def write(containers: Engine, locks: Mapping[Path, Lock] = LOCKS) -> None:
    """Make all locks. Raises CommandError when apt cannot resolve the names or reach the archive."""
    base = base_images.ensure(containers, SUITE)
    for path, lock in locks.items():
        with step(f"lock {path.name}"):
            values = {"ARCHITECTURES": ARCHITECTURES, "NAMES": lock.names, "WITHOUT": lock.without}
            env = [f"--env={name}={' '.join(value)}" for name, value in values.items()]
            shown = containers.run("run", "--rm", "--interactive", *env, base, "sh", stdin=RESOLVE)
            path.write_text(header(lock) + "".join(lines(shown)))


def header(lock: Lock) -> str:
    """The first line of a lock: a digest of what it was made from."""
    made_from = stamp.of(SUITE, *ARCHITECTURES, "names", *lock.names, "without", *lock.without)
    return f"# Made by `python -m ci.debian` from Debian {SUITE}, {made_from}\n"


def lines(shown: str) -> list[str]:
    """The lines of a lock, for packages as `apt-cache show` describes them; files are named as apt names downloads."""
    found = set()
    for paragraph in shown.strip().split("\n\n"):
        field = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        version = field["Version"].replace(":", "%3a")
        found.add((f"{field['Package']}_{version}_{field['Architecture']}.deb", field["SHA256"]))
    return [f"{digest}  {name}\n" for name, digest in sorted(found)]


def packages(lock: str) -> list[tuple[str, tuple[str, str, str]]]:
    """The SHA-256 of each package in a lock, with its name, version and architecture."""
    found = re.findall(r"^([0-9a-f]{64})  (.+)_(.+)_(.+)\.deb$", lock, re.MULTILINE)
    return [(digest, (name, version.replace("%3a", ":"), arch)) for digest, name, version, arch in found]


if __name__ == "__main__":
    sys.exit(main())
