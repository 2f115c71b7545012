"""Llama 3.2 Vision, whose text looks at pictures through layers of cross attention; and its decoder alone."""

import torch
import transformers as t
from transformers.models.mllama.processing_mllama import (
    convert_sparse_cross_attention_mask_to_dense,
    get_cross_attention_token_mask,
)

from families import common
from families.common import SMALL, Family, decoder, rope, without_padding, words

ARRANGEMENTS = {1: [[1, 1]], 2: [[1, 1], [1, 2], [2, 1]], 3: [[1, 1], [1, 2], [1, 3], [2, 1], [3, 1]], 4: None}


def mllama_vision(r, **given):
    heads, layers, tiles, patch = r.choice([2, 3]), r.choice([2, 3]), r.choice([2, 3, 4]), r.choice([4, 6])
    chosen = r.choice([[0], [1, 0], [-1, 0, 1]])
    return t.MllamaVisionConfig(**(dict(
        hidden_size=heads * 8,
        attention_heads=heads,
        intermediate_size=36,
        num_hidden_layers=layers,
        num_global_layers=r.choice([1, 2]),
        image_size=patch * r.choice([1, 2, 3]) + r.choice([0, 1]),
        patch_size=patch,
        max_num_tiles=tiles,
        supported_aspect_ratios=ARRANGEMENTS[tiles],
        intermediate_layers_indices=chosen,
        vision_output_dim=heads * 8 * (1 + len(chosen)),
        hidden_act=r.choice(["gelu", "quick_gelu"]),
        norm_eps=r.choice([1e-5, 1e-3]),
    ) | given))


def mllama_text(r, kind=None, **given):
    layers = r.choice([2, 3, 4])
    looking = r.sample(range(1, layers), r.randint(1, layers - 1)) + r.choice([[], [layers + 3]])
    sizes = dict(num_hidden_layers=layers, cross_attention_layers=looking, tie_word_embeddings=False, pad_token_id=0,
                 bos_token_id=1, eos_token_id=2, rope_parameters=rope(kind or r.choice(["default", "llama3"]), 5e5))
    return t.MllamaTextConfig(**(decoder(r) | sizes | given))


def mllama(r, vision=None, text=None):
    text = text or mllama_text(r)
    return t.MllamaConfig(vision_config=vision or mllama_vision(r), text_config=text, image_token_index=text.vocab_size)


def rows_of_text(vocab_size, counts, r):
    """Rows with so many pictures, padded on the left."""
    row = lambda: torch.randint(0, vocab_size, (r.randint(1, 4),)).tolist()
    rows = []
    for count in counts:
        ids = row()
        for _ in range(count):
            ids += [vocab_size] + r.choice([[], row()])
        rows.append(ids + row())
    length = max(map(len, rows))
    inputs = {"input_ids": torch.tensor([[0] * (length - len(ids)) + ids for ids in rows])}
    if len(rows) > 1:
        inputs["attention_mask"] = torch.tensor([[0] * (length - len(ids)) + [1] * len(ids) for ids in rows])
    return inputs


def mllama_inputs(config, r):
    """Rows with unequal numbers of pictures, or none at all."""
    vision, text = config.vision_config, config.text_config
    counts = r.choice([[1], [2], [3], [2, 1], [1, 2], [2, 0], [0]])
    inputs = rows_of_text(text.vocab_size, counts, r)
    if max(counts) == 0:
        return inputs
    shape = (len(counts), max(counts), vision.max_num_tiles)
    pixel_values = torch.randn(*shape, vision.num_channels, vision.image_size, vision.image_size)
    arrangements = vision.supported_aspect_ratios
    ids, tiles = torch.zeros(shape[:2], dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    tiles[:, :, 0] = 1
    for i, count in enumerate(counts):
        for j in range(count):
            chosen = r.randrange(len(arrangements))
            ids[i, j] = chosen + 1
            tiles[i, j, : arrangements[chosen][0] * arrangements[chosen][1]] = 1
        pixel_values[i, count:] = 0
    pixel_values *= tiles[..., None, None, None]
    ranges = [get_cross_attention_token_mask(ids, text.vocab_size) for ids in inputs["input_ids"].tolist()]
    seen = [[int(n) for n in row.sum(-1)] for row in tiles]
    length = inputs["input_ids"].shape[1]
    looking = convert_sparse_cross_attention_mask_to_dense(ranges, seen, vision.max_num_tiles, length)
    given = {"cross_attention_mask": torch.from_numpy(looking)} if r.random() < 0.8 else {}
    return inputs | given | {"pixel_values": pixel_values, "aspect_ratio_ids": ids, "aspect_ratio_mask": tiles}


def vary(key, parameter):
    """Gates begin at zero, and little would pass through small ones."""
    if key.endswith(("_gate", ".gate", "gate_attn", "gate_ffn")):
        common.noise(parameter, 1.0)
    else:
        common.vary(key, parameter)


def resume(config, inputs, row, ids):
    """What follows the prompt looks at what the prompt's last token looks at."""
    extra = {k: v[row : row + 1] for k, v in inputs.items() if k not in ("input_ids", "attention_mask")}
    if "cross_attention_mask" in extra:
        mask = extra["cross_attention_mask"]
        if "attention_mask" in inputs:
            mask = mask[:, inputs["attention_mask"][row].bool()]
        made = len(ids) - inputs["input_ids"].shape[1]
        extra["cross_attention_mask"] = torch.cat([mask, mask[:, -1:].expand(-1, made, -1, -1)], 1)
    return {"input_ids": without_padding(inputs, row, ids)} | extra


FAMILIES = {
    "mllama": Family(mllama, t.MllamaForConditionalGeneration, mllama_inputs, vary=vary, resume=resume),
    "mllama_text": Family(mllama_text, t.MllamaForCausalLM, words, vary=vary),
}

SMALL_TEXT = SMALL | dict(intermediate_size=20)
SMALL_VISION = dict(hidden_size=16, attention_heads=2, intermediate_size=20, num_hidden_layers=2, patch_size=4)
TWO_TILES = dict(max_num_tiles=2, supported_aspect_ratios=ARRANGEMENTS[2], image_size=14, vision_output_dim=32,
                 intermediate_layers_indices=[0])
FOUR_TILES = dict(max_num_tiles=4, supported_aspect_ratios=None, image_size=8, vision_output_dim=48,
                  intermediate_layers_indices=[0, -1])
GOLDENS = {
    "mllama": ("mllama", 24, lambda r: mllama(
        r, mllama_vision(r, **SMALL_VISION, **FOUR_TILES),
        mllama_text(r, "llama3", **SMALL_TEXT | dict(num_hidden_layers=3), cross_attention_layers=[1]))),
    "mllama_last_layer": ("mllama", 21, lambda r: mllama(
        r, mllama_vision(r, **SMALL_VISION, **TWO_TILES),
        mllama_text(r, "default", **SMALL_TEXT | dict(num_hidden_layers=4), cross_attention_layers=[2, 3, 9]))),
    "mllama_text": ("mllama_text", 20, lambda r: mllama_text(r, "llama3", **SMALL_TEXT, cross_attention_layers=[1])),
}
