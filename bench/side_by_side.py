#!/usr/bin/env python3
"""`nuri bench` beside transformers on one machine, in one run, on checkpoints of random weights.

Makes a checkpoint of each `--shape` (bench/shapes.py) in bfloat16, then measures both programs in turn: the encoder on
one picture, where the shape has one; a prefill of `--prompt` tokens of text that computes the logits of the last
position only; and `--tokens` greedy tokens after it. Prints medians and the ratios; see bench/README.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checkpoints import make_checkpoint
from shapes import SHAPES, Shape


class Transformers:
    def __init__(self, folder: Path, shape: Shape, options):
        import torch
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.torch, self.tokens, self.shape = torch, options.tokens, shape
        torch.set_num_threads(options.threads)
        torch.manual_seed(2)
        self.model = shape.cls.from_pretrained(folder, dtype=torch.bfloat16).eval()
        self.decoder = shape.decoder(self.model)
        self.ids = torch.randint(2, self.decoder.config.get_text_config().vocab_size, (1, options.prompt))
        self.pictures = None
        if shape.image:
            self.pictures = {name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
                             for name, tensor in shape.inputs(torch).items()}

    def measure(self) -> dict[str, float]:
        with self.torch.inference_mode():
            self.run(tokens=min(self.tokens, 2))  # first calls allocate and choose kernels
            return self.run(self.tokens)

    def run(self, tokens: int) -> dict[str, float]:
        start = time.perf_counter()
        output = self.decoder(self.ids, use_cache=True, logits_to_keep=1)
        after_prefill = time.perf_counter()
        for _ in range(tokens):
            token = output.logits[:, -1:].argmax(-1)
            output = self.decoder(token, past_key_values=output.past_key_values, use_cache=True, logits_to_keep=1)
        end = time.perf_counter()
        times = {"prefill_tokens_per_s": self.ids.shape[1] / (after_prefill - start)}
        if tokens > 0:
            times["decode_tokens_per_s"] = tokens / (end - after_prefill)
        if self.pictures:
            start = time.perf_counter()
            self.shape.encode(self.model, self.pictures)
            times["encode_s"] = time.perf_counter() - start
        return times


class Nuri:
    def __init__(self, folder: Path, shape: Shape, options):
        self.command = [str(options.nuri), "bench", str(folder), "-p", str(options.prompt), "-n", str(options.tokens),
                        "-r", "1", "--dtype", "bfloat16", "--threads", str(options.threads), "--json"]
        if options.weights != "native":
            self.command += ["--weights", options.weights]
        if shape.image:
            self.command += ["--image", "{}x{}".format(*shape.image)]

    def measure(self) -> dict[str, float]:
        result = subprocess.run(self.command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"{' '.join(self.command)}: exit code {result.returncode}: {result.stderr.strip()}")
        return json.loads(result.stdout)


MEASURES = {"encode_s": "encoder, s", "prefill_tokens_per_s": "prefill, tokens/s",
            "decode_tokens_per_s": "decode, tokens/s"}


def measures_of(shape: Shape, options) -> list[str]:
    return (["encode_s"] if shape.image else []) + ["prefill_tokens_per_s"] + (
        ["decode_tokens_per_s"] if options.tokens > 0 else [])


def faster(measure: str, ours: float, theirs: float) -> float:
    return theirs / ours if measure.endswith("_s") and not measure.endswith("per_s") else ours / theirs


def report(name: str, measures: list[str], samples: dict[str, list[dict[str, float]]]) -> dict:
    """Prints one line a measure: median (least - greatest) of each side, and how many times faster the first is."""
    summary: dict = {}
    for measure in measures:
        medians, line = [], f"{name:<18}{MEASURES[measure]:<20}"
        for side, runs in samples.items():
            values = [run[measure] for run in runs]
            medians.append(statistics.median(values))
            summary.setdefault(side, {})[measure] = medians[-1]
            digits = 3 if measure == "encode_s" else 1
            text = f"{medians[-1]:.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"
            line += f"{text:>28}"
        if len(medians) == 2:
            summary.setdefault("ratio", {})[measure] = faster(measure, *medians)
            line += f"{faster(measure, *medians):>8.2f}x"
        print(line, flush=True)
    return summary


def measure_shape(name: str, folder: Path, options) -> dict:
    shape = SHAPES[name]
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_checkpoint(folder, shape)
    kinds = {"nuri": Nuri, "transformers": Transformers}
    sides = {side: kind(folder, shape, options) for side, kind in kinds.items() if options.only in (None, side)}
    if "nuri" in sides:
        sides["nuri"].measure()  # brings the file into memory
    samples: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    measures = measures_of(shape, options)
    for repetition in range(options.repetitions):
        for side, runner in sides.items():
            samples[side].append(runner.measure())
            numbers = ", ".join(f"{MEASURES[key]} {samples[side][-1][key]:.3f}" for key in measures)
            print(f"{name} {repetition + 1}/{options.repetitions} {side}: {numbers}", file=sys.stderr, flush=True)
    return {"medians": report(name, measures, samples), "samples": samples}


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuri", type=Path, default=root / "build/release/nuri", help="the program")
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["llama-3.2-1b"])
    parser.add_argument("--models", type=Path, help="keep the checkpoints in this folder, or use those already there")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--tokens", type=int, default=128)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--weights", choices=["native", "bf12"], default="native",
                        help="of Nuri: as in the file, or packed in 12 bits while it loads; the same numbers")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", choices=["nuri", "transformers"], help="measure one side")
    parser.add_argument("--json", type=Path, help="also write the medians and every sample to this file")
    options = parser.parse_args()
    if min(options.prompt, options.repetitions, options.threads) < 1 or options.tokens < 0:
        parser.error("--prompt, --repetitions and --threads: expected 1 or more; --tokens: 0 or more")
    if options.only != "transformers" and not os.access(options.nuri, os.X_OK):
        parser.error(f"--nuri: {options.nuri}: found no program; build the target nuri_cli first")

    scratch = None if options.models else tempfile.mkdtemp(prefix="nuri-bench-")
    try:
        found = {name: measure_shape(name, Path(options.models or scratch) / name, options) for name in options.shape}
        if options.json:
            told = {"options": vars(options), "shapes": found}
            options.json.write_text(json.dumps(told, indent=2, default=str) + "\n")
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
