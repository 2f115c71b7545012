"""What is measured, in which order, and what becomes of the samples. Needs no more than python3 itself."""

import statistics
from dataclasses import dataclass, field

# Weights that compare: what Nuri, llama.cpp, transformers and OpenVINO call them. None: the peer has none such.
PRECISIONS = {
    "bf16": {"nuri": "native", "llama.cpp": "BF16", "transformers": "bf16", "openvino": None},
    "int8": {"nuri": "int8", "llama.cpp": "Q8_0", "transformers": None, "openvino": "int8"},
    "int4": {"nuri": "int4", "llama.cpp": "Q4_0", "transformers": None, "openvino": "int4"},
}
BITS = {"bf16": 16, "int8": 8.5, "int4": 4.5}  # of a weight: with a scale of 16 bits for each group of 32


@dataclass(frozen=True)
class Cell:
    """One thing that is measured. `do` is a call of protocol.py; of its answer `figure` counts."""
    name: str
    do: str
    arguments: dict = field(default_factory=dict, hash=False)
    figure: str = "tokens_per_s"

    @property
    def more_is_better(self) -> bool:
        return self.figure == "tokens_per_s"


def cells_of(picture: tuple[int, int] | None, text: bool, quick: bool) -> list[Cell]:
    """Memory is asked behind the first prefills, so that it is the peak of a load and of 512 tokens."""
    cells = []
    if text:
        prefills = (128,) if quick else (128, 512)
        cells += [Cell(f"prefill {tokens}", "prefill", {"tokens": tokens}) for tokens in prefills]
    cells.append(Cell("peak memory", "memory", figure="peak_rss_bytes"))
    if text:
        tokens = 4 if quick else 32
        if not quick:
            cells.append(Cell("prefill 2048", "prefill", {"tokens": 2048}))
        for depth in (0, 64) if quick else (0, 512, 4096):
            cells.append(Cell(f"decode at {depth}", "decode", {"depth": depth, "tokens": tokens, "sequences": 1}))
        for sequences in (4,) if quick else (4, 16):
            cells.append(Cell(f"decode of {sequences}", "decode",
                              {"depth": 0, "tokens": tokens, "sequences": sequences}))
    if picture:
        cells.append(Cell("picture", "encode", {"width": picture[0], "height": picture[1]}, "encode_s"))
    return cells


LOAD = Cell("load", "load", figure="load_s")


def turns(contestants: list[str], repetitions: int):
    """A B C A B C ...: whatever else the machine does falls on all of them."""
    for repetition in range(repetitions):
        for name in contestants:
            yield repetition, name


@dataclass
class Samples:
    """Of one contestant: figures by cell, and why there are none."""
    figures: dict[str, list[float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, cell: Cell, answer: dict) -> None:
        if cell.figure in answer:
            self.figures.setdefault(cell.name, []).append(float(answer[cell.figure]))
        else:
            self.reasons[cell.name] = answer.get("unsupported") or answer.get("error") or "no figure came back"

    def median(self, cell: str) -> float | None:
        values = self.figures.get(cell)
        return statistics.median(values) if values else None


def take_turn(runner, load: dict, cells: list[Cell], samples: Samples) -> None:
    """One process of one contestant: loads, then measures every cell that did not fail before."""
    answer = runner.call("load", **load)
    samples.add(LOAD, answer)
    if LOAD.figure not in answer:
        for cell in cells:
            samples.reasons.setdefault(cell.name, samples.reasons[LOAD.name])
        return
    for cell in cells:
        if cell.name not in samples.reasons:
            samples.add(cell, runner.call(cell.do, **cell.arguments))


def faster(cell: Cell, ours: float, theirs: float) -> float:
    """How many times better ours is."""
    return ours / theirs if cell.more_is_better else theirs / ours
