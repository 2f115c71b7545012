"""Results in files, so that a run of hours can be taken in parts. Needs no more than python3 itself."""

import json
from dataclasses import asdict
from pathlib import Path

from contest import Cell, Samples
from report import Accuracy, Contest


class Kept:
    """`folder`/contests/MODEL-PRECISION.json and accuracy/MODEL-PRECISION.json, each written when it is whole."""

    def __init__(self, folder: Path):
        self.folder = folder

    def contest(self, model: str, precision: str) -> Contest | None:
        told = self.read("contests", model, precision)
        if told is None:
            return None
        cells = [Cell(**cell) for cell in told.pop("cells")]
        samples = {name: Samples(**one) for name, one in told.pop("samples").items()}
        return Contest(cells=cells, samples=samples, **told)

    def accuracy(self, model: str, precision: str) -> Accuracy | None:
        told = self.read("accuracy", model, precision)
        return None if told is None else Accuracy(**told)

    def keep(self, found: Contest | Accuracy) -> None:
        kind = "contests" if isinstance(found, Contest) else "accuracy"
        file = self.file(kind, found.model, found.precision)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(found)))
        part.replace(file)

    def file(self, kind: str, model: str, precision: str) -> Path:
        return self.folder / kind / f"{model}-{precision}.json"

    def read(self, kind: str, model: str, precision: str) -> dict | None:
        file = self.file(kind, model, precision)
        told = json.loads(file.read_text()) if file.exists() else {}
        return told if "conditions" in told else None  # files of before had none
