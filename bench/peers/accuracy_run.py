"""What smaller weights cost: every program's logits of the same tokens beside those of transformers in float32."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from contest import CALIBRATED, PRECISIONS
from decoder_folder import write_decoder_folder
from files import Files, Peer
from made import clear, is_made_of, mark, stamp
from protocol import random_ids
from runner_nuri import Nuri

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import emoji_text

DECODER = "emoji-world-decoder"  # the language model of the bundled vision-language model
LANGUAGES = ("english", "korean")
WINDOW = 512
# Beside the weights that are timed: what the goal of 4 bits is held against, and 4 bits chosen by a trained model's texts.
FURTHER = {"int4": [("llama.cpp", "Q4_K_M"), ("nuri", CALIBRATED)]}


def text_of(options, language: str) -> tuple[str, str]:
    """Held-out conversations -> what is measured, and what calibrates."""
    file = options.work / "emoji-text" / f"{language}.txt"
    if not file.exists():
        emoji_text.write(file.parent, options.nuri, 4 if options.quick else 40)
    text, measured = file.read_text(), 2500 if options.quick else 40000
    return text[:measured], text[measured : 3 * measured]


def trained_ids(options) -> list[list[int]]:
    """Windows of held-out conversations, half of them English, half Korean."""
    windows = []
    for language in LANGUAGES:
        done = subprocess.run([str(options.nuri), "tokenize", "emoji-world", "--text", text_of(options, language)[0]],
                              capture_output=True, text=True, check=True)
        ids = json.loads(done.stdout)["ids"][: (1 if options.quick else 4) * WINDOW]
        windows += [ids[at : at + WINDOW] for at in range(0, len(ids), WINDOW)]
    return windows


def calibration(options) -> Path:
    """A file of conversations that are not measured."""
    texts = {language: text_of(options, language)[1] for language in LANGUAGES}
    for language, text in texts.items():
        if not text:
            sys.exit(f"{options.work}/emoji-text/{language}.txt: found no text behind what is measured, expected some "
                     "to calibrate with")
    file = options.work / "emoji-text/calibration.txt"
    file.write_text("".join(texts.values()))
    return file


def logits_of(runner, load: dict, windows: list[list[int]], file: Path) -> dict:
    """Writes them one behind the other -> {} or why not."""
    answer = runner.call("load", **load)
    part = file.with_suffix(".part")
    with open(file, "wb") as output:
        for ids in windows:
            if "load_s" in answer or "rows" in answer:
                answer = runner.call("logits", ids=ids, file=str(part))
            if "rows" in answer:
                output.write(part.read_bytes())
    runner.close()
    part.unlink(missing_ok=True)
    return {} if "rows" in answer else answer


def contestants(precision: str, trained: bool, peers: dict) -> list[tuple[str, str]]:
    found = [(name, PRECISIONS[precision][name]) for name in ["nuri", *peers] if PRECISIONS[precision][name]]
    return found + [(name, weights) for name, weights in FURTHER.get(precision, ())
                    if name in peers or (name == "nuri" and trained)]


def too_large(checkpoint: Path) -> str:
    """Of the reference: in float32 it takes twice the file."""
    needed = 2 * sum(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(told["MemAvailable"].split()[0]) * 1024
    return "" if needed < 0.8 * free else f"the reference takes {needed / 1e9:.0f} GB in float32"


@dataclass
class Comparison:
    """Of a model's programs with the reference, on the same windows of ids."""
    model: str
    trained: bool
    windows: list[list[int]]
    options: object
    files: Files
    peers: dict
    reference: Peer

    def measure(self, precisions: list[str]) -> dict[str, list[dict]]:
        """-> by kind of weights {"model", "trained", "program", "weights", and what accuracy.py prints or "error"} of
        each contestant."""
        folder = self.options.work / "logits"
        folder.mkdir(parents=True, exist_ok=True)
        expected = folder / "reference.f32"
        if failed := self.write_expected(expected):
            return {precision: [self.row("transformers", "float32", failed)] for precision in precisions}
        rows = {precision: [self.row(name, weights, self.measure_one(name, weights, expected))
                            for name, weights in contestants(precision, self.trained, self.peers)]
                for precision in precisions}
        for file in folder.iterdir():
            file.unlink()
        return rows

    def row(self, name: str, weights: str, found: dict) -> dict:
        return {"model": self.model, "trained": self.trained, "program": name, "weights": weights} | found

    def write_expected(self, file: Path) -> dict:
        if reason := (self.files.make("transformers", self.model, "float32")
                      or too_large(self.files.checkpoint(self.model))):
            return {"error": reason}
        return self.write(self.reference, "transformers", "float32", file)

    def measure_one(self, name: str, weights: str, expected: Path) -> dict:
        print(f"{self.model}: logits of {name} {weights}", file=sys.stderr, flush=True)
        if reason := self.files.make(name, self.model, weights):
            return {"error": reason}
        width = expected.stat().st_size // 4 // sum(len(ids) for ids in self.windows)
        other = expected.with_name("other.f32")
        return (self.write(self.peers.get(name), name, weights, other)
                or compared(self.reference.python, width, expected, other))

    def write(self, peer: Peer | None, name: str, weights: str, file: Path) -> dict:
        """The logits of one program -> {} or why there are none."""
        options, shape = self.options, "-" if self.model == DECODER else self.model
        runner = peer.start(shape, options.work / f"{name}.log") if peer else Nuri(options.nuri, options.work)
        load = {"model": str(self.files.folder(name, self.model, weights)), "threads": options.threads,
                "precision": weights}
        return logits_of(runner, load, self.windows, file)


def compared(python: Path, width: int, reference: Path, other: Path) -> dict:
    script = str(Path(__file__).with_name("accuracy.py"))
    done = subprocess.run([str(python), script, str(width), str(reference), str(other)], capture_output=True, text=True,
                          check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()[-300:]}


def make_decoder(files: Files) -> None:
    source, decoder = ROOT / "models/emoji-world", files.work / "models" / DECODER
    made_of = {"of": stamp(source)}
    if not is_made_of(decoder, made_of):
        clear(decoder)
        write_decoder_folder(source, decoder, "language_model.")
        mark(decoder, made_of)


def measure_accuracy(model: str, precisions: list[str], options, files: Files, peers: dict,
                     reference: Peer) -> dict[str, list[dict]]:
    """Of the decoder of the bundled model, or of random weights that continue a text."""
    if model != DECODER:
        windows = [random_ids(64, 1000, 5)]
    else:
        make_decoder(files)
        windows, files.calibration = trained_ids(options), calibration(options)
    return Comparison(model, model == DECODER, windows, options, files, peers, reference).measure(precisions)
