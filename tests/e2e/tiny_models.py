"""Model folders that answer questions: the committed checkpoints of random weights, with a tokenizer of bytes."""

import random
import shutil

import harness

FIRST_BYTE = 48  # the committed vocabularies are this large; the bytes follow, and what a test adds
VISION = {"<|vision_start|>": 45, "<|vision_end|>": 44, "<|video_pad|>": 46, "<|image_pad|>": 47}
BOS = "<|begin_of_text|>"
PLACES = ("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>")


def write_tokenizer(folder, special, pieces, chat_template):
    """`special`: {text: id below 48}. The pieces (byte strings) stand behind the bytes -> the size of the vocabulary."""
    words = [bytes([byte]) for byte in range(256)] + list(pieces)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [{"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for text, number in special.items()]
    harness.write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": special | {harness.in_letters(word): FIRST_BYTE + i for i, word in enumerate(words)},
                  "merges": []}})
    names = {"bos_token": BOS} if BOS in special else {}
    harness.write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    (folder / "chat_template.jinja").write_text(chat_template)
    return FIRST_BYTE + len(words)


def enlarge(tensors, words, seed=11):
    """Random rows for what the vocabulary has in addition; rows behind the old vocabulary stay the last ones."""
    rng = random.Random(seed)
    for name, (kind, shape, values) in tensors.items():
        if not name.endswith(("embed_tokens.weight", "lm_head.weight", "shared.weight")):
            continue
        old, width = FIRST_BYTE * shape[1], shape[1]
        new = [rng.gauss(0, 0.3) for _ in range((words - FIRST_BYTE) * width)]
        tensors[name] = (kind, [shape[0] + words - FIRST_BYTE, width], values[:old] + new + values[old:])


def make(folder, golden, special, template, pieces=(), config=None, processor=None, change=None):
    """The checkpoint `golden` under `folder`, with words for every text. `change(tensors)` comes last."""
    folder.mkdir(parents=True)
    shutil.copy(harness.GOLDEN / golden / "config.json", folder)
    words = write_tokenizer(folder, special, pieces, template)
    changed = harness.read_json(folder / "config.json")
    text = changed.get("text_config", changed)
    text.update({"vocab_size": words, "max_position_embeddings": 4096, "eos_token_id": 2, "bos_token_id": 1})
    changed.update(config or {})
    harness.write_json(folder / "config.json", changed)
    tensors = harness.read_safetensors(harness.GOLDEN / golden / "model.safetensors")
    enlarge(tensors, words)
    if change:
        change(tensors)
    harness.write_safetensors(folder / "model.safetensors", tensors)
    harness.write_json(folder / "generation_config.json", {"eos_token_id": 2})
    if processor:
        harness.write_json(folder / "preprocessor_config.json", processor)
    return folder


def chat(picture, video=""):
    """A template with these in the places of pictures and videos."""
    return ("{% for message in messages %}{% for part in message['content'] %}"
            "{% if part['type'] == 'image' %}" + picture + "{% elif part['type'] == 'video' %}" + video +
            "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}")


def say(script, first="\n"):
    """A change of tensors after which a Qwen2-VL answers with the script: ids, each there once, behind a `first`."""
    def change(tensors):
        rng = random.Random(5)
        for name, (kind, shape, values) in tensors.items():  # the last token alone decides
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                tensors[name] = (kind, shape, [0.0] * len(values))
        kind, (words, width), _ = tensors["model.embed_tokens.weight"]
        rows = [[rng.choice((-1.0, 1.0)) for _ in range(width)] for _ in range(words)]
        head = [[0.0] * width for _ in range(words)]
        for token, successor in zip([FIRST_BYTE + ord(first), *script], [*script, 2]):
            head[successor] = rows[token]
        tensors["model.embed_tokens.weight"] = (kind, [words, width], sum(rows, []))
        tensors["lm_head.weight"] = (kind, [words, width], sum(head, []))
        tensors["model.norm.weight"] = (kind, [width], [1.0] * width)
    return change


def qwen2_vl(folder, golden="qwen2_vl", answer=None):
    """`answer`: texts, each one token, a special one where it is of PLACES; without: as the random weights will."""
    special = {**VISION, **{text: 30 + i for i, text in enumerate(PLACES)}}
    pieces = [text.encode() for text in answer or () if text not in special]
    ids = [special.get(text, FIRST_BYTE + 256 + pieces.index(text.encode()) if text not in special else 0)
           for text in answer or ()]
    vision = ("<|vision_start|>", "<|vision_end|>")
    patch = harness.read_json(harness.GOLDEN / golden / "config.json")["vision_config"]["patch_size"]
    return make(folder, golden, special, chat("<|image_pad|>".join(vision), "<|video_pad|>".join(vision)), pieces,
                config={"tie_word_embeddings": False} if answer else None,
                processor={"image_processor_type": "Qwen2VLImageProcessor", "patch_size": patch, "merge_size": 2,
                           "temporal_patch_size": 2, "min_pixels": 64 * patch**2, "max_pixels": 4096 * patch**2,
                           "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
                change=say(ids) if answer else None)


def mixtral(folder, chosen=2):
    return make(folder, "mixtral", {}, chat(""), config={"num_experts_per_tok": chosen, "sliding_window": None})


def mllama(folder):
    def change(tensors):  # as published files have them, the gates of cross-attention are open
        for name, (kind, shape, values) in tensors.items():
            if name.endswith("_gate"):
                tensors[name] = (kind, shape, [1.0] * len(values))
    words = FIRST_BYTE + 256
    return make(folder, "mllama", {BOS: 1, "<|image|>": words}, chat("<|image|>"), config={"image_token_index": words},
                processor={"image_processor_type": "MllamaImageProcessor", "size": {"height": 8, "width": 8},
                           "max_image_tiles": 4, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
                change=change)


def blip2_t5(folder):
    make(folder, "blip2_t5", {"<image>": 47}, chat(""),
         processor={"image_processor_type": "BlipImageProcessor", "size": {"height": 8, "width": 8},
                    "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    harness.write_json(folder / "processor_config.json", {"processor_class": "Blip2Processor", "num_query_tokens": 2})
    return folder


def llava_next(folder):
    return make(folder, "llava_next_clip_llama", {"<image>": 47}, chat("<image>"),
                processor={"image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 12},
                           "crop_size": {"height": 12, "width": 12}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                           "image_grid_pinpoints": [[24, 36], [12, 24], [12, 36], [36, 12], [12, 12]]})
