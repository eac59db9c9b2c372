"""Makes the virtual environment `.venv` with everything at its locked version. Runs with the Python that is there.

Needs nothing but the standard library, and reads on Pythons that are too old to run the rest, so that it can say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime"
PLUGIN = ROOT / "tests" / "harness"
DEVELOPMENT, BUILD = RUNTIME / "requirements" / "development.txt", RUNTIME / "requirements" / "build.txt"
FOLDER = ROOT / ".venv"
COMPLETE = FOLDER / "complete"


def main() -> int:
    """Make it anew where its Python has changed, else bring it up to date. Returns the exit code."""
    if sys.version_info < OLDEST:
        found, wanted = (f"{major}.{minor}" for major, minor in (sys.version_info[:2], OLDEST))
        return complain(f"this is Python {found}; {wanted} or later is needed: make PYTHON=python{wanted} …")
    try:
        make()
    except subprocess.CalledProcessError as error:
        return complain(f"`{' '.join(map(str, error.cmd))}` ended with {error.returncode}")
    return 0


def make() -> None:
    """Raises CalledProcessError with the command that failed."""
    python = FOLDER / "bin" / "python"
    if not (COMPLETE.exists() and COMPLETE.read_text() == sys.version and python.exists()):
        print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
        shutil.rmtree(FOLDER, ignore_errors=True)
        if shutil.which("apt-get") and not has_ensurepip():
            install_venv()
        run(sys.executable, "-m", "venv", FOLDER)
    uv = FOLDER / "uv.txt"
    uv.write_text(lines_of("uv", DEVELOPMENT.read_text()))
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--requirement", uv)
    install = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    run(python, "-m", "uv", "pip", "sync", "--quiet", "--python", python, "--require-hashes", DEVELOPMENT, BUILD)
    run(*install, "--no-deps", "--no-build-isolation", "--editable", RUNTIME, "--editable", PLUGIN)
    COMPLETE.write_text(sys.version)


def has_ensurepip() -> bool:
    """Debian keeps it in a package of its own."""
    return not subprocess.run(
        [sys.executable, "-c", "import ensurepip"], stderr=subprocess.DEVNULL, check=False
    ).returncode


def install_venv() -> None:
    """Ends this program with a sentence where it may not."""
    if os.geteuid():
        sys.exit(complain("this Python has no ensurepip: `sudo apt-get install python3-venv` first"))
    print("Installing the system package python3-venv: this Python has no ensurepip without it", flush=True)
    run("apt-get", "update", "--quiet")
    run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "python3-venv")


def lines_of(package: str, lock: str) -> str:
    """The lines of a lock file that belong to one package: its own and the indented ones below."""
    _, found, rest = f"\n{lock}".partition(f"\n{package}==")
    indented, lines = "    ", rest.splitlines()
    end = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith(indented)), len(lines))
    return found.lstrip() + "\n".join(lines[:end]) + "\n"


def run(*command: str | Path) -> None:
    """Run a program to its end, without input."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd=ROOT)


def complain(text: str) -> int:
    """Say why it cannot be made; returns the exit code."""
    sys.stderr.write(f"environment: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
