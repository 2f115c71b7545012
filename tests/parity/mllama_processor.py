"""What the processor of Llama 3.2 Vision in transformers makes of pictures and prompts, for src/models/mllama.

    python tests/parity/mllama_processor.py          writes tests/parity/golden/mllama/cases.json
    python tests/parity/mllama_processor.py --full N writes N cases of each kind there (not to be committed)

Needs transformers, tokenizers, Pillow and numpy. Pictures are those of golden/pictures, and "WIDTHxHEIGHT" made by
formula; of pixel values the golden keeps the CRC-32 of their bytes.
"""

import json
import pathlib
import random
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.mllama.processing_mllama import MllamaProcessor, get_cross_attention_token_mask

GOLDEN = pathlib.Path(__file__).parent / "golden"
FILES = ["rgb444.jpg", "grey.jpg", "rgba8.png", "palette8.png", "exif6.jpg", "rgba.webp"]
SIZES = ["1x1", "1x1000", "700x2", "33x97", "64x64", "200x50", "50x200", "131x130", "3x5"]


def picture(name):
    if name[0].isdigit() and "x" in name:
        width, height = map(int, name.split("x"))
        y, x, c = np.mgrid[0:height, 0:width, 0:3]
        return Image.fromarray(((x * 7 + y * 13 + c * 29 + x * y) % 256).astype(np.uint8))
    image = ImageOps.exif_transpose(Image.open(GOLDEN / "pictures" / name))
    return image.convert("RGBA") if "A" in image.getbands() or "transparency" in image.info else image.convert("RGB")


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def random_config(r):
    side = r.choice([8, 13, 20, 32])
    config = {"image_processor_type": "MllamaImageProcessor", "size": {"height": side, "width": side}}
    choices = dict(max_image_tiles=r.choice([1, 2, 3, 4, 6, 9]), resample=r.choice([0, 1, 2, 3]),
                   image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711],
                   do_normalize=False, do_rescale=False, rescale_factor=1 / 127.5, do_pad=True, do_resize=True)
    return config | {key: value for key, value in choices.items() if r.random() < 0.4}


def picture_case(r, names):
    config = random_config(r)
    chosen = r.sample(names, r.choice([1, 1, 2, 3]))
    made = MllamaImageProcessorPil(**config)([picture(name) for name in chosen], return_tensors="np")
    return {"config": config, "files": chosen, "shape": list(made["pixel_values"].shape),
            "ids": made["aspect_ratio_ids"][0].tolist(), "mask": made["aspect_ratio_mask"][0].tolist(),
            "crc": crc(made["pixel_values"].astype(np.float32))}


def range_case(r):
    ids = [r.choice([7, 7, 1, 2]) for _ in range(r.randint(1, 9))]
    found = get_cross_attention_token_mask(ids, 7)
    return {"ids": ids, "ranges": [[begin, len(ids) if end == -1 else end] for begin, end in found]}


def prompt_case(r, processor):
    words = ["Hello", " world", "<|begin_of_text|>", "\n", "what is this?", "<|image|>", "<|image|>", "<|eot_id|>",
             "안녕"]
    parts = [r.choice(words) for _ in range(r.randint(1, 7))]
    pictures = [r.choice(["20x10", "8x8", "9x33"]) for part in parts if part == "<|image|>"]
    special = r.random() < 0.5
    made = processor(text="".join(parts), images=[picture(name) for name in pictures] or None, return_tensors="np",
                     add_special_tokens=special)
    case = {"text": "".join(parts), "files": pictures, "special": special, "ids": made["input_ids"][0].tolist()}
    if pictures:
        case |= {"shape": list(made["cross_attention_mask"].shape),
                 "looking": "".join(map(str, made["cross_attention_mask"].ravel()))}
    return case


def main():
    full = int(sys.argv[2]) if sys.argv[1:2] == ["--full"] else 0
    if sys.argv[1:] and not full:
        sys.exit(__doc__)
    r = random.Random(1)
    names = [name for name in FILES if (GOLDEN / "pictures" / name).exists()] + SIZES
    backend = Tokenizer.from_str(json.dumps(json.loads((GOLDEN / "tokenizers/llama3.json").read_text())["tokenizer"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|begin_of_text|>", pad_token="<|eot_id|>")
    config = {"image_processor_type": "MllamaImageProcessor", "size": {"height": 8, "width": 8}}
    processor = MllamaProcessor(MllamaImageProcessorPil(**config), tokenizer)
    cases = {"pictures": [picture_case(r, names) for _ in range(full or 25)],
             "ranges": [range_case(r) for _ in range(full or 12)],
             "prompt_config": config,
             "prompts": [prompt_case(r, processor) for _ in range(full or 15)]}
    (GOLDEN / "mllama").mkdir(exist_ok=True)
    text = json.dumps(cases, separators=(",", ":"), ensure_ascii=False)
    (GOLDEN / "mllama/cases.json").write_text(text.replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
