"""Results in files, so that a run of hours can be taken in parts. Needs no more than python3 itself."""

import json
from dataclasses import asdict
from pathlib import Path

from contest import Cell, Samples
from report import Contest


class Kept:
    """`folder`/contests/MODEL-PRECISION.json and `folder`/accuracy/MODEL.json, each written when it is whole."""

    def __init__(self, folder: Path):
        self.folder = folder

    def contest(self, model: str, precision: str) -> Contest | None:
        told = self.read("contests", f"{model}-{precision}")
        if told is None:
            return None
        cells = [Cell(**cell) for cell in told.pop("cells")]
        samples = {name: Samples(**one) for name, one in told.pop("samples").items()}
        return Contest(cells=cells, samples=samples, **told)

    def keep_contest(self, contest: Contest) -> None:
        self.write("contests", f"{contest.model}-{contest.precision}", asdict(contest))

    def accuracy(self, model: str) -> list[dict] | None:
        return self.read("accuracy", model)

    def keep_accuracy(self, model: str, rows: list[dict]) -> None:
        self.write("accuracy", model, rows)

    def read(self, kind: str, name: str):
        file = self.folder / kind / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def write(self, kind: str, name: str, told) -> None:
        file = self.folder / kind / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.replace(file)
