"""What the families' own picture processors of transformers (Pillow backend) make of tests/parity/golden/pictures.

    python tests/parity/picture_processors.py             writes tests/parity/golden/picture_processors.json, which a unit test reads
    python tests/parity/picture_processors.py --seed 7 --cases 200 --tests BINARY   the same test on other, more cases

Needs Pillow, numpy and transformers. A case says the CRC-32 of each tensor (numbers as float32 or int64).
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile

import numpy as np
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

import pictures

GOLDEN = pictures.ROOT / "tests/parity/golden/picture_processors.json"
PROCESSORS = {"Siglip2ImageProcessor": Siglip2ImageProcessorPil}


def maybe(rng, config, chance, **values):
    config.update({key: value for key, value in values.items() if rng.random() < chance})


def siglip2(rng):
    config = {"patch_size": rng.choice([2, 3, 7, 16]), "max_num_patches": rng.choice([1, 9, 64, 256])}
    maybe(rng, config, 0.3, resample=rng.randrange(6), image_mean=[0.4, 0.5, 0.6], do_normalize=False)
    return config


CONFIGS = {"Siglip2ImageProcessor": siglip2}


def array_case(array):
    array = np.asarray(array)
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    return {"shape": list(array.shape), "crc": pictures.crc(array)}


def cases(seed, count):
    rng = random.Random(seed)
    files = sorted(file.name for file in pictures.GOLDEN.iterdir()
                   if file.suffix in (".png", ".jpg", ".webp") and not file.name.startswith("grey16"))
    for kind, build in CONFIGS.items():
        for _ in range(count):
            config = build(rng)
            chosen = rng.sample(files, rng.choice([1, 1, 2, 3]))
            images = [pictures.reference_rgb(pictures.GOLDEN / name) for name in chosen]
            made = PROCESSORS[kind](**config)(images, return_tensors="np")
            yield {"config": {"image_processor_type": kind} | config, "files": chosen,
                   "arrays": {name: array_case(array) for name, array in made.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=8, help="for each processor")
    parser.add_argument("--tests", type=pathlib.Path, metavar="BINARY")
    arguments = parser.parse_args()
    text = ",\n".join(json.dumps(case) for case in cases(arguments.seed, arguments.cases))
    if arguments.tests is None:
        GOLDEN.write_text(f"[{text}]\n")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(f"[{text}]")
        file.flush()
        environment = dict(os.environ, NURI_PICTURE_PROCESSORS=file.name)
        subprocess.run([arguments.tests, "--gtest_filter=PictureProcessor.*"], check=True, env=environment)


if __name__ == "__main__":
    main()
