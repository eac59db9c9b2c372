"""A stamp: the digest of everything that a thing is made from. The same stamp means that it need not be made again."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def of(*ingredients: str | Path) -> str:
    """16 hexadecimal digits over texts, files and folders; a folder counts with the names and contents of its files."""
    total = hashlib.sha256()
    for ingredient in ingredients:
        if isinstance(ingredient, str):
            _add(total, "text", ingredient.encode())
        elif ingredient.is_dir():
            for path in sorted(
                path for path in ingredient.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            ):
                _add(total, str(path.relative_to(ingredient)), path.read_bytes())
        else:
            _add(total, ingredient.name, ingredient.read_bytes())
    return total.hexdigest()[:16]


def folder(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, whose name bears a stamp. Where it is missing, `make` fills an empty folder that then takes its place.

    So a folder that exists is complete, also after a crash and when two processes make it at once.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.making-"))
    try:
        making.chmod(0o755)
        make(making)
        making.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same result
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def _add(total: hashlib._Hash, name: str, content: bytes) -> None:
    total.update(f"{name}\0{len(content)}\0".encode())
    total.update(content)
