#!/usr/bin/env python3
"""`nuri bench` beside transformers on one machine, in one run, on a checkpoint of random weights.

Makes a Llama-3.2-1B-shaped checkpoint in bfloat16 (2.5 GB on disk), then measures both in turn: a prefill of
`--prompt` tokens that computes the logits of the last position only, and `--tokens` greedy tokens after it. Prints
medians and the ratios; see bench/README.md.
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

SHAPES = {
    "llama-3.2-1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                         num_key_value_heads=8, head_dim=64, vocab_size=128256),
    # For trying the script itself.
    "tiny": dict(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, head_dim=64, vocab_size=1024),
}
ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def make_checkpoint(folder: Path, shape: str) -> None:
    """Writes config.json and model.safetensors: normal weights of deviation 0.02, norms of 1."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=131072, rms_norm_eps=1e-5, tie_word_embeddings=True,
                         rope_parameters=ROPE, bos_token_id=0, eos_token_id=1, architectures=["LlamaForCausalLM"],
                         dtype="bfloat16")
    with torch.device("meta"):
        sizes = {name: tensor.shape for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    sizes.pop("lm_head.weight", None)  # tied
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for name, size in sizes.items():
        tensor = torch.ones(size, dtype=torch.bfloat16)
        if len(size) > 1:
            tensor.normal_(0.0, 0.02, generator=generator)
        tensors[name] = tensor
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)  # last: its presence means that the folder is whole


class Transformers:
    def __init__(self, folder: Path, prompt: int, tokens: int, threads: int):
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.torch, self.tokens = torch, tokens
        torch.set_num_threads(threads)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
        generator = torch.Generator().manual_seed(2)
        self.ids = torch.randint(2, self.model.config.vocab_size, (1, prompt), generator=generator)
        self.measure(tokens=2)  # first calls allocate and choose kernels

    def measure(self, tokens: int | None = None) -> dict[str, float]:
        tokens = self.tokens if tokens is None else tokens
        with self.torch.inference_mode():
            start = time.perf_counter()
            output = self.model(self.ids, use_cache=True, logits_to_keep=1)
            after_prefill = time.perf_counter()
            for _ in range(tokens):
                token = output.logits[:, -1:].argmax(-1)
                output = self.model(token, past_key_values=output.past_key_values, use_cache=True, logits_to_keep=1)
            end = time.perf_counter()
        return {"prefill_tokens_per_s": self.ids.shape[1] / (after_prefill - start),
                "decode_tokens_per_s": tokens / (end - after_prefill)}


class Nuri:
    def __init__(self, program: Path, folder: Path, prompt: int, tokens: int, threads: int):
        self.command = [str(program), "bench", str(folder), "-p", str(prompt), "-n", str(tokens),
                        "-r", "1", "--dtype", "bfloat16", "--threads", str(threads), "--json"]

    def measure(self) -> dict[str, float]:
        result = subprocess.run(self.command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"{' '.join(self.command)}: exit code {result.returncode}: {result.stderr.strip()}")
        return json.loads(result.stdout)


MEASURES = {"prefill_tokens_per_s": "prefill, tokens/s", "decode_tokens_per_s": "decode, tokens/s"}


def report(samples: dict[str, list[dict[str, float]]]) -> dict:
    """Prints one line a measure: median (least - greatest) of each side and the ratio of the medians."""
    summary: dict = {}
    print(f"{'':<20}" + "".join(f"{side:>28}" for side in samples) + (f"{'ratio':>9}" if len(samples) == 2 else ""))
    for measure, title in MEASURES.items():
        medians, line = [], f"{title:<20}"
        for side, runs in samples.items():
            values = [run[measure] for run in runs]
            medians.append(statistics.median(values))
            summary.setdefault(side, {})[measure] = medians[-1]
            line += f"{f'{medians[-1]:.2f} ({min(values):.2f} - {max(values):.2f})':>28}"
        if len(medians) == 2:
            summary.setdefault("ratio", {})[measure] = medians[0] / medians[1]
            line += f"{medians[0] / medians[1]:>8.2f}x"
        print(line)
    return summary


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuri", type=Path, default=root / "build/release/nuri", help="the program")
    parser.add_argument("--shape", choices=SHAPES, default="llama-3.2-1b")
    parser.add_argument("--model", type=Path, help="keep the checkpoint in this folder, or use the one already there")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--tokens", type=int, default=128)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", choices=["nuri", "transformers"], help="measure one side")
    parser.add_argument("--json", type=Path, help="also write the medians and every sample to this file")
    options = parser.parse_args()
    if min(options.prompt, options.tokens, options.repetitions, options.threads) < 1:
        parser.error("--prompt, --tokens, --repetitions and --threads: expected 1 or more")
    if options.only != "transformers" and not os.access(options.nuri, os.X_OK):
        parser.error(f"--nuri: {options.nuri}: found no program; build the target nuri_cli first")

    scratch = None
    if options.model is None:
        scratch = tempfile.mkdtemp(prefix="nuri-bench-")
    folder = options.model or Path(scratch)
    try:
        if not (folder / "config.json").exists():
            make_checkpoint(folder, options.shape)
        sides = {}
        arguments = (folder, options.prompt, options.tokens, options.threads)
        if options.only != "transformers":
            sides["nuri"] = Nuri(options.nuri, *arguments)
            sides["nuri"].measure()  # brings the file into memory
        if options.only != "nuri":
            sides["transformers"] = Transformers(*arguments)
        samples: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for repetition in range(options.repetitions):
            for side, runner in sides.items():
                samples[side].append(runner.measure())
                numbers = ", ".join(f"{title} {samples[side][-1][key]:.2f}" for key, title in MEASURES.items())
                print(f"{repetition + 1}/{options.repetitions} {side}: {numbers}", file=sys.stderr, flush=True)
        summary = report(samples)
        if options.json:
            options.json.write_text(json.dumps({"options": vars(options), "medians": summary, "samples": samples},
                                               indent=2, default=str) + "\n")
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
