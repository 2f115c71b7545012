"""What smaller weights cost: every program's logits of the same tokens beside those of transformers in float32."""

import json
import subprocess
import sys
from pathlib import Path

from contest import PRECISIONS
from decoder_folder import write_decoder_folder
from files import CALIBRATED, Files
from protocol import random_ids
from runner_nuri import Nuri

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import emoji_text

DECODER = "emoji-world-decoder"  # the language model of the bundled vision-language model
WINDOW = 512
EVALUATED = 40000  # characters; what is behind them calibrates
# Beside the weights that are timed: what the goal of 4 bits is held against, and 4 bits chosen by a trained model's texts.
FURTHER = {"int4": [("llama.cpp", "Q4_K_M"), ("nuri", CALIBRATED)]}


def trained_ids(options) -> list[list[int]]:
    """Windows of held-out conversations, half of them English, half Korean."""
    folder = options.work / "emoji-text"
    if not (folder / "korean.txt").exists():
        emoji_text.write(folder, options.nuri, 4 if options.quick else 40)
    windows = []
    for language in ("english", "korean"):
        text = (folder / f"{language}.txt").read_text()[:EVALUATED]
        done = subprocess.run([str(options.nuri), "tokenize", "emoji-world", "--text", text], capture_output=True,
                              text=True, check=True)
        ids = json.loads(done.stdout)["ids"][: (1 if options.quick else 4) * WINDOW]
        windows += [ids[at : at + WINDOW] for at in range(0, len(ids), WINDOW)]
    return windows


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


def calibration(options) -> Path:
    """Held-out conversations that are not measured."""
    file = options.work / "emoji-text/calibration.txt"
    texts = [(options.work / f"emoji-text/{language}.txt").read_text() for language in ("english", "korean")]
    file.write_text("".join(text[EVALUATED : 3 * EVALUATED] or text[:EVALUATED] for text in texts))
    return file


def contestants(trained: bool, options, peers: dict) -> list[tuple[str, str]]:
    found = []
    for precision in options.weights:
        found += [(name, PRECISIONS[precision][name]) for name in ["nuri", *peers] if PRECISIONS[precision][name]]
        found += [(name, weights) for name, weights in FURTHER.get(precision, ())
                  if name in peers or (name == "nuri" and trained)]
    return found


def too_large(checkpoint: Path) -> str:
    """Of the reference: in float32 it takes twice the file."""
    needed = 2 * sum(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(told["MemAvailable"].split()[0]) * 1024
    return "" if needed < 0.8 * free else f"the reference takes {needed / 1e9:.0f} GB in float32"


def measure_model(model: str, trained: bool, windows, options, files: Files, peers: dict, reference_peer) -> list[dict]:
    """-> {"model", "trained", "program", "weights", and what accuracy.py prints or "error"} of each contestant."""
    row = lambda name, weights, found: {"model": model, "trained": trained, "program": name, "weights": weights} | found
    folder = options.work / "logits"
    folder.mkdir(parents=True, exist_ok=True)
    reference = folder / "reference.f32"
    shape = "-" if model == DECODER else model
    load = lambda name, weights: {"model": str(files.folder(name, model, weights)), "threads": options.threads,
                                  "precision": weights}
    if reason := files.make("transformers", model, "float32") or too_large(files.checkpoint(model)):
        return [row("transformers", "float32", {"error": reason})]
    answer = logits_of(reference_peer.start(shape, options.work / "transformers.log"), load("transformers", "float32"),
                       windows, reference)
    if answer:
        return [row("transformers", "float32", answer)]
    width = reference.stat().st_size // 4 // sum(len(ids) for ids in windows)
    rows = []
    for name, weights in contestants(trained, options, peers):
        print(f"{model}: logits of {name} {weights}", file=sys.stderr, flush=True)
        answer = {"error": reason} if (reason := files.make(name, model, weights)) else {}
        if not answer:
            runner = (Nuri(options.nuri, options.work) if name == "nuri" else
                      peers[name].start(shape, options.work / f"{name}.log"))
            answer = logits_of(runner, load(name, weights), windows, folder / "other.f32")
        rows.append(row(name, weights, answer or compared(reference_peer.python, width, reference,
                                                           folder / "other.f32")))
    for file in folder.iterdir():
        file.unlink()
    return rows


def compared(python: Path, width: int, reference: Path, other: Path) -> dict:
    script = str(Path(__file__).with_name("accuracy.py"))
    done = subprocess.run([str(python), script, str(width), str(reference), str(other)], capture_output=True, text=True,
                          check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()[-300:]}


def measure_decoder(options, files: Files, peers: dict, reference_peer) -> list[dict]:
    decoder = files.work / "models" / DECODER
    if not (decoder / "config.json").exists():
        write_decoder_folder(ROOT / "models/emoji-world", decoder, "language_model.")
    windows = trained_ids(options)
    files.calibration = calibration(options)
    return measure_model(DECODER, True, windows, options, files, peers, reference_peer)


def measure_random(model: str, options, files: Files, peers: dict, reference_peer) -> list[dict]:
    """Of a model of random weights that continues a text."""
    return measure_model(model, False, [random_ids(64, 1000, 5)], options, files, peers, reference_peer)
