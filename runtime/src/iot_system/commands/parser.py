"""What parses the words of a command."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Of ``iot-system NAME`` and its verbs: what makes no sense is told in one sentence, as all that goes wrong is."""

    def error(self, message: str) -> NoReturn:
        """Exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def new_parser(name: str, doc: str | None) -> Parser:
    """``doc`` is that of the command's module: the command and what it does, which is told to people."""
    _, _, summary = (doc or "").partition("``: ")
    summary = summary.replace("``", "")
    return Parser(f"iot-system {name}", description=summary[:1].upper() + summary[1:])
