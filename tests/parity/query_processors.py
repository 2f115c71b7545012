"""What the processors of BLIP-2 and InstructBLIP in transformers make of texts with a picture.

    python tests/parity/query_processors.py                       writes tests/parity/golden/processors/
    python tests/parity/query_processors.py --full DIR --cases 50 writes many cases into DIR, with all values

Needs Pillow, numpy, tokenizers and transformers. A case holds a text, its pictures, the ids and the CRC-32 of each tensor.
"""

import argparse
import json
import pathlib
import random
import shutil

import numpy as np
import tokenizers
import transformers as t
from PIL import Image
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from pictures import crc, scene

GOLDEN = pathlib.Path(__file__).parent / "golden" / "processors"
WORDS = "question what is on the left of it and why ? answer a picture of here".split()


def tokenizer(special, single, image_token):
    special = special + (["<image>"] if image_token else [])
    vocabulary = {word: i for i, word in enumerate(special + WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token=special[0]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(special)
    named = [(token, i) for i, token in enumerate(special) if token in single]
    made.post_processor = tokenizers.processors.TemplateProcessing(single=single, special_tokens=named)
    return t.PreTrainedTokenizerFast(tokenizer_object=made, unk_token=special[0], pad_token=special[1])


def images(r):
    side = lambda: r.randint(5, 40)
    return BlipImageProcessorPil(size={"height": side(), "width": side()}, resample=r.choice([2, 3]),
                                 do_normalize=r.random() < 0.8, do_convert_rgb=True)


def blip2(folder, r, queries):
    words = tokenizer(["<unk>", "<pad>", "</s>"], r.choice(["</s> $A", "$A </s>"]), r.random() < 0.5)
    processor = t.Blip2Processor(images(r), words, num_query_tokens=queries)
    processor.save_pretrained(folder)
    token = words.convert_tokens_to_ids("<image>")
    config = dict(architectures=["Blip2ForConditionalGeneration"], model_type="blip-2", num_query_tokens=queries or 32,
                  image_token_index=token if queries else None)
    (folder / "config.json").write_text(json.dumps(config))
    return processor


def instructblip(folder, r, queries):
    words = tokenizer(["<unk>", "<pad>", "<s>"], "<s> $A", True)
    reader = tokenizer(["[UNK]", "[PAD]", "[CLS]", "[SEP]"], "[CLS] $A [SEP]", False)
    processor = t.InstructBlipProcessor(images(r), words, reader, num_query_tokens=queries)
    processor.save_pretrained(folder)
    config = dict(architectures=["InstructBlipForConditionalGeneration"], model_type="instructblip",
                  num_query_tokens=queries, image_token_index=words.convert_tokens_to_ids("<image>"))
    (folder / "config.json").write_text(json.dumps(config))
    return processor


# The older BLIP-2 has no number of queries in its file, and puts nothing in front.
FAMILIES = {"blip2": (blip2, 5), "blip2_older": (blip2, None), "instructblip": (instructblip, 3)}


def write_pictures(folder, r, count):
    names = []
    for i in range(count):
        width, height = r.choice([(1, r.randint(1, 400)), (r.randint(1, 400), 1), (r.randint(1, 90), r.randint(1, 90))])
        names.append(f"{i}.png")
        Image.fromarray((scene(r, width, height, 3) >> 8).astype(np.uint8)).save(folder / names[-1])
    return names


def case_of(processor, folder, chosen, r):
    text = " ".join(r.sample(WORDS, r.randint(1, 6)))
    pictures = [Image.open(folder / name) for name in chosen]
    out = processor(text=text, images=pictures or None)
    case = {"text": text, "pictures": chosen, "ids": [int(i) for i in out["input_ids"][0]], "tensors": {}}
    for name in ("pixel_values", "qformer_input_ids", "qformer_attention_mask"):
        if name in out:
            value = np.stack([np.asarray(x) for x in out[name]])
            value = value.astype(np.float32 if name == "pixel_values" else np.int64)
            case["tensors"][name] = {"shape": list(value.shape), "crc": crc(value), "value": value}
    return case


def write_folder(folder, family, seed, cases, keep_values):
    r = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make, queries = FAMILIES[family]
    processor = make(folder, r, queries)
    names = write_pictures(folder, r, cases)
    made = [case_of(processor, folder, chosen, r) for chosen in [[], *([name] for name in names)]]
    for i, case in enumerate(made):
        for name, tensor in case["tensors"].items():
            value = tensor.pop("value")
            if keep_values and name == "pixel_values":
                tensor["values"] = f"{i}.f32"
                (folder / tensor["values"]).write_bytes(np.ascontiguousarray(value).tobytes())
    (folder / "cases.json").write_text(json.dumps(made, separators=(",", ":")).replace('},{"text', '},\n{"text'))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--cases", type=int, default=50)
    arguments = parser.parse_args()
    for family in FAMILIES:
        if arguments.full is None:
            write_folder(GOLDEN / family, family, 1, 5, False)
            print(family, sum(f.stat().st_size for f in (GOLDEN / family).rglob("*") if f.is_file()) // 1024, "KiB")
            continue
        for seed in range(4):
            write_folder(arguments.full / f"{family}_{seed}", family, seed + 1, arguments.cases, True)


if __name__ == "__main__":
    main()
