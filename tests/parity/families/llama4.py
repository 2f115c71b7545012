"""Llama 4: the text's decoder, and with its vision encoder."""

import transformers as t

from families.common import SMALL_HEADS, Family, decoder, pixels, prompt, rope, words


def llama4_text(r, **given):
    sizes = decoder(r) | dict(
        num_hidden_layers=r.choice([2, 3, 4]),
        intermediate_size_mlp=44,
        head_dim=r.choice([8, 12]),
        num_local_experts=r.choice([3, 4]),
        num_experts_per_tok=r.choice([1, 1, 2]),
        interleave_moe_layer_step=r.choice([1, 2]),
        attention_chunk_size=r.choice([4, 5, 9]),
        no_rope_layer_interval=r.choice([2, 3, 4]),
        floor_scale=r.choice([3, 8192]),
        attn_scale=0.3,
        attn_temperature_tuning=r.random() < 0.8,
        use_qk_norm=r.random() < 0.7,
        attention_bias=r.random() < 0.3,
        rope_parameters=rope(r.choice(["default", "llama3"]), 5e5),
    )
    return t.Llama4TextConfig(**(sizes | given))


def llama4(r, text=None, **given):
    heads, shuffle, out = r.choice([2, 3]), r.choice([1, 2]), r.choice([20, 28])
    width, patch = heads * r.choice([8, 12]), r.choice([3, 4])
    vision = t.Llama4VisionConfig(**(dict(
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=2,
        intermediate_size=width * shuffle**2,
        pixel_shuffle_ratio=1 / shuffle,
        patch_size=patch,
        image_size=4 * patch + r.choice([0, 1]),
        projector_input_dim=out,
        projector_output_dim=out,
        vision_output_dim=out,
        initializer_range=0.2,
    ) | given))
    text = text or llama4_text(r)
    return t.Llama4Config(vision_config=vision, text_config=text, image_token_index=text.vocab_size - 1,
                          boi_token_index=text.vocab_size - 2, eoi_token_index=text.vocab_size - 3)


def llama4_inputs(config, r):
    """Two tiles with words around them."""
    vision = config.vision_config
    each = int((vision.image_size // vision.patch_size * vision.pixel_shuffle_ratio) ** 2)
    return {"input_ids": prompt(config, [each, each], r), "pixel_values": pixels(vision, 2)}


FAMILIES = {
    "llama4_text": Family(llama4_text, t.Llama4ForCausalLM, words),
    "llama4": Family(llama4, t.Llama4ForConditionalGeneration, llama4_inputs),
}

SMALL_TEXT = SMALL_HEADS | dict(num_hidden_layers=4, intermediate_size=16, intermediate_size_mlp=20,
                                num_local_experts=3, num_experts_per_tok=1, floor_scale=3, attention_chunk_size=5,
                                tie_word_embeddings=False, attn_temperature_tuning=True, use_qk_norm=True,
                                no_rope_layer_interval=4)
SMALL_TEXT_TO_SEE = SMALL_TEXT | dict(num_hidden_layers=2, no_rope_layer_interval=2)
SMALL_VISION = dict(hidden_size=16, num_attention_heads=2, intermediate_size=64, pixel_shuffle_ratio=0.5, patch_size=3,
                    image_size=13, projector_input_dim=20, projector_output_dim=20, vision_output_dim=20)
GOLDENS = {
    "llama4_text": ("llama4_text", 20, lambda r: llama4_text(r, **SMALL_TEXT)),
    "llama4_text_dense": ("llama4_text", 21, lambda r: llama4_text(
        r, **(SMALL_TEXT | dict(moe_layers=[1], no_rope_layers=[0, 1, 1, 0], num_experts_per_tok=2,
                                use_qk_norm=False, attention_chunk_size=7)))),
    "llama4": ("llama4", 22, lambda r: llama4(r, llama4_text(r, **SMALL_TEXT_TO_SEE), **SMALL_VISION)),
    "llama4_tied": ("llama4", 23, lambda r: llama4(
        r, llama4_text(r, **SMALL_TEXT_TO_SEE | dict(tie_word_embeddings=True)), **SMALL_VISION)),
}
