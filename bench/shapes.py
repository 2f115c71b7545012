"""What bench/side_by_side.py and bench/peers measure: models of published layer sizes, most with few layers, as
transformers builds them, and what their encoders take."""

from dataclasses import dataclass, field

import transformers as t

LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@dataclass(frozen=True)
class Shape:
    """`build()` gives a configuration, `cls` its model; of an encoder also `image` (width, height), what it takes of
    such a picture (name -> torch.Tensor) and how the reference runs it."""
    cls: type
    build: callable
    image: tuple[int, int] | None = None
    inputs: callable = None
    encode: callable = None
    decoder: callable = field(default=lambda model: model)  # what continues a text


def llama(**sizes):
    return t.LlamaConfig(max_position_embeddings=131072, rms_norm_eps=1e-5, tie_word_embeddings=True,
                         rope_parameters=LLAMA3_ROPE, bos_token_id=0, eos_token_id=1, **sizes)


def vicuna_7b(layers):
    return t.LlamaConfig(vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=layers,
                         num_attention_heads=32, num_key_value_heads=32, rms_norm_eps=1e-5)


def llava_next():
    """LLaVA-NeXT (v1.6, Vicuna 7B): CLIP ViT-L/14 at 336 pixels."""
    vision = t.CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, num_attention_heads=16,
                                image_size=336, patch_size=14, projection_dim=768)
    return t.LlavaNextConfig(vision_config=vision, text_config=vicuna_7b(2), image_token_index=32000,
                             image_grid_pinpoints=[[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]])


