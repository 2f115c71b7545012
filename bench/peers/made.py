"""Marks beside folders that were made, which tell of what: when that is another now, they are made anew. Needs no more
than python3 itself."""

import json
import shutil
import sys
from pathlib import Path


def mark_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.made.json")


def stamp(folder: Path) -> list[list]:
    """[name, size, time of the last change] of each file of a model."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".json", ".safetensors")]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def is_made_of(folder: Path, made_of: dict) -> bool:
    mark = mark_of(folder)
    return folder.exists() and mark.exists() and json.loads(mark.read_text()) == made_of


def clear(folder: Path) -> None:
    """For what comes in its place."""
    mark_of(folder).unlink(missing_ok=True)
    if folder.exists():
        print(f"{folder} is removed: made of other files, by another program or by halves", file=sys.stderr, flush=True)
        shutil.rmtree(folder)


def mark(folder: Path, made_of: dict) -> None:
    mark_of(folder).write_text(json.dumps(made_of))
