"""InternVL: as transformers writes it, and as OpenGVLab publishes it (InternVLChatModel), under other names."""

import json
import re

import torch
import transformers as t
from safetensors.torch import load_file, save_file

from families.common import SMALL, SMALL_HEADS, SMALL_TOWER, Family, noise, prompt
from families.decoders import llama, qwen2

CHAT_NAMES = [
    (r"vision_tower\.embeddings\.cls_token", "vision_model.embeddings.class_embedding"),
    (r"vision_tower\.embeddings\.patch_embeddings\.projection", "vision_model.embeddings.patch_embedding"),
    (r"vision_tower\.embeddings\.position_embeddings", "vision_model.embeddings.position_embedding"),
    (r"vision_tower\.encoder\.layer\.", "vision_model.encoder.layers."),
    (r"attention\.projection_layer", "attn.proj"),
    (r"\.attention\.", ".attn."),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"lambda_", "ls"),
    (r"multi_modal_projector\.layer_norm", "mlp1.0"),
    (r"multi_modal_projector\.linear_1", "mlp1.1"),
    (r"multi_modal_projector\.linear_2", "mlp1.3"),
]
INTERNLM2_NAMES = [
    (r"language_model\.model\.embed_tokens", "language_model.model.tok_embeddings"),
    (r"language_model\.lm_head", "language_model.output"),
    (r"self_attn\.o_proj", "attention.wo"),
    (r"input_layernorm", "attention_norm"),
    (r"post_attention_layernorm", "ffn_norm"),
    (r"mlp\.gate_proj", "feed_forward.w1"),
    (r"mlp\.up_proj", "feed_forward.w3"),
    (r"(language_model.*)mlp\.down_proj", r"\1feed_forward.w2"),
]


def intern_vit(r, shrink=2, **given):
    heads, patch = r.choice([2, 3]), r.choice([3, 4])
    side = shrink * r.choice([1, 2])
    size = patch * side + r.choice([0, 1])
    return t.InternVLVisionConfig(**(dict(
        hidden_size=heads * 8,
        intermediate_size=36,
        num_hidden_layers=r.choice([2, 3]),
        num_attention_heads=heads,
        image_size=[size, size],
        patch_size=[patch, patch],
        initializer_range=0.2,
        attention_bias=r.random() < 0.5,
        use_qk_norm=r.random() < 0.5,
        norm_type=r.choice(["layer_norm", "rms_norm"]),
        use_mean_pooling=r.random() < 0.5,
        use_absolute_position_embeddings=r.random() < 0.8,
    ) | given))


def internvl(r, vision=None, text=None, layer=None, shrink=None):
    shrink = shrink or r.choice([1, 2, 2, 4])
    vision = vision or intern_vit(r, shrink)
    text = text or r.choice([llama, qwen2])(r)
    return t.InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=text.vocab_size - 1,
        downsample_ratio=1 / shrink,
        vision_feature_layer=layer if layer is not None else r.choice([-1, -1, -2, 1, vision.num_hidden_layers]),
        projector_hidden_act=r.choice(["gelu", "silu"]),
        tie_word_embeddings=text.tie_word_embeddings,
    )


def internvl_chat(r, text=None, shrink=2, version=None, **given):
    """What InternVLChatModel can be: the reference's model, to be written in the original's names."""
    vision = intern_vit(r, shrink, use_mean_pooling=True, use_absolute_position_embeddings=True, **given)
    text = text or r.choice([lambda: llama(r, mlp_bias=False), lambda: qwen2(r)])()
    config = internvl(r, vision, text, shrink=shrink)
    config.projector_hidden_act = "gelu"
    config.ps_version = version or r.choice(["v1", "v2"])
    config.chat_decoder = "Qwen2ForCausalLM"
    if text.model_type == "llama":
        config.chat_decoder = r.choice(["LlamaForCausalLM", "InternLM2ForCausalLM"])
    return config


def shuffle_as_published(model):
    """Version 1 leaves rows and columns exchanged."""
    shuffle = model.model.pixel_shuffle
    if model.config.ps_version == "v1":
        model.model.pixel_shuffle = lambda x, scale_factor: shuffle(x, scale_factor).transpose(1, 2).contiguous()


def vary(key, parameter):
    """The class token and the positions too begin as all zeros."""
    if parameter.dim() < 2 or not parameter.any():
        noise(parameter)


