"""What the processors of BLIP-2 and InstructBLIP in transformers make of texts with a picture.

    python tests/parity/query_processors.py                       writes tests/parity/golden/processors/
    python tests/parity/query_processors.py --full DIR --cases 50 writes many cases into DIR, with all values

Needs Pillow, numpy, tokenizers and transformers. A case holds a text, its pictures, the ids and the CRC-32 of each tensor.
"""

import json

import tokenizers
import transformers as t
from PIL import Image
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from processor_cases import case_of, main, write_pictures

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


def some_size(r):
    return r.choice([(1, r.randint(1, 400)), (r.randint(1, 400), 1), (r.randint(1, 90), r.randint(1, 90))])


def make_cases(family, cases):
    def case(processor, folder, chosen, r):
        text = " ".join(r.sample(WORDS, r.randint(1, 6)))
        out = processor(text=text, images=[Image.open(folder / name) for name in chosen] or None)
        return case_of(text, chosen, out, ("pixel_values", "qformer_input_ids", "qformer_attention_mask"))

    def make(folder, r):
        processor_of, queries = FAMILIES[family]
        processor = processor_of(folder, r, queries)
        names = write_pictures(folder, r, cases or 5, some_size)
        return [case(processor, folder, chosen, r) for chosen in [[], *([name] for name in names)]]

    return make


if __name__ == "__main__":
    main(__doc__, {family: (1, make_cases(family, None)) for family in FAMILIES}, FAMILIES, 4, make_cases)
