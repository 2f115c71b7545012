"""Published shapes: each a config.json, thin as its publisher wrote it. inspect_cases.py counts them."""


def family(architecture, model_type, **fields):
    return dict(architectures=[architecture], model_type=model_type, **fields)


def sizes(hidden, intermediate, layers, heads, **more):
    return dict(hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads, **more)


LLAMA = family("LlamaForCausalLM", "llama")
LLAMA3_ROPE = dict(
    factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192, rope_type="llama3"
)
CLIP_L = sizes(1024, 4096, 24, 16, patch_size=14, projection_dim=768)
VICUNA_7B = dict(model_type="llama", max_position_embeddings=4096, torch_dtype="float16", vocab_size=32064)
SO400M = sizes(1152, 4304, 27, 16)

DECODERS = {
    "llama2_7b": LLAMA | dict(max_position_embeddings=4096, torch_dtype="float16"),
    "llama32_1b": LLAMA
    | sizes(2048, 8192, 16, 32, num_key_value_heads=8, head_dim=64, vocab_size=128256)
    | dict(
        max_position_embeddings=131072,
        tie_word_embeddings=True,
        rope_theta=500000.0,
        rope_scaling=LLAMA3_ROPE | dict(factor=32.0),
        torch_dtype="bfloat16",
    ),
    "llama31_70b": LLAMA
    | sizes(8192, 28672, 80, 64, num_key_value_heads=8, vocab_size=128256)
    | dict(max_position_embeddings=131072, torch_dtype="bfloat16"),
    "llama_biases": LLAMA
    | dict(hidden_size=96, num_attention_heads=3, num_hidden_layers=2, attention_bias=True, mlp_bias=True, head_dim=20),
    "qwen25_0.5b": family("Qwen2ForCausalLM", "qwen2")
    | sizes(896, 4864, 24, 14, num_key_value_heads=2, vocab_size=151936)
    | dict(tie_word_embeddings=True, torch_dtype="bfloat16"),
    "mistral_7b": family("MistralForCausalLM", "mistral") | dict(torch_dtype="bfloat16"),
    "mistral_7b_v0.3": family("MistralForCausalLM", "mistral")
    | dict(vocab_size=32768, max_position_embeddings=32768, rope_theta=1e6, sliding_window=None, torch_dtype="bfloat16"),
    "mixtral_8x7b": family("MixtralForCausalLM", "mixtral")
    | sizes(4096, 14336, 32, 32, num_key_value_heads=8, vocab_size=32000)
    | dict(num_experts_per_tok=2, num_local_experts=8, max_position_embeddings=32768, rope_theta=1e6, torch_dtype="bfloat16"),
    "mixtral_8x22b": family("MixtralForCausalLM", "mixtral")
    | sizes(6144, 16384, 56, 48, num_key_value_heads=8, vocab_size=32768)
    | dict(num_experts_per_tok=2, num_local_experts=8, max_position_embeddings=65536, rope_theta=1e6, torch_dtype="bfloat16"),
    "opt_125m": family("OPTForCausalLM", "opt")
    | dict(hidden_size=768, ffn_dim=3072, num_hidden_layers=12, num_attention_heads=12, word_embed_proj_dim=768),
    "opt_350m": family("OPTForCausalLM", "opt")
    | dict(hidden_size=1024, ffn_dim=4096, num_hidden_layers=24, num_attention_heads=16, word_embed_proj_dim=512)
    | dict(do_layer_norm_before=False),
    "opt_6.7b": family("OPTForCausalLM", "opt")
    | dict(hidden_size=4096, ffn_dim=16384, num_hidden_layers=32, num_attention_heads=32, word_embed_proj_dim=4096),
}


def t5(width, hidden, layers, heads, key=64, **more):
    return family("T5ForConditionalGeneration", "t5") | dict(
        d_model=width, d_ff=hidden, num_layers=layers, num_decoder_layers=layers, num_heads=heads, d_kv=key, vocab_size=32128
    ) | more


FLAN = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
ENCODER_DECODERS = {
    "t5_small": t5(512, 2048, 6, 8),
    "t5_3b": t5(1024, 16384, 24, 32, 128),
    "flan_t5_small": t5(512, 1024, 8, 6, **FLAN),
    "flan_t5_base": t5(768, 2048, 12, 12, **FLAN),
    "flan_t5_xl": t5(2048, 5120, 24, 32, **FLAN),
    "flan_t5_xxl": t5(4096, 10240, 24, 64, **FLAN),
}

