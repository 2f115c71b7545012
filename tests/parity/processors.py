"""What the processors of transformers make of texts with pictures, for those families that cut pictures into tiles.

    python tests/parity/processors.py                       writes tests/parity/golden/processors/
    python tests/parity/processors.py --full DIR --cases 50 writes many cases into DIR; then run
        NURI_PROCESSORS=DIR build/release/nuri_torch_tests --gtest_filter='*ProcessorParity*'

Needs Pillow, numpy, tokenizers and transformers. A case holds a text, its pictures, the ids and the CRC-32 of each tensor.
"""

import json

import tokenizers
import transformers as t
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from processor_cases import case_of, main, write_pictures

WORDS = "what is on the left of it and why ? two pictures : here".split()
SPECIAL = ["<unk>", "<s>", "<image>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]


def tokenizer(tags=(), **names):
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS, *tags])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens([*SPECIAL, *tags])
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>", extra_special_tokens=names)


def token_id(token):
    return SPECIAL.index(token)


TEXT = dict(model_type="llama", vocab_size=len(SPECIAL + WORDS), hidden_size=16, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2)


def llava_next(folder, r):
    tile = r.choice([12, 20])
    grids = [[a * tile, b * tile] for a, b in [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]]
    clip = r.random() < 0.5
    size = r.choice([{"shortest_edge": tile}, {"height": tile, "width": tile}])
    images = LlavaNextImageProcessorPil(size=size, crop_size={"height": tile, "width": tile}, image_grid_pinpoints=grids,
                                        resample=r.choice([2, 3]), do_center_crop=r.random() < 0.7)
    processor = t.LlavaNextProcessor(images, tokenizer(), patch_size=4, num_additional_image_tokens=int(clip),
                                     vision_feature_select_strategy="default" if clip else "full")
    processor.save_pretrained(folder)
    vision = dict(model_type="clip_vision_model" if clip else "siglip_vision_model", image_size=tile, patch_size=4,
                  hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    config = dict(architectures=["LlavaNextForConditionalGeneration"], model_type="llava_next", text_config=TEXT,
                  vision_config=vision, image_grid_pinpoints=grids, image_token_index=token_id("<image>"),
                  vision_feature_select_strategy=processor.vision_feature_select_strategy)
    (folder / "config.json").write_text(json.dumps(config))
    return "<image>", lambda text, pictures: processor(text=text, images=pictures or None)


def got_ocr(r, tile, **given):
    return GotOcr2ImageProcessorPil(**(dict(size={"height": tile, "width": tile}, min_patches=r.choice([1, 1, 2]),
                                            max_patches=r.choice([1, 4, 12]), image_mean=[0.485, 0.456, 0.406],
                                            image_std=[0.229, 0.224, 0.225], crop_to_patches=True) | given))


def expanded(images, each):
    """What InternVLProcessor does with pictures, which cannot be made here for want of its processor of videos."""
    def run(text, pictures, words, placeholder):
        made = images(pictures, crop_to_patches=True) if pictures else None
        for i in range(len(pictures)):
            content = "<img>" + "<IMG_CONTEXT>" * (each * int(made["num_patches"][i])) + "</img>"
            text = text.replace(placeholder, content.replace("<IMG_CONTEXT>", "\0"), 1)
        out = {"input_ids": [words(text.replace("\0", "<IMG_CONTEXT>"))["input_ids"]]}
        return out | ({"pixel_values": made["pixel_values"]} if pictures else {})
    return run


def internvl(folder, r):
    tile = r.choice([12, 20])
    images = got_ocr(r, tile, resample=r.choice([2, 3]))
    words = tokenizer(start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
                      video_token="<video>")
    words.save_pretrained(folder)
    images.save_pretrained(folder)
    vision = dict(model_type="internvl_vision", image_size=[tile, tile], patch_size=[2, 2], hidden_size=16,
                  intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    config = dict(architectures=["InternVLForConditionalGeneration"], model_type="internvl", text_config=TEXT,
                  vision_config=vision, image_token_id=token_id("<IMG_CONTEXT>"), downsample_ratio=0.5)
    (folder / "config.json").write_text(json.dumps(config))
    run = expanded(images, (tile // 4) ** 2)
    return "<IMG_CONTEXT>", lambda text, pictures: run(text, pictures, words, "<IMG_CONTEXT>")


def internvl_chat(folder, r):
    tile, most = r.choice([12, 20]), r.choice([6, 12])
    images = got_ocr(r, tile, min_patches=1, max_patches=most)
    words = tokenizer()
    words.save_pretrained(folder)
    vision = dict(model_type="intern_vit_6b", image_size=tile, patch_size=2, hidden_size=16, intermediate_size=24,
                  num_hidden_layers=1, num_attention_heads=2)
    config = dict(architectures=["InternVLChatModel"], model_type="internvl_chat",
                  llm_config=TEXT | {"architectures": ["LlamaForCausalLM"]}, vision_config=vision, ps_version="v2",
                  dynamic_image_size=True, use_thumbnail=True, max_dynamic_patch=most, force_image_size=tile)
    (folder / "config.json").write_text(json.dumps(config))
    run = expanded(images, (tile // 4) ** 2)
    return "<image>", lambda text, pictures: run(text, pictures, words, "<image>")


def tagged(images, words, rows, start="", end=""):
    """What the paper of NVLM does with pictures; `rows(thumbnail)`: what stands behind a tile's tag."""
    def run(text, pictures):
        made = images(pictures, crop_to_patches=True) if pictures else None
        for i in range(len(pictures)):
            count = int(made["num_patches"][i])
            tags = [f"<tile_{tile}>" for tile in range(1, count)] + ["<tile_global_thumbnail>"]
            tiles = "".join(tag + rows(tag == tags[-1]) for tag in tags).replace("<image>", "\0")
            text = text.replace("<image>", start + tiles + end, 1)
        out = {"input_ids": [words(text.replace("\0", "<image>"))["input_ids"]]}
        return out | ({"pixel_values": made["pixel_values"]} if pictures else {})
    return run


def nvlm_d(folder, r):
    """As NVIDIA publishes it."""
    tile, most = r.choice([12, 20]), 6
    images = got_ocr(r, tile, min_patches=1, max_patches=most)
    tags = [f"<tile_{i}>" for i in range(1, most + 1)] + ["<tile_global_thumbnail>", "<|vision_pad|>", "<Image>", "</Image>"]
    words = tokenizer(tags)
    words.save_pretrained(folder)
    vision = dict(model_type="intern_vit_6b", image_size=tile, patch_size=2, hidden_size=16, intermediate_size=24,
                  num_hidden_layers=1, num_attention_heads=2)
    config = dict(architectures=["NVLM_D"], model_type="NVLM_D", llm_config=TEXT | {
        "architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 2, "vocab_size": len(SPECIAL + WORDS + tags)}, vision_config=vision,
        ps_version="v2", dynamic_image_size=True, use_thumbnail=True, max_dynamic_patch=most, force_image_size=tile)
    (folder / "config.json").write_text(json.dumps(config))
    rows = "<|vision_pad|>" * (tile // 4) ** 2
    return "<image>", tagged(images, words, lambda whole: rows, "<Image>", "</Image>")


def composed(folder, r):
    """NVLM-D, -X or -H of parts."""
    fusion, tile, most = r.choice(["unified", "cross_attention", "hybrid"]), r.choice([12, 20]), r.choice([4, 6])
    images = got_ocr(r, tile, min_patches=1, max_patches=most, resample=3, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    tags = [f"<tile_{i}>" for i in range(1, most + 1)] + ["<tile_global_thumbnail>"]
    words, first = tokenizer(tags), len(SPECIAL + WORDS)
    words.save_pretrained(folder)
    processor = dict(image_processor_type="SiglipImageProcessor", size=dict(height=tile, width=tile), resample=3,
                     image_mean=[0.5] * 3, image_std=[0.25] * 3)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    eyes = dict(image_size=tile, patch_size=2, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                num_attention_heads=2)
    config = dict(architectures=["NuriComposed"], model_type="nuri_composed", image_token_id=token_id("<image>"),
                  encoder=eyes, decoder=TEXT, connector=dict(type="pixel_shuffle"), fusion=dict(type=fusion),
                  resolution=dict(type="tiles", max_tiles=most, tile_tag_ids=[first + i for i in range(most)],
                                  thumbnail_tag_id=first + most))
    if fusion != "unified":
        config["fusion"]["every"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    each = "<image>" * (tile // 4) ** 2
    stands = {"unified": lambda whole: True, "cross_attention": lambda whole: False, "hybrid": lambda whole: whole}[fusion]
    return "<image>", tagged(images, words, lambda whole: each if stands(whole) else "")


FAMILIES = {"llava_next": llava_next, "internvl": internvl, "internvl_chat": internvl_chat, "nvlm_d": nvlm_d,
            "composed": composed}


def some_size(r):
    return r.choice([(1, r.randint(1, 400)), (r.randint(1, 400), 1), (r.randint(1, 90), r.randint(1, 90)),
                     (r.randint(20, 60), r.randint(20, 60)), (r.randint(30, 120), r.randint(10, 40))])


def make_cases(family, pictures, cases):
    def case(process, placeholder, chosen, folder, r):
        text = " ".join(" ".join(r.sample(WORDS, 2)) + " " + placeholder for _ in chosen) + " "
        text += " ".join(r.sample(WORDS, 3))
        out = process(text, [Image.open(folder / name) for name in chosen])
        return case_of(text, chosen, out, ("pixel_values", "image_sizes"))

    def make(folder, r):
        placeholder, process = FAMILIES[family](folder, r)
        names = write_pictures(folder, r, pictures, some_size)
        counts = [0, 1, 2, 3] + [1] * cases
        return [case(process, placeholder, r.sample(names, min(len(names), k)), folder, r) for k in counts]

    return make


# The seeds of the compositions draw the fusion that the name tells.
GOLDENS = {name: (1, make_cases(name, 8, 6)) for name in ("llava_next", "internvl", "internvl_chat")}
GOLDENS |= {"nvlm_d_published": (1, make_cases("nvlm_d", 4, 3)), "nvlm_x": (7, make_cases("composed", 4, 3)),
            "nvlm_h": (5, make_cases("composed", 4, 3))}


if __name__ == "__main__":
    main(__doc__, GOLDENS, FAMILIES, 6, lambda family, cases: make_cases(family, cases, cases))
