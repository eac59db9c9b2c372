"""`python -m ci`: the tools, the cluster and its images, and all checks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ci import cluster, doctor, lock, tools
from ci.errors import CiError
from ci.progress import note


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit code, 1 with one sentence when it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.do(options)
    except CiError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ci", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("tools", help="where the tools are; those that are missing are downloaded or built")
    command.add_argument("names", nargs="*", metavar="NAME", help="as in ci/tools.lock; by default what tests call")
    command.set_defaults(do=_tools)

    command = commands.add_parser("cluster", help="the Kubernetes cluster of the tests")
    command.add_argument("what", choices=("up", "down"))
    command.set_defaults(do=_cluster)

    command = commands.add_parser("doctor", help="what this machine lacks for a cluster")
    command.set_defaults(do=_doctor)
    return parser


def _tools(options: argparse.Namespace) -> int:
    called = [name for name, tool in lock.read().tools.items() if tool.asks]
    for name in options.names or called:
        print(f"{name}  {tools.path(name)}")
    return 0


def _cluster(options: argparse.Namespace) -> int:
    if options.what == "down":
        cluster.delete()
        return 0
    made = cluster.ensure()
    note(f"cluster {made.name} ({made.mode}, {made.provider}): export KUBECONFIG={made.kubeconfig}")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    findings = list(doctor.examine())
    for finding in findings:
        print(f"{'✗' if finding.lack else '✓'} {finding.text}")
    return 1 if any(finding.lack for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
