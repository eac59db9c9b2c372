"""What pip needs to know inside an image build on this machine: where packages come from, and whom to trust.

It is passed as build secrets, which no image keeps.
"""

from __future__ import annotations

import ast
import configparser
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from ci.command import CommandError, run

PASSED = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
CA_IN_BUILD = "/run/secrets/ca"


def write(folder: Path) -> list[str]:
    """Write pip's configuration for a build into the folder; returns the arguments for the engine's `build`.

    The Containerfile mounts the secrets `pip` and `ca`, and sets PIP_CONFIG_FILE to /run/secrets/pip.
    """
    own = configuration()
    passed = {option: own[option] for option in PASSED if option in own}
    arguments = []
    bundle = own.get("cert") or ssl.get_default_verify_paths().cafile
    if bundle:
        passed["cert"] = CA_IN_BUILD
        arguments += ["--secret", f"id=ca,src={bundle}"]
    file = configparser.RawConfigParser()
    file["global"] = passed
    path = folder / "pip.conf"
    with path.open("w") as text:
        file.write(text)
    return [*arguments, "--secret", f"id=pip,src={path}"]


def configuration() -> Mapping[str, str]:
    """pip's options on this machine, by name; empty where this Python has no pip."""
    try:
        listed = run(sys.executable, "-m", "pip", "config", "list")
    except CommandError:
        return {}
    return parse(listed)


def parse(listed: str) -> dict[str, str]:
    """The options in what `pip config list` prints: `global.timeout='60'`. The environment wins, as with pip."""
    options: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        options[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return options