SIMILARITY = {
    "clip_vit_b32": family("CLIPModel", "clip"),
    "clip_vit_b16": family("CLIPModel", "clip", vision_config=dict(patch_size=16)),
    "clip_vit_l14_336": family(
        "CLIPModel",
        "clip",
        projection_dim=768,
        text_config=dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768),
        vision_config=CLIP_L | dict(image_size=336),
    ),
    "metaclip_h14": family(
        "CLIPModel",
        "clip",
        projection_dim=1024,
        text_config=sizes(1024, 4096, 24, 16, projection_dim=1024, hidden_act="gelu"),
        vision_config=sizes(1280, 5120, 32, 16, patch_size=14, projection_dim=1024, hidden_act="gelu"),
    ),
    "metaclip2_worldwide_h14": family(
        "MetaClip2Model",
        "metaclip_2",
        projection_dim=1024,
        text_config=sizes(1024, 4096, 24, 16, projection_dim=1024, vocab_size=901629, eos_token_id=2),
        vision_config=sizes(1280, 5120, 32, 16, patch_size=14, projection_dim=1024),
    ),
    "siglip_base": family(
        "SiglipModel",
        "siglip",
        text_config=dict(model_type="siglip_text_model"),
        vision_config=dict(model_type="siglip_vision_model"),
    ),
    "siglip_so400m_384": family(
        "SiglipModel",
        "siglip",
        text_config=SO400M | dict(vocab_size=32000),
        vision_config=SO400M | dict(image_size=384, patch_size=14),
    ),
    "siglip2_base_fixed": family("SiglipModel", "siglip", text_config=dict(vocab_size=256000), vision_config={}),
    "siglip2_base_naflex": family("Siglip2Model", "siglip2", text_config=dict(vocab_size=256000), vision_config={}),
    "siglip2_so400m_naflex": family(
        "Siglip2Model", "siglip2", text_config=SO400M | dict(vocab_size=256000), vision_config=SO400M
    ),
    "siglip2_vision": family("Siglip2VisionModel", "siglip2_vision_model", num_patches=64, patch_size=14),
    "clip_vision": family("CLIPVisionModel", "clip_vision_model", image_size=50),
    "siglip_vision": family("SiglipVisionModel", "siglip_vision_model", hidden_act="relu", vision_use_head=False),
    "vit_base": family("ViTModel", "vit"),
    "vit_large_imagenet": family("ViTForImageClassification", "vit")
    | sizes(1024, 4096, 24, 16)
    | dict(id2label={str(i): f"c{i}" for i in range(10)}),
    "vit_huge": family("ViTModel", "vit") | sizes(1280, 5120, 32, 16, patch_size=14),
    "dinov2_base": family("Dinov2Model", "dinov2", image_size=518),
    "dinov2_giant": family("Dinov2Model", "dinov2", image_size=518)
    | dict(hidden_size=1536, num_hidden_layers=40, num_attention_heads=24, use_swiglu_ffn=True),
    "dinov2_small_classes": family("Dinov2ForImageClassification", "dinov2", image_size=518)
    | dict(hidden_size=384, num_attention_heads=6, id2label={str(i): f"c{i}" for i in range(10)}),
}