def qwen2_5_vl(layers=4, depth=4, full=(3,)):
    """Qwen2.5-VL 3B."""
    vision = dict(hidden_size=1280, intermediate_size=3420, depth=depth, num_heads=16, out_hidden_size=2048,
                  fullatt_block_indexes=list(full), window_size=112, patch_size=14)
    text = dict(vocab_size=151936, hidden_size=2048, intermediate_size=11008, num_hidden_layers=layers,
                num_attention_heads=16, num_key_value_heads=2, tie_word_embeddings=True,
                rope_parameters={"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]})
    return t.Qwen2_5_VLConfig(vision_config=vision, text_config=text, tie_word_embeddings=True)


def qwen2_5_vl_tiny():
    vision = dict(hidden_size=128, intermediate_size=256, depth=4, num_heads=2, out_hidden_size=256,
                  fullatt_block_indexes=[1, 3], window_size=112, patch_size=14)
    text = dict(vocab_size=1024, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, tie_word_embeddings=True,
                rope_parameters={"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]})
    return t.Qwen2_5_VLConfig(vision_config=vision, text_config=text, tie_word_embeddings=True, image_token_id=1000,
                              video_token_id=1001, vision_start_token_id=1002, vision_end_token_id=1003)


def siglip(width, inner, layers, heads, side):
    """A SigLIP encoder in front of a decoder too small to matter, as LLaVA joins them."""
    vision = t.SiglipVisionConfig(hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                                  num_attention_heads=heads, image_size=side, patch_size=14, vision_use_head=False)
    text = t.LlamaConfig(vocab_size=1024, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2)
    return t.LlavaConfig(vision_config=vision, text_config=text, image_token_index=1000, vision_feature_layer=-1,
                         vision_feature_select_strategy="full", image_seq_length=(side // 14) ** 2)


def mllama():
    """Llama 3.2 Vision 11B: one layer in five looks at the picture."""
    vision = t.MllamaVisionConfig(hidden_size=1280, intermediate_size=5120, num_hidden_layers=5, num_global_layers=1,
                                  attention_heads=16, image_size=560, patch_size=14, max_num_tiles=4,
                                  intermediate_layers_indices=[0, 1, 2, 3, 4], vision_output_dim=7680)
    text = t.MllamaTextConfig(vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=3,
                              num_attention_heads=32, num_key_value_heads=8, cross_attention_layers=[1],
                              rope_parameters=LLAMA3_ROPE)
    return t.MllamaConfig(vision_config=vision, text_config=text, image_token_index=128256)


def blip2():
    """BLIP-2 over OPT 2.7B: EVA's ViT-g/14 and 32 queries."""
    vision = t.Blip2VisionConfig(hidden_size=1408, intermediate_size=6144, num_hidden_layers=6, num_attention_heads=16,
                                 image_size=224, patch_size=14)
    queries = t.Blip2QFormerConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=4, num_attention_heads=12,
                                   encoder_hidden_size=1408)
    text = t.OPTConfig(vocab_size=50304, hidden_size=2560, ffn_dim=10240, num_hidden_layers=4, num_attention_heads=32,
                       word_embed_proj_dim=2560)
    return t.Blip2Config(vision_config=vision, qformer_config=queries, text_config=text, num_query_tokens=32)


def mixtral(experts, layers=4, width=1024, inner=3584):
    return t.MixtralConfig(vocab_size=32000, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
                           num_attention_heads=width // 64, num_key_value_heads=4, num_local_experts=experts,
                           num_experts_per_tok=2, sliding_window=None, tie_word_embeddings=True)


def dense_as_active(layers=4):
    """As wide as two of the experts above."""
    return t.LlamaConfig(vocab_size=32000, hidden_size=1024, intermediate_size=2 * 3584, num_hidden_layers=layers,
                         num_attention_heads=16, num_key_value_heads=4, tie_word_embeddings=True)


def tiles(torch, count, side):
    return torch.randn(1, count, 3, side, side)


def llava_next_inputs(torch):
    return {"pixel_values": tiles(torch, 5, 336), "image_sizes": torch.tensor([[672, 672]])}


def qwen_inputs(torch):
    return {"pixel_values": torch.randn(64 * 64, 3 * 2 * 14 * 14), "image_grid_thw": torch.tensor([[1, 64, 64]])}


def qwen_tiny_inputs(torch):
    return {"pixel_values": torch.randn(16 * 16, 3 * 2 * 14 * 14), "image_grid_thw": torch.tensor([[1, 16, 16]])}


def mllama_inputs(torch):
    return {"pixel_values": tiles(torch, 4, 560).unsqueeze(1), "aspect_ratio_ids": torch.tensor([[6]]),
            "aspect_ratio_mask": torch.ones(1, 1, 4, dtype=torch.long)}


def mllama_encode(model, inputs):
    states = model.model.vision_model(**inputs).last_hidden_state
    return model.model.multi_modal_projector(states)


def features(model, inputs):
    return model.get_image_features(**inputs)


def blip2_encode(model, inputs):
    states = model.vision_model(**inputs).last_hidden_state
    queries = model.query_tokens.expand(states.shape[0], -1, -1)
    return model.language_projection(model.qformer(query_embeds=queries, encoder_hidden_states=states)[0])


SHAPES = {
    "llama-3.2-1b": Shape(t.LlamaForCausalLM, lambda: llama(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        head_dim=64, vocab_size=128256)),
    # For trying the script itself.
    "tiny": Shape(t.LlamaForCausalLM, lambda: llama(
        hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=64, vocab_size=1024)),
    "tiny-qwen2.5-vl": Shape(t.Qwen2_5_VLForConditionalGeneration, qwen2_5_vl_tiny, (224, 224), qwen_tiny_inputs,
                             features),
    "tiny-siglip": Shape(t.LlavaForConditionalGeneration, lambda: siglip(144, 256, 3, 2, 112), (112, 112),
                         lambda torch: {"pixel_values": tiles(torch, 1, 112)[0]}, features),
    "tiny-experts": Shape(t.MixtralForCausalLM, lambda: mixtral(4, layers=1, width=256, inner=512)),
    # The published sizes, every layer.
    "qwen2.5-vl-3b": Shape(t.Qwen2_5_VLForConditionalGeneration, lambda: qwen2_5_vl(36, 32, (7, 15, 23, 31)),
                           (896, 896), qwen_inputs, features),
    "siglip-so400m": Shape(t.LlavaForConditionalGeneration, lambda: siglip(1152, 4304, 27, 16, 384), (384, 384),
                           lambda torch: {"pixel_values": tiles(torch, 1, 384)[0]}, features),
    "llava-next": Shape(t.LlavaNextForConditionalGeneration, llava_next, (672, 672), llava_next_inputs, features),
    "qwen2.5-vl": Shape(t.Qwen2_5_VLForConditionalGeneration, qwen2_5_vl, (896, 896), qwen_inputs, features),
    "llama-3.2-vision": Shape(t.MllamaForConditionalGeneration, mllama, (1120, 1120), mllama_inputs, mllama_encode),
    "blip-2": Shape(t.Blip2ForConditionalGeneration, blip2, (224, 224),
                    lambda torch: {"pixel_values": tiles(torch, 1, 224)[0]}, blip2_encode,
                    lambda model: model.language_model),
    # The same layers, and two experts of 4 or of 32; and one feed-forward as wide as two of them.
    "experts-4": Shape(t.MixtralForCausalLM, lambda: mixtral(4)),
    "experts-32": Shape(t.MixtralForCausalLM, lambda: mixtral(32)),
    "experts-dense": Shape(t.LlamaForCausalLM, dense_as_active),
}
