"""NVLM_D as NVIDIA publishes it: InternVL's second form with heads that are dummies and another connector."""

import json

import transformers as t
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from families.common import SMALL, SMALL_TOWER, Family
from families.decoders import qwen2
from families.internvl import inputs, internvl_chat, save_chat, shuffle_as_published
from families.internvl import vary as vary_internvl

DUMMY_HEADS = 7


class Attention(nn.Module):
    """With 7 heads more than the width has; what they are does not count in the mean square of queries and keys."""

    def __init__(self, config):
        super().__init__()
        width, self.head = config.hidden_size, config.hidden_size // config.num_attention_heads
        every = (config.num_attention_heads + DUMMY_HEADS) * self.head
        self.width, self.epsilon = width, config.layer_norm_eps
        for name in "qkv":
            setattr(self, f"{name}_proj", nn.Linear(width, every, bias=config.attention_bias))
        self.projection_layer = nn.Linear(every, width)
        if config.use_qk_norm:
            self.q_norm, self.k_norm = (nn.RMSNorm(every) for _ in range(2))

    def normed(self, norm, x):
        real = x[..., : self.width]
        return x / (real.square().mean(-1, keepdim=True) + self.epsilon).sqrt() * norm.weight

    def forward(self, hidden_states, **_):
        query, key, value = (getattr(self, f"{name}_proj")(hidden_states) for name in "qkv")
        if hasattr(self, "q_norm"):
            query, key = self.normed(self.q_norm, query), self.normed(self.k_norm, key)
        heads = [x.unflatten(-1, (-1, self.head)).transpose(1, 2) for x in (query, key, value)]
        return self.projection_layer(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)), None


class Connector(nn.Module):
    def __init__(self, config):
        super().__init__()
        wide = config.vision_config.hidden_size * round(1 / config.downsample_ratio) ** 2
        between = config.text_config.intermediate_size
        self.layer_norm = nn.LayerNorm(wide)
        self.linear_1 = nn.Linear(wide, between, bias=False)
        self.linear_2 = nn.Linear(between, config.text_config.hidden_size, bias=False)

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(self.layer_norm(x))))


def become_nvlm(model):
    shuffle_as_published(model)
    for layer in model.model.vision_tower.encoder.layer:
        layer.attention = Attention(model.config.vision_config)
    model.model.multi_modal_projector = Connector(model.config)


def nvlm_d(r, text=None, **given):
    config = internvl_chat(r, text or qwen2(r), **given)
    config.chat_decoder = "Qwen2ForCausalLM"
    return config


def vary(key, parameter):
    """All are what 16 bits hold, for small files."""
    vary_internvl(key, parameter)
    parameter.copy_(parameter.half())


def save(model, folder, seed):
    save_chat(model, folder, seed)
    tensors = {name: value.half() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"architectures": ["NVLM_D"], "model_type": "NVLM_D"}
    path.write_text(json.dumps(config, indent=1))
    (folder / "added_tokens.json").write_text(json.dumps({"<|vision_pad|>": model.config.image_token_id}))


# The reference cannot be read again: a sequence that differs is not looked at for near ties.
FAMILIES = {
    "nvlm_d_published": Family(nvlm_d, t.InternVLForConditionalGeneration, inputs, prepare=become_nvlm, vary=vary,
                               save=save, resume=lambda *_: None),
}

GOLDENS = {
    "nvlm_d_published": ("nvlm_d_published", 29, lambda r: nvlm_d(
        r, qwen2(r, **(SMALL | dict(num_hidden_layers=1))), version="v2", **(SMALL_TOWER | dict(hidden_size=8, num_hidden_layers=1)), use_qk_norm=True,
        norm_type="rms_norm")),
}
