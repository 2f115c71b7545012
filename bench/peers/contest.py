"""What is measured, in which order, and what becomes of the samples. Needs no more than python3 itself."""

import statistics
from dataclasses import dataclass, field

# Name of the shape (bench/shapes.py): its picture, and whether its text is worth measuring.
MODELS = {"llama-3.2-1b": (None, True), "qwen2.5-vl-3b": ((896, 896), True), "siglip-so400m": ((384, 384), False),
          "experts-4": (None, True)}
TINY = {"tiny": (None, True), "tiny-qwen2.5-vl": ((224, 224), True), "tiny-siglip": ((112, 112), False),
        "tiny-experts": (None, True)}
# Weights that compare: what Nuri, llama.cpp, transformers and OpenVINO call them. None: the peer has none such. Nuri's
# bf12 are the numbers of bfloat16, packed without loss.
PRECISIONS = {
    "bf16": {"nuri": "bf12", "llama.cpp": "BF16", "transformers": "bf16", "openvino": None},
    "int8": {"nuri": "int8", "llama.cpp": "Q8_0", "transformers": None, "openvino": "int8"},
    "int4": {"nuri": "int4", "llama.cpp": "Q4_0", "transformers": None, "openvino": "int4"},
}
CALIBRATED = "int4 gptq"  # Nuri's, chosen by texts; in accuracy only
# Of an encoder alone, which Nuri does not pack. OpenVINO keeps it in float16 and multiplies in bfloat16 where the
# processor does.
ENCODERS = PRECISIONS["bf16"] | {"nuri": "native", "openvino": "bf16"}


def has_text(model: str) -> bool:
    return (MODELS | TINY)[model][1]


def picture_of(model: str) -> tuple[int, int] | None:
    """Width and height, where pictures are measured."""
    return (MODELS | TINY)[model][0]


def programs_of(model: str, precision: str, peers) -> dict[str, str]:
    """Those that have such weights, and what they call them."""
    names = PRECISIONS[precision] if has_text(model) else ENCODERS
    return {name: names[name] for name in ["nuri", *peers] if names[name]}


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


LOAD = Cell("load", "load", figure="load_s")
MEMORY = Cell("peak memory", "memory", figure="peak_rss_bytes")


def text_cells(quick: bool) -> list[Cell]:
    """Memory is asked behind the first prefills, so that it is the peak of a load and of 512 tokens."""
    prefill = lambda tokens: Cell(f"prefill {tokens}", "prefill", {"tokens": tokens})
    decode = lambda name, depth, sequences: Cell(
        name, "decode", {"depth": depth, "tokens": 4 if quick else 32, "sequences": sequences})
    cells = [prefill(128), MEMORY] if quick else [prefill(128), prefill(512), MEMORY, prefill(2048)]
    cells += [decode(f"decode at {depth}", depth, 1) for depth in ((0, 64) if quick else (0, 512, 4096))]
    return cells + [decode(f"decode of {sequences}", 0, sequences) for sequences in ((4,) if quick else (4, 16))]


def cells_of(model: str, precision: str, quick: bool) -> list[Cell]:
    """Pictures are encoded in bf16 alone: no program here has an encoder in 8 or 4 bits but OpenVINO."""
    picture, text = (MODELS | TINY)[model]
    cells = [LOAD, *(text_cells(quick) if text else [])]
    if picture and precision == "bf16":
        cells.append(Cell("picture", "encode", {"width": picture[0], "height": picture[1]}, "encode_s"))
    return cells if text else [*cells, MEMORY]


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
    answer = runner.call(LOAD.do, **load)
    samples.add(LOAD, answer)
    if LOAD.figure not in answer:
        for cell in cells:
            samples.reasons.setdefault(cell.name, samples.reasons[LOAD.name])
        return
    for cell in cells:
        if cell != LOAD and cell.name not in samples.reasons:
            samples.add(cell, runner.call(cell.do, **cell.arguments))


def faster(cell: Cell, ours: float, theirs: float) -> float:
    """How many times better ours is."""
    return ours / theirs if cell.more_is_better else theirs / ours
