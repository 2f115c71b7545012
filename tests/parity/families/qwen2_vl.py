"""Qwen2-VL and Qwen2.5-VL: pictures and videos of any size, with positions in time, height and width."""

import torch
import transformers as t

from families.common import SMALL, Family, decoder, rope


def text_sizes(r, **given):
    sizes = decoder(r) | given
    head = sizes["hidden_size"] // sizes["num_attention_heads"]
    window = dict(use_sliding_window=True, sliding_window=9, max_window_layers=1) if r.random() < 0.3 else {}
    sections = {8: [1, 2, 1], 12: [2, 2, 2], 16: [2, 3, 3]}[head]
    kind = r.choice(["default", "default", "linear"])
    sizes["max_position_embeddings"] = 256
    return sizes | window | dict(rope_parameters=rope(kind, r.choice([1e4, 1e6])) | dict(mrope_section=sections))


def qwen2_vl(r, newer=False, text=None, **given):
    text = text or text_sizes(r)
    heads, patch, merge = r.choice([2, 3]), r.choice([4, 6]), r.choice([1, 2, 2, 3])
    vision = dict(depth=r.choice([2, 3]), num_heads=heads, patch_size=patch, spatial_merge_size=merge,
                  temporal_patch_size=r.choice([1, 2, 2]), initializer_range=0.2)
    if newer:
        vision |= dict(hidden_size=heads * 8, intermediate_size=36, out_hidden_size=text["hidden_size"],
                       window_size=patch * merge * r.choice([1, 2, 3]) + r.choice([0, 1]),
                       fullatt_block_indexes=r.choice([[1], [0], []]), tokens_per_second=r.choice([2, 4]))
    else:
        vision |= dict(embed_dim=heads * 8, hidden_size=text["hidden_size"], mlp_ratio=2,
                       hidden_act=r.choice(["quick_gelu", "gelu"]))
    last, tied = text["vocab_size"] - 1, text.pop("tie_word_embeddings")
    cls = t.Qwen2_5_VLConfig if newer else t.Qwen2VLConfig
    return cls(text_config=text, vision_config=vision | given, tie_word_embeddings=tied, image_token_id=last,
               video_token_id=last - 1, vision_start_token_id=last - 2, vision_end_token_id=last - 3)


def qwen2_5_vl(r, **given):
    return qwen2_vl(r, newer=True, **given)


def inputs(config, r):
    """Texts with pictures and a video between them, of sizes of their own; a shorter row is padded on the left."""
    vision, vocab = config.vision_config, config.text_config.vocab_size
    merge, values = vision.spatial_merge_size, vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    grids = {1: [], 2: []}

    def media(kind):
        grid = [1 if kind == 1 else r.randint(1, 3), merge * r.randint(1, 4), merge * r.randint(1, 5)]
        grids[kind].append(grid)
        return [kind] * (grid[0] * grid[1] * grid[2] // merge**2)

    def row():
        types = [0] * r.randint(1, 4)
        for kind in r.choice([[1, 1], [1, 2], [2, 1, 1], [2]]):
            types += media(kind) + [0] * r.randint(1, 4)
        return types

    types = [row() for _ in range(r.choice([1, 2, 3]))]
    length = max(len(x) for x in types)
    types = torch.tensor([[-1] * (length - len(x)) + x for x in types])
    ids = torch.randint(0, vocab - 4, types.shape)
    ids[types == 1], ids[types == 2] = config.image_token_id, config.video_token_id
    given = {"input_ids": ids, "mm_token_type_ids": types.clamp(min=0)}
    if len(types) > 1:
        given["attention_mask"] = (types >= 0).long()
    for kind, name, grid_name in [(1, "pixel_values", "image_grid_thw"), (2, "pixel_values_videos", "video_grid_thw")]:
        if grids[kind]:
            grid = torch.tensor(grids[kind])
            given |= {grid_name: grid, name: torch.randn(int(grid.prod(1).sum()), values)}
    if grids[2] and config.model_type == "qwen2_5_vl" and r.random() < 0.8:
        given["second_per_grid_ts"] = torch.tensor([r.choice([0.5, 1.0, 1 / 3, 0.7]) for _ in grids[2]])
    if config.model_type == "qwen2_5_vl" and r.random() < 0.1:  # the reference then counts positions
        del given["mm_token_type_ids"]
    return given


def features(model, inputs):
    found = {}
    if "pixel_values" in inputs:
        seen = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
        found["image_embeds"] = torch.cat(seen.pooler_output)
    if "pixel_values_videos" in inputs:
        seen = model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"])
        found["video_embeds"] = torch.cat(seen.pooler_output)
    return found


def resume(config, inputs, row, ids):
    """Only of a single row: the media of one among several are not told apart."""
    if len(inputs["input_ids"]) > 1:
        return None
    given = inputs | {"input_ids": ids[None]}
    if "mm_token_type_ids" in inputs:
        types = inputs["mm_token_type_ids"]
        given["mm_token_type_ids"] = torch.cat([types, types.new_zeros(1, len(ids) - types.shape[1])], 1)
    return given


FAMILIES = {
    "qwen2_vl": Family(qwen2_vl, t.Qwen2VLForConditionalGeneration, inputs, features=features, resume=resume),
    "qwen2_5_vl": Family(qwen2_5_vl, t.Qwen2_5_VLForConditionalGeneration, inputs, features=features, resume=resume),
}

SMALL_TEXT = SMALL | dict(hidden_size=32)
GOLDENS = {
    "qwen2_vl": ("qwen2_vl", 20, lambda r: qwen2_vl(r, text=text_sizes(r, **SMALL_TEXT), depth=2, num_heads=2,
                                                    embed_dim=16, patch_size=2, spatial_merge_size=2)),
    "qwen2_5_vl": ("qwen2_5_vl", 35, lambda r: qwen2_5_vl(r, text=text_sizes(r, **SMALL_TEXT), depth=2, num_heads=2,
                                                          hidden_size=16, patch_size=2, spatial_merge_size=2,
                                                          window_size=8, fullatt_block_indexes=[1])),
}