LLAVA = {
    "llava15_7b": family(
        "LlavaForConditionalGeneration",
        "llava",
        image_token_index=32000,
        text_config=VICUNA_7B,
        vision_config=CLIP_L | dict(image_size=336, model_type="clip_vision_model", vocab_size=32000),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ),
    "llava_default": family("LlavaForConditionalGeneration", "llava"),
    "llava_siglip_qwen2": family(
        "LlavaForConditionalGeneration",
        "llava",
        image_token_index=9,
        text_config=sizes(128, 256, 3, 8, num_key_value_heads=2, vocab_size=1000, model_type="qwen2"),
        vision_config=dict(model_type="siglip_vision_model", hidden_size=192, num_hidden_layers=4, num_attention_heads=3),
        vision_feature_layer=[2, -1],
        vision_feature_select_strategy="full",
    ),
    "llava_next_vicuna_7b": family(
        "LlavaNextForConditionalGeneration",
        "llava_next",
        image_grid_pinpoints=[[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        image_token_index=32000,
        text_config=VICUNA_7B,
        vision_config=CLIP_L | dict(image_size=336, model_type="clip_vision_model", vocab_size=32000),
    ),
    "llava_next_34b": family(
        "LlavaNextForConditionalGeneration",
        "llava_next",
        image_grid_pinpoints=[[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
        image_token_index=64000,
        text_config=sizes(7168, 20480, 60, 56, num_key_value_heads=8, vocab_size=64064, model_type="llama")
        | dict(max_position_embeddings=4096, torch_dtype="bfloat16"),
        vision_config=CLIP_L | dict(image_size=336, model_type="clip_vision_model", vocab_size=32000),
        use_image_newline_parameter=True,
    ),
}

INTERN_VIT_300M = sizes(1024, 4096, 24, 16, image_size=448, patch_size=14)
INTERN_CHAT_VISION = INTERN_VIT_300M | dict(
    model_type="intern_vit_6b", qkv_bias=True, qk_normalization=False, norm_type="layer_norm"
)
INTERNLM2_7B = sizes(4096, 14336, 32, 32, num_key_value_heads=8, vocab_size=92553, max_position_embeddings=32768)
QWEN25_05B = sizes(896, 4864, 24, 14, num_key_value_heads=2, vocab_size=151674, model_type="qwen2")


def internvl_chat(text, vision=INTERN_CHAT_VISION, **more):
    tiles = dict(dynamic_image_size=True, use_thumbnail=True, min_dynamic_patch=1, max_dynamic_patch=12)
    return family("InternVLChatModel", "internvl_chat", llm_config=text, vision_config=vision, select_layer=-1, **tiles) | more


def internvl(text, **vision):
    return family(
        "InternVLForConditionalGeneration",
        "internvl",
        text_config=text,
        vision_config=sizes(1024, 4096, 24, 16, attention_bias=True, **vision),
        image_token_id=151667 if text["vocab_size"] > 151667 else 92546,
        tie_word_embeddings=False,
    )


INTERNVL = {
    "internvl25_1b": internvl_chat(
        QWEN25_05B | dict(architectures=["Qwen2ForCausalLM"], tie_word_embeddings=False, torch_dtype="bfloat16")
    ),
    "internvl2_8b": internvl_chat(
        INTERNLM2_7B | dict(architectures=["InternLM2ForCausalLM"], model_type="internlm2", bias=False)
    ),
    "internvl3_1b_hf": internvl(QWEN25_05B),
}
# What transformers calls the published form of its own.
COUNTED_AS = {
    "internvl25_1b": internvl(QWEN25_05B),
    "internvl2_8b": internvl(INTERNLM2_7B | dict(model_type="llama")),
}

MLLAMA_TEXT = sizes(
    4096, 14336, 40, 32, num_key_value_heads=8, vocab_size=128256, max_position_embeddings=131072, model_type="mllama_text_model"
) | dict(
    cross_attention_layers=[3, 8, 13, 18, 23, 28, 33, 38], rope_theta=500000.0, rope_scaling=LLAMA3_ROPE, torch_dtype="bfloat16"
)
MLLAMA_VISION = dict(image_size=560, max_num_tiles=4, model_type="mllama_vision_model", vision_output_dim=7680)
MLLAMA = {
    "llama32_11b_vision": family(
        "MllamaForConditionalGeneration",
        "mllama",
        image_token_index=128256,
        text_config=MLLAMA_TEXT,
        vision_config=MLLAMA_VISION,
    ),
    "llama32_90b_vision": family(
        "MllamaForConditionalGeneration",
        "mllama",
        image_token_index=128256,
        text_config=MLLAMA_TEXT
        | sizes(8192, 28672, 100, 64)
        | dict(cross_attention_layers=list(range(3, 100, 5))),
        vision_config=MLLAMA_VISION,
    ),
}


def qwen(version, hidden, intermediate, layers, heads, groups, vocabulary, tied, vision):
    architecture = "Qwen2VLForConditionalGeneration" if version == "qwen2_vl" else "Qwen2_5_VLForConditionalGeneration"
    return family(architecture, version, vision_config=vision, tie_word_embeddings=tied, vocab_size=vocabulary) | sizes(
        hidden, intermediate, layers, heads, num_key_value_heads=groups
    ) | dict(
        image_token_id=151655,
        video_token_id=151656,
        vision_start_token_id=151652,
        vision_end_token_id=151653,
        max_position_embeddings=32768,
        rope_theta=1e6,
        rope_scaling=dict(type="mrope", mrope_section=[16, 24, 24]),
        torch_dtype="bfloat16",
    )


def qwen25_vision(out, **more):
    return dict(depth=32, hidden_act="silu", hidden_size=1280, num_heads=16, out_hidden_size=out, window_size=112) | more


QWEN = {
    "qwen2_vl_2b": qwen("qwen2_vl", 1536, 8960, 28, 12, 2, 151936, True, dict(depth=32, embed_dim=1280, hidden_size=1536)),
    "qwen2_vl_7b": qwen("qwen2_vl", 3584, 18944, 28, 28, 4, 152064, False, dict(depth=32, embed_dim=1280, hidden_size=3584)),
    "qwen2_vl_72b": qwen("qwen2_vl", 8192, 29568, 80, 64, 8, 152064, False, dict(depth=32, embed_dim=1280, hidden_size=8192)),
    "qwen25_vl_3b": qwen("qwen2_5_vl", 2048, 11008, 36, 16, 2, 151936, True, qwen25_vision(2048, intermediate_size=3420)),
    "qwen25_vl_7b": qwen("qwen2_5_vl", 3584, 18944, 28, 28, 4, 152064, False, qwen25_vision(3584, intermediate_size=3420)),
    "qwen25_vl_72b": qwen("qwen2_5_vl", 8192, 29568, 80, 64, 8, 152064, False, qwen25_vision(8192, intermediate_size=3456)),
}

LLAMA4_TEXT = sizes(
    5120, 8192, 48, 40, num_key_value_heads=8, vocab_size=202048, head_dim=128, model_type="llama4_text"
) | dict(
    intermediate_size_mlp=16384,
    num_experts_per_tok=1,
    interleave_moe_layer_step=1,
    rope_theta=500000.0,
    torch_dtype="bfloat16",
)
LLAMA4_VISION = sizes(1408, 5632, 34, 16, image_size=336, patch_size=14, model_type="llama4_vision_model") | dict(
    projector_input_dim=4096, projector_output_dim=4096, vision_output_dim=4096
)


def llama4(**text):
    return family(
        "Llama4ForConditionalGeneration",
        "llama4",
        image_token_index=200092,
        text_config=LLAMA4_TEXT | text,
        vision_config=LLAMA4_VISION,
    )


LLAMA4 = {
    "llama4_scout": llama4(num_local_experts=16, max_position_embeddings=10485760),
    "llama4_maverick": llama4(
        num_local_experts=128, max_position_embeddings=1048576, interleave_moe_layer_step=2, use_qk_norm=False
    ),
}

TEXT_PARTS = {
    "llama4_scout_text": family("Llama4ForCausalLM", "llama4_text") | LLAMA4_TEXT | dict(num_local_experts=16),
    "llama32_11b_text": family("MllamaForCausalLM", "mllama_text_model") | MLLAMA_TEXT,
}

BLIP_VISION = dict(image_size=224, patch_size=14)
OPT_27B = dict(
    model_type="opt",
    hidden_size=2560,
    ffn_dim=10240,
    num_hidden_layers=32,
    num_attention_heads=32,
    word_embed_proj_dim=2560,
    vocab_size=50304,
)
OPT_67B = OPT_27B | dict(hidden_size=4096, ffn_dim=16384, word_embed_proj_dim=4096)
FLAN_XL = {k: v for k, v in ENCODER_DECODERS["flan_t5_xl"].items() if k != "architectures"}


def queries(architecture, model_type, text, **more):
    return family(
        architecture, model_type, vision_config=BLIP_VISION, qformer_config={}, text_config=text, num_query_tokens=32, **more
    )


QUERIES = {
    "blip2_opt_2.7b": queries("Blip2ForConditionalGeneration", "blip-2", OPT_27B, image_token_index=50265),
    "blip2_opt_6.7b": queries("Blip2ForConditionalGeneration", "blip-2", OPT_67B, image_token_index=50265),
    "blip2_flan_t5_xl": queries("Blip2ForConditionalGeneration", "blip-2", FLAN_XL, image_token_index=32100),
    "blip2_itm_vit_g": family(
        "Blip2ForImageTextRetrieval",
        "blip-2",
        vision_config=BLIP_VISION,
        qformer_config=dict(use_qformer_text_input=True, vocab_size=30523),
        num_query_tokens=32,
    ),
    "instructblip_vicuna_7b": queries(
        "InstructBlipForConditionalGeneration",
        "instructblip",
        dict(model_type="llama", vocab_size=32001, max_position_embeddings=2048),
        image_token_index=32000,
    ),
    "instructblip_flan_t5_xl": queries(
        "InstructBlipForConditionalGeneration", "instructblip", FLAN_XL, image_token_index=32100
    ),
}

CASES = DECODERS | ENCODER_DECODERS | SIMILARITY | LLAVA | INTERNVL | MLLAMA | QWEN | LLAMA4 | TEXT_PARTS | QUERIES
