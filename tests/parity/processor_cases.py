"""What the scripts have in common that write the cases of processors: see processors.py and query_processors.py."""

import argparse
import json
import pathlib
import random
import shutil

import numpy as np
from PIL import Image

from pictures import crc, scene

GOLDEN = pathlib.Path(__file__).parent / "golden" / "processors"


def write_pictures(folder, r, count, some_size):
    """`some_size(r)` -> width and height."""
    names = []
    for i in range(count):
        width, height = some_size(r)
        names.append(f"{i}.png")
        Image.fromarray((scene(r, width, height, 3) >> 8).astype(np.uint8)).save(folder / names[-1])
    return names


def case_of(text, chosen, out, tensors):
    """The case of a processor's output, with those of these tensors that it has."""
    case = {"text": text, "pictures": chosen, "ids": [int(i) for i in out["input_ids"][0]], "tensors": {}}
    for name in tensors:
        if name in out:
            value = np.stack([np.asarray(x) for x in out[name]])
            value = value.astype(np.float32 if name == "pixel_values" else np.int64)
            case["tensors"][name] = {"shape": list(value.shape), "crc": crc(value), "value": value}
    return case


def write_folder(folder, seed, make_cases, keep_values):
    """`make_cases(folder, r)` writes what a case reads, and gives the cases."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = make_cases(folder, random.Random(seed))
    for i, case in enumerate(made):
        for name, tensor in case["tensors"].items():
            value = tensor.pop("value")
            if keep_values and name == "pixel_values":
                tensor["values"] = f"{i}.f32"
                (folder / tensor["values"]).write_bytes(np.ascontiguousarray(value).tobytes())
    (folder / "cases.json").write_text(json.dumps(made, separators=(",", ":")).replace('},{"text', '},\n{"text'))


def main(description, goldens, families, seeds, make_cases):
    """`goldens`: the committed cases by their folder's name, each its seed and what write_folder takes;
    `make_cases(family, cases)` -> what write_folder takes, for many."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--cases", type=int, default=50)
    arguments = parser.parse_args()
    if arguments.full is None:
        for name, (seed, make) in goldens.items():
            write_folder(GOLDEN / name, seed, make, False)
            print(name, sum(f.stat().st_size for f in (GOLDEN / name).rglob("*") if f.is_file()) // 1024, "KiB")
        return
    for family in families:
        for seed in range(seeds):
            write_folder(arguments.full / f"{family}_{seed}", seed + 1, make_cases(family, arguments.cases), True)
