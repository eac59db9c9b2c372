"""`python -m ci`: the tools, the cluster and its images, all checks, and releases."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ci.errors import CiError
from ci.folders import ROOT
from ci.progress import note

try:
    from ci import check, cluster, doctor, engine, images, install, lock, publish, release, tools
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: it is in .venv, which `make .venv/complete` makes; then it is `.venv/bin/python -m ci`")

DIST = ROOT / "dist"
DEVELOPMENT = ROOT / "values" / "development.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit code, 1 with one sentence when it cannot be done."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What follows `--` is another program's: pytest's.
    own, rest = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    options = _parser().parse_args(own, argparse.Namespace(rest=rest))
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

    command = commands.add_parser("cluster", help="the Kubernetes cluster of the tests, with the chart installed")
    command.add_argument("what", choices=("up", "down", "env"))
    command.add_argument("--values", type=Path, default=DEVELOPMENT, metavar="FILE", help="for the chart")
    command.add_argument("--bare", action="store_true", help="no images, no chart")
    command.set_defaults(do=_cluster)

    command = commands.add_parser(
        "images", help="the images of the chart: built, and then loaded, built again, or listed"
    )
    command.add_argument("what", nargs="?", choices=("build", "load", "verify", "sbom"), default="build")
    command.add_argument("--to", type=Path, default=DIST, metavar="FOLDER", help="for bills of materials")
    command.set_defaults(do=_images)

    command = commands.add_parser("publish", help="the images, signed, with bills of materials, into a registry")
    command.add_argument("registry", metavar="REGISTRY", help="such as registry.example.org/team")
    command.add_argument("--key", type=Path, required=True, metavar="FILE", help="cosign's private key")
    command.add_argument("--to", type=Path, default=DIST, metavar="FOLDER", help="for bills and pinning values")
    command.set_defaults(do=_publish)

    command = commands.add_parser("check", help="everything that is checked, or some stages of it")
    command.add_argument(
        "stages", nargs="*", metavar="STAGE", help=f"{', '.join(stage.name for stage in check.STAGES)}"
    )
    command.set_defaults(do=_check)

    command = commands.add_parser("release", help="the chart's package, where this commit is a release")
    command.add_argument("--sign", metavar="KEY", help="of gpg, by its id or its owner's address")
    command.set_defaults(do=_release)

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
    if options.what == "env":
        with contextlib.redirect_stdout(sys.stderr):  # a shell evaluates the rest: no progress among it
            settings = install.shell_settings()
        print(settings)
        return 0
    if not options.values.is_file():
        raise CiError(f"--values is {options.values}, which is not a file")
    made = cluster.ensure()
    note(f"cluster {made.name} ({made.mode}, {made.provider}) is up")
    if not options.bare:
        images.load(made)
        install.install(made, options.values)
    return 0


def _images(options: argparse.Namespace) -> int:
    if options.what == "load":
        images.load(cluster.ensure())
    elif options.what == "verify":
        images.verify(engine.find())
    elif options.what == "sbom":
        images.write_bills(engine.find(), options.to)
    else:
        images.build(engine.find())
    return 0


def _publish(options: argparse.Namespace) -> int:
    publish.publish(engine.find(), options.registry, options.key, options.to)
    return 0


def _check(options: argparse.Namespace) -> int:
    return check.main(options.stages, options.rest)


def _release(options: argparse.Namespace) -> int:
    release.make(options.sign)
    return 0


def _doctor(_: argparse.Namespace) -> int:
    findings = list(doctor.examine())
    for finding in findings:
        print(f"{'✗' if finding.lack else '✓'} {finding.text}")
    return 1 if any(finding.lack for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
