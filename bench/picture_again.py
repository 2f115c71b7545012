#!/usr/bin/env python3
"""How long a question about a picture takes when the picture is new, and when it was seen before in another
conversation: `nuri chat` asks about each of some random pictures twice, with /reset in between, and answers in one
token. Everything counts from the question's line to its answer: reading the file, processing, encoding, prefill.

The model has random weights: SigLIP so400m/14 at 384 pixels in front of a decoder of Llama 3.2 1B's layers, with the
bundled model's tokenizer. Making it needs torch and transformers; it is kept in --models."""

import argparse
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "models/emoji-world"
SIDE, PATCH, IMAGE_TOKEN = 384, 14, 3071
END = "/end"  # no command of chat's: it says so, once everything before is answered


def make_model(folder: Path) -> None:
    import transformers as t
    from checkpoints import make_checkpoint
    from shapes import Shape, llama

    def build():
        vision = t.SiglipVisionConfig(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27,
                                      num_attention_heads=16, image_size=SIDE, patch_size=PATCH, vision_use_head=False)
        text = llama(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                     num_key_value_heads=8, head_dim=64, vocab_size=IMAGE_TOKEN + 1)
        return t.LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE_TOKEN,
                             vision_feature_layer=-1, vision_feature_select_strategy="full",
                             image_seq_length=(SIDE // PATCH) ** 2)

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(BUNDLED / name, folder / name)
    processor = json.loads((BUNDLED / "processor_config.json").read_text())
    processor["image_processor"]["size"] = {"height": SIDE, "width": SIDE}
    processor["patch_size"] = PATCH
    (folder / "processor_config.json").write_text(json.dumps(processor))
    make_checkpoint(folder, Shape(t.LlavaForConditionalGeneration, build))


def write_png(file: Path, seed: int) -> None:
    """Random pixels, 640 x 480."""
    width, height = 640, 480
    pixels = random.Random(seed)
    rows = b"".join(b"\0" + pixels.randbytes(3 * width) for _ in range(height))
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows, 1),
              b"IEND"]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks))


class Chat:
    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)

    def ask(self, picture: Path) -> float:
        """-> seconds."""
        start = time.perf_counter()
        self.process.stdin.write(f"/reset\n/image {picture}\nWhat is this?\n{END}\n")
        self.process.stdin.flush()
        for line in self.process.stderr:
            if END in line:
                return time.perf_counter() - start
            print(line, end="", file=sys.stderr)
        sys.exit(f"nuri chat ended with code {self.process.wait()}")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nuri", type=Path, default=ROOT / "build/release/nuri")
    parser.add_argument("--models", type=Path, required=True, help="folder for the model and the pictures")
    parser.add_argument("--pictures", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--weights", default="native", help="as nuri chat's")
    options = parser.parse_args()
    folder = options.models / "siglip-llama-1b"
    if not (folder / "config.json").exists():
        make_model(folder)
    chat = Chat([str(options.nuri), "chat", str(folder), "--threads", str(options.threads),
                 "--weights", options.weights, "--max-tokens", "1", "--greedy"])
    times = []
    for seed in range(options.pictures + 1):  # the first one warms up
        picture = options.models / f"picture-{seed}.png"
        write_png(picture, seed)
        times.append((chat.ask(picture), chat.ask(picture)))
    chat.close()
    new, again = (statistics.median(column) for column in zip(*times[1:]))
    print(f"new {new:.3f} s, seen before {again:.3f} s: {100 * again / new:.1f} %")


if __name__ == "__main__":
    main()
