"""LLaVA, and LLaVA-NeXT, which cuts its pictures into tiles."""

import types

import torch
import transformers as t
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from families.common import SMALL, SMALL_HEADS, Family, pixels, prompt
from families.decoders import llama, mistral, qwen2
from families.vision import clip_vision, siglip_vision


# The reference fails on a bare 0 as the feature layer; in a list it works.
def llava(r, vision=None, text=None, layer=None, strategy=None):
    vision = vision or r.choice([clip_vision, siglip_vision])(r)
    text = text or r.choice([llama, qwen2])(r)
    deep = vision.num_hidden_layers
    layer = layer if layer is not None else r.choice([-1, -2, 1, deep, -deep - 1, [0], [-2, -1], [0, 1, deep]])
    tied = text.tie_word_embeddings
    return t.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=text.vocab_size - 1,
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy or r.choice(["default", "full"]),
        projector_hidden_act=r.choice(["gelu", "silu"]),
        multimodal_projector_bias=r.random() < 0.7,
        tie_word_embeddings=tied,
    )


# SigLIP has no class token, so that the strategy "default" would take a patch away.
def llava_next(r, vision=None, text=None, layer=None):
    vision = vision or r.choice([clip_vision, siglip_vision])(r)
    text = text or r.choice([llama, mistral, qwen2])(r)
    grids = r.sample([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (2, 3)], r.choice([2, 4, 5]))
    deep = vision.num_hidden_layers
    return t.LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=text.vocab_size - 1,
        vision_feature_layer=layer if layer is not None else r.choice([-1, -2, 1, [-2, -1], [0, deep]]),
        vision_feature_select_strategy="default" if vision.model_type == "clip_vision_model" else "full",
        projector_hidden_act=r.choice(["gelu", "silu"]),
        multimodal_projector_bias=r.random() < 0.7,
        tie_word_embeddings=text.tie_word_embeddings,
        image_grid_pinpoints=[[h * vision.image_size, w * vision.image_size] for h, w in grids],
    )


def llava_inputs(config, r):
    vision = config.vision_config
    each = (vision.image_size // vision.patch_size) ** 2 + (vision.model_type == "clip_vision_model")
    each -= config.vision_feature_select_strategy == "default"
    return {"input_ids": prompt(config, [each, each], r), "pixel_values": pixels(vision, 2)}


def llava_next_inputs(config, r):
    vision, grids = config.vision_config, config.image_grid_pinpoints
    size = vision.image_size
    side = lambda: r.choice([1, r.randint(2, 3 * size), r.randint(2, 3 * size), 1000])
    sizes = [(side(), side()) for _ in range(r.choice([1, 2, 3]))]
    counter = object.__new__(t.LlavaNextProcessor)
    counter.patch_size, counter.num_additional_image_tokens = vision.patch_size, 0
    counter.image_processor = types.SimpleNamespace(image_grid_pinpoints=grids)
    counts = [counter._get_number_of_features(*s, size, size) for s in sizes]
    tiles = [image_size_to_num_patches(s, grids, size) for s in sizes]
    values = torch.randn(len(sizes), max(tiles), 3, size, size)
    if len(sizes) > 1 and r.random() < 0.3:  # all tiles in a row
        values = torch.cat([v[:n] for v, n in zip(values, tiles)])
    return {"input_ids": prompt(config, counts, r), "pixel_values": values, "image_sizes": torch.tensor(sizes)}


FAMILIES = {
    "llava": Family(llava, t.LlavaForConditionalGeneration, llava_inputs),
    "llava_next": Family(llava_next, t.LlavaNextForConditionalGeneration, llava_next_inputs),
}

GOLDENS = {
    "llava_clip_llama": ("llava", 11, lambda r: llava(r, clip_vision(r), llama(r, "default", **SMALL_HEADS), -2,
                                                      "default")),
    "llava_siglip_qwen2": ("llava", 12, lambda r: llava(r, siglip_vision(r, num_hidden_layers=2), qwen2(r, **SMALL),
                                                        -1, "full")),
    "llava_several_layers": ("llava", 13, lambda r: llava(r, clip_vision(r), qwen2(r, **SMALL), [0, -1], "full")),
    "llava_next_clip_llama": ("llava_next", 18, lambda r: llava_next(r, clip_vision(r),
                                                                     llama(r, "default", **SMALL_HEADS))),
    "llava_next_siglip_qwen2": ("llava_next", 19, lambda r: llava_next(r, siglip_vision(r, num_hidden_layers=2),
                                                                       qwen2(r, **SMALL), -1)),
}
