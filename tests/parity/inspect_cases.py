"""Parameters and floating-point operations of published shapes, counted by transformers on the meta device.

    python tests/parity/inspect_cases.py     writes tests/parity/golden/inspect/cases.json

Each case holds a config.json, thin as its publisher wrote it, and what the reference counts for it. Needs torch and
transformers; no weights.
"""

import copy
import json
import pathlib

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

OUTPUT = pathlib.Path(__file__).parent / "golden" / "inspect" / "cases.json"

LLAMA = dict(architectures=["LlamaForCausalLM"], model_type="llama")
CASES = {
    "llama2_7b": LLAMA | dict(max_position_embeddings=4096, torch_dtype="float16"),
    "llama32_1b": LLAMA
    | dict(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        vocab_size=128256,
        max_position_embeddings=131072,
        tie_word_embeddings=True,
        rope_theta=500000.0,
        rope_scaling=dict(
            factor=32.0,
            high_freq_factor=4.0,
            low_freq_factor=1.0,
            original_max_position_embeddings=8192,
            rope_type="llama3",
        ),
        torch_dtype="bfloat16",
    ),
    "llama31_70b": LLAMA
    | dict(
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
        torch_dtype="bfloat16",
    ),
    "llama_biases": LLAMA
    | dict(hidden_size=96, num_attention_heads=3, num_hidden_layers=2, attention_bias=True, mlp_bias=True, head_dim=20),
    "qwen25_0.5b": dict(
        architectures=["Qwen2ForCausalLM"],
        model_type="qwen2",
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        vocab_size=151936,
        tie_word_embeddings=True,
        torch_dtype="bfloat16",
    ),
    "llava15_7b": dict(
        architectures=["LlavaForConditionalGeneration"],
        model_type="llava",
        image_token_index=32000,
        text_config=dict(model_type="llama", max_position_embeddings=4096, torch_dtype="float16", vocab_size=32064),
        vision_config=dict(
            hidden_size=1024,
            image_size=336,
            intermediate_size=4096,
            model_type="clip_vision_model",
            num_attention_heads=16,
            num_hidden_layers=24,
            patch_size=14,
            projection_dim=768,
            vocab_size=32000,
        ),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ),
    "llava_default": dict(architectures=["LlavaForConditionalGeneration"], model_type="llava"),
    "llava_siglip_qwen2": dict(
        architectures=["LlavaForConditionalGeneration"],
        model_type="llava",
        image_token_index=9,
        text_config=dict(
            model_type="qwen2",
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=8,
            num_key_value_heads=2,
            vocab_size=1000,
        ),
        vision_config=dict(model_type="siglip_vision_model", hidden_size=192, num_hidden_layers=4, num_attention_heads=3),
        vision_feature_layer=[2, -1],
        vision_feature_select_strategy="full",
    ),
    "clip_vit_b32": dict(architectures=["CLIPModel"], model_type="clip"),
    "clip_vit_l14_336": dict(
        architectures=["CLIPModel"],
        model_type="clip",
        projection_dim=768,
        text_config=dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768),
        vision_config=dict(
            hidden_size=1024,
            image_size=336,
            intermediate_size=4096,
            num_attention_heads=16,
            num_hidden_layers=24,
            patch_size=14,
            projection_dim=768,
        ),
    ),
    "siglip_base": dict(
        architectures=["SiglipModel"],
        model_type="siglip",
        text_config=dict(model_type="siglip_text_model"),
        vision_config=dict(model_type="siglip_vision_model"),
    ),
    "siglip_so400m_384": dict(
        architectures=["SiglipModel"],
        model_type="siglip",
        text_config=dict(
            hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, vocab_size=32000
        ),
        vision_config=dict(
            hidden_size=1152,
            image_size=384,
            intermediate_size=4304,
            num_hidden_layers=27,
            num_attention_heads=16,
            patch_size=14,
        ),
    ),
    "clip_vision": dict(architectures=["CLIPVisionModel"], model_type="clip_vision_model", image_size=50),
    "siglip_vision": dict(
        architectures=["SiglipVisionModel"], model_type="siglip_vision_model", hidden_act="relu", vision_use_head=False
    ),
}


def build(case):
    given = {k: v for k, v in copy.deepcopy(case).items() if k not in ("architectures", "model_type")}
    config = transformers.AutoConfig.for_model(case["model_type"], **given)
    with torch.device("meta"):
        return getattr(transformers, case["architectures"][0])(config).eval()


def work(run):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def picture_work(case, model):
    """Of the layers that are used: the reference runs a LLaVA encoder to its end and drops what it does not need."""
    config = model.config
    vision = getattr(config, "vision_config", config)
    pixels = torch.empty(1, vision.num_channels, vision.image_size, vision.image_size, device="meta")
    if case["model_type"] != "llava":
        run = getattr(model, "get_image_features", model)
        return work(lambda: run(pixel_values=pixels))
    layers = config.vision_feature_layer
    layers = layers if isinstance(layers, list) else [layers]
    deepest = max(x if x >= 0 else vision.num_hidden_layers + 1 + x for x in layers)
    tower = model.model.vision_tower
    tower = getattr(tower, "vision_model", tower)
    del tower.encoder.layers[deepest:]
    tower.head = None
    tower.use_head = False
    features = work(lambda: tower(pixel_values=pixels))
    tokens = (vision.image_size // vision.patch_size) ** 2
    tokens += vision.model_type == "clip_vision_model" and config.vision_feature_select_strategy == "full"
    joined = torch.empty(1, tokens, vision.hidden_size * len(layers), device="meta")
    return features + work(lambda: model.model.multi_modal_projector(joined))


def count(case):
    model = build(case)
    told = dict(config=case, parameters=sum(p.numel() for p in model.parameters()))
    if hasattr(model, "generate") and case["model_type"] in ("llama", "qwen2", "llava"):
        told["flops_per_token"] = work(lambda: model(input_ids=torch.ones(1, 1, dtype=torch.long, device="meta")))
    if case["model_type"] not in ("llama", "qwen2"):
        told["flops_per_picture"] = picture_work(case, model)
    return told


if __name__ == "__main__":
    cases = {name: count(case) for name, case in CASES.items()}
    for name, told in cases.items():
        print(name, {k: v for k, v in told.items() if k != "config"})
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(cases, indent=1) + "\n")