def fuse(tensors, names, fused, groups):
    """Replaces tensors `...names` by one `...fused`, in which their rows alternate, `groups` times."""
    for name in [n for n in tensors if names[0] in n]:
        parts = [tensors.pop(name.replace(names[0], other)) for other in names]
        parts = [p.reshape(groups, p.shape[0] // groups, *p.shape[1:]) for p in parts]
        tensors[name.replace(names[0], fused)] = torch.cat(parts, 1).flatten(0, 1).contiguous()


def to_chat_tensors(tensors, config):
    fuse(tensors, [f"attention.{x}_proj." for x in "qkv"], "attn.qkv.", 1)
    names = CHAT_NAMES
    if config.chat_decoder == "InternLM2ForCausalLM":
        groups = config.text_config.num_key_value_heads
        fuse(tensors, [f"self_attn.{x}_proj." for x in "qkv"], "attention.wqkv.", groups)
        names = INTERNLM2_NAMES + [n for n in names if n[0] != r"\.attention\."]
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, to in names:
            name = re.sub(pattern, to, name)
        if ".attention." in name and name.startswith("vision_model"):
            name = name.replace(".attention.", ".attn.")
        renamed[name] = tensor
    return renamed


def to_chat_config(llm, config):
    """`llm` is the decoder's part of what the reference wrote."""
    vision = config.vision_config
    llm = llm | {"architectures": [config.chat_decoder]}
    if config.chat_decoder == "InternLM2ForCausalLM":
        scaling = llm.pop("rope_parameters")
        llm |= {"model_type": "internlm2", "bias": llm.pop("attention_bias"), "rope_theta": scaling["rope_theta"]}
        if scaling["rope_type"] != "default":
            llm["rope_scaling"] = scaling | {"type": scaling["rope_type"]}
            del llm["rope_scaling"]["rope_type"]
    llm["tie_word_embeddings"] = config.tie_word_embeddings
    eyes = dict(
        architectures=["InternVisionModel"],
        model_type="intern_vit_6b",
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        image_size=vision.image_size[0],
        patch_size=vision.patch_size[0],
        qkv_bias=vision.attention_bias,
        qk_normalization=vision.use_qk_norm,
        norm_type=vision.norm_type,
        layer_norm_eps=vision.layer_norm_eps,
        hidden_act=vision.hidden_act,
    )
    return dict(
        architectures=["InternVLChatModel"],
        model_type="internvl_chat",
        vision_config=eyes,
        llm_config=llm,
        select_layer=config.vision_feature_layer,
        downsample_ratio=config.downsample_ratio,
        ps_version=config.ps_version,
        force_image_size=vision.image_size[0],
        dynamic_image_size=True,
        use_thumbnail=True,
        min_dynamic_patch=1,
        max_dynamic_patch=12,
    )


def save_chat(model, folder, seed):
    """As OpenGVLab publishes such models; `reference/` keeps what the reference can read again."""
    config = model.config
    model.save_pretrained(folder)
    model.save_pretrained(folder / "reference")
    tensors = to_chat_tensors(load_file(folder / "model.safetensors"), config)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    llm = json.loads((folder / "config.json").read_text())["text_config"]
    (folder / "config.json").write_text(json.dumps(to_chat_config(llm, config), indent=1))
    (folder / "added_tokens.json").write_text(json.dumps({"<IMG_CONTEXT>": config.image_token_id}))


def inputs(config, r):
    vision = config.vision_config
    each = int((vision.image_size[0] // vision.patch_size[0]) * config.downsample_ratio) ** 2
    tiles = [r.choice([1, 3]) for _ in range(2)]
    values = torch.randn(sum(tiles), 3, *vision.image_size)
    return {"input_ids": prompt(config, [each * n for n in tiles], r), "pixel_values": values}


FAMILIES = {
    "internvl": Family(internvl, t.InternVLForConditionalGeneration, inputs, vary=vary),
    "internvl_chat": Family(internvl_chat, t.InternVLForConditionalGeneration, inputs, prepare=shuffle_as_published,
                            vary=vary, save=save_chat),
}

GOLDENS = {
    "internvl": ("internvl", 20, lambda r: internvl(
        r, intern_vit(r, **SMALL_TOWER, use_qk_norm=False, norm_type="layer_norm"), qwen2(r, **SMALL), -1, 2)),
    "internvl_norms": ("internvl", 21, lambda r: internvl(
        r, intern_vit(r, **SMALL_TOWER, use_qk_norm=True, norm_type="rms_norm", use_mean_pooling=False,
                      attention_bias=True), llama(r, "default", **SMALL_HEADS), -1, 2)),
    "internvl_chat_internlm2": ("internvl_chat", 28, lambda r: internvl_chat(
        r, llama(r, "dynamic", **SMALL_HEADS, mlp_bias=False), version="v1", **SMALL_TOWER)),
}
