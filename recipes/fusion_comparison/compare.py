#!/usr/bin/env python3
"""One table of the three fusions, when their recipes have been trained:

    for recipe in nvlm_d nvlm_x nvlm_h; do build/release/nuri train recipes/fusion_comparison/$recipe.toml; done
    python3 recipes/fusion_comparison/compare.py [--nuri build/release/nuri] [--output TABLE.md]

Run in the project's folder. Accuracy is what `nuri eval` finds on held-out scenes; tokens are counted in what `nuri
preprocess` makes of a picture; operations of the encoder and the connector are those of `nuri inspect`, the decoder's
follow from its sizes (work below); a step's seconds are the median of those that metrics.jsonl has of the last stage.
"""

import argparse
import copy
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import tomllib
import zlib

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = {"NVLM-D": "nvlm_d", "NVLM-X": "nvlm_x", "NVLM-H": "nvlm_h"}
CROSS = "cross_attention."


def read_recipe(name):
    with open(HERE / f"{name}.toml", "rb") as file:
        return tomllib.load(file)


def common(recipe):
    """What must be the same in all: the recipe without its names, the fusion, and the patterns of what only some have."""
    rest = copy.deepcopy(recipe)
    del rest["name"], rest["output"]
    for stage in rest["stage"]:
        if "model" in stage:
            del stage["model"]["fusion"]
        stage["train"]["muon"] = [pattern for pattern in stage["train"]["muon"] if not pattern.startswith(CROSS)]
    return rest


def expect_equal_terms(recipes):
    first, *others = recipes.items()
    for name, recipe in others:
        if common(recipe) != common(first[1]):
            sys.exit(f"{name}.toml: differs from {first[0]}.toml in more than the fusion")


def newest_checkpoint(recipe):
    stage = pathlib.Path(recipe["output"]) / recipe["stage"][-1]["name"]
    steps = sorted(stage.glob("step-*"))
    if not steps:
        sys.exit(f"{stage}: found no checkpoint, expected one after nuri train")
    return stage, steps[-1]


def write_png(path, side):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + b"\x80" * (3 * side)) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def shapes_of(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return {name: info["shape"] for name, info in header.items() if name != "__metadata__"}


def picture_in(nuri, model, side):
    """-> tokens in the decoder's sequence, tiles"""
    with tempfile.TemporaryDirectory() as folder:
        picture, made = pathlib.Path(folder, "picture.png"), pathlib.Path(folder, "made.safetensors")
        write_png(picture, side)
        subprocess.run([nuri, "preprocess", model, "--text", "<image>", "-i", picture, "-o", made], check=True)
        shapes = shapes_of(made)
    return shapes["input_ids"][1], shapes["pixel_values"][0]


def work(config, tokens, looked_at):
    """Operations of the decoder's products and attention on the tokens of one picture, and of its cross-attention on the
    rows that lie beside it; two for each multiplication with its addition. The gates, norms and the head do not count."""
    c, every = config["decoder"], config["fusion"].get("every", 0)
    width, hidden, layers = c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"]
    keys = width * c["num_key_value_heads"] // c["num_attention_heads"]
    own = 2 * (2 * width * width + 2 * width * keys + 3 * width * hidden)
    total = layers * (tokens * own + 4 * width * tokens * (tokens + 1) // 2)
    if every and looked_at:
        looking = 2 * (2 * width * width + 3 * width * hidden) + 4 * width * looked_at
        total += layers // every * (tokens * looking + looked_at * 2 * 2 * width * keys)
    return total


def seconds_a_step(stage):
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["seconds"] for line in lines)


def run_json(*command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(nuri, name, recipe):
    stage, model = newest_checkpoint(recipe)
    config = json.loads((model / "config.json").read_text())
    side = recipe["evaluation"]["data"]["size"]
    tokens, tiles = picture_in(nuri, model, side)
    told = run_json(nuri, "inspect", model, "--image", f"{side}x{side}", "--json")
    rows, fusion = told["tokens_per_picture"], config["fusion"]["type"]
    looked_at = {"unified": 0, "cross_attention": rows, "hybrid": rows - rows // tiles}[fusion]
    return {
        "tokens in the text": tokens,
        "rows looked at": looked_at,
        "parameters": told["parameters"]["total"],
        "operations a picture": told["flops_per_picture"] + work(config, tokens, looked_at),
        "seconds a step": seconds_a_step(stage),
        "answers": run_json(nuri, "eval", HERE / f"{name}.toml", "--model", model, "--json"),
    }


def share(answers, language, task):
    count = answers[language][task]
    return f"{100 * count['share']:.1f} % of {count['asked']}" if count["asked"] else "-"


def table(measured):
    names = list(measured)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    add = lambda title, cells: lines.append(f"| {title} | " + " | ".join(cells) + " |")
    for language in ("english", "korean"):
        for task in measured[names[0]]["answers"][language]:
            add(f"{task}, {language.capitalize()}", [share(measured[n]["answers"], language, task) for n in names])
    for key in ("tokens in the text", "rows looked at", "parameters"):
        add(key, [f"{measured[n][key]:,}" for n in names])
    add("operations a picture", [f"{measured[n]['operations a picture'] / 1e9:.2f} billion" for n in names])
    add("seconds a step", [f"{measured[n]['seconds a step']:.2f}" for n in names])
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuri", default="build/release/nuri")
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    recipes = {name: read_recipe(name) for name in RECIPES.values()}
    expect_equal_terms(recipes)
    made = table({title: measure(arguments.nuri, name, recipes[name]) for title, name in RECIPES.items()})
    if arguments.output:
        arguments.output.write_text(made)
    print(made, end="")


if __name__ == "__main__":
    main()
