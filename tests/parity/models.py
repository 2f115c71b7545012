"""Tiny random checkpoints made by transformers, and what transformers computes with them.

    python tests/parity/models.py golden             writes tests/parity/golden/models/
    python tests/parity/models.py check BINARY [N]   compares `nuri forward` with N random cases of every family

Needs torch, transformers and safetensors; Nuri itself does not.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers as t
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent / "golden" / "models"


def decoder(r, **given):
    heads, kv = r.choice([(2, 2), (4, 2), (4, 1), (6, 3)])
    head_dim = r.choice([8, 12, 16])
    return dict(
        vocab_size=r.choice([71, 96, 113]),
        hidden_size=heads * head_dim,
        intermediate_size=r.choice([40, 56]),
        num_hidden_layers=r.choice([1, 2, 3]),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=64,
        rms_norm_eps=r.choice([1e-5, 1e-6]),
        initializer_range=0.2,
        tie_word_embeddings=r.random() < 0.4,
    ) | given


def rope(kind, theta=10000.0):
    if kind == "default":
        return {"rope_type": "default", "rope_theta": theta}
    extra = {"factor": 4.0}
    if kind == "llama3":
        extra |= dict(low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    return {"rope_type": kind, "rope_theta": theta} | extra


def llama(r, kind=None, **given):
    kind = kind or r.choice(["default", "linear", "dynamic", "llama3"])
    bias = r.random() < 0.4
    sizes = decoder(r) | dict(attention_bias=bias, mlp_bias=bias, rope_parameters=rope(kind, r.choice([1e4, 5e5])))
    if kind == "dynamic":
        sizes["max_position_embeddings"] = 12
    if r.random() < 0.3:
        sizes["head_dim"] = 2 * r.choice([3, 5, 8])
    return t.LlamaConfig(**(sizes | given))


def qwen2(r, **given):
    window = dict(use_sliding_window=True, sliding_window=5, max_window_layers=1) if r.random() < 0.5 else {}
    return t.Qwen2Config(**(decoder(r) | window | given))


def tower(r):
    heads = r.choice([2, 3])
    patch = r.choice([4, 6])
    return dict(
        hidden_size=heads * 8,
        intermediate_size=36,
        num_hidden_layers=r.choice([2, 3]),
        num_attention_heads=heads,
        image_size=patch * r.choice([2, 3]) + r.choice([0, 1]),
        patch_size=patch,
        initializer_range=0.2,
    )


def clip_vision(r):
    return t.CLIPVisionConfig(**tower(r), projection_dim=16, hidden_act=r.choice(["quick_gelu", "gelu"]))


def siglip_vision(r, **given):
    return t.SiglipVisionConfig(**(tower(r) | given))


def text_tower(r):
    return dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=50,
                max_position_embeddings=12)


def clip(r):
    text = t.CLIPTextConfig(**text_tower(r), eos_token_id=r.choice([2, 49]), projection_dim=16)
    return t.CLIPConfig(vision_config=clip_vision(r).to_dict(), text_config=text.to_dict(), projection_dim=16)


def siglip(r):
    vision = siglip_vision(r)
    text = t.SiglipTextConfig(**text_tower(r), projection_size=vision.hidden_size)
    return t.SiglipConfig(vision_config=vision.to_dict(), text_config=text.to_dict())


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


MODELS = {
    "llama": (llama, t.LlamaForCausalLM),
    "qwen2": (qwen2, t.Qwen2ForCausalLM),
    "clip_vision": (clip_vision, t.CLIPVisionModel),
    "siglip_vision": (siglip_vision, t.SiglipVisionModel),
    "clip": (clip, t.CLIPModel),
    "siglip": (siglip, t.SiglipModel),
    "llava": (llava, t.LlavaForConditionalGeneration),
}


def pixels(config, count):
    return torch.randn(count, 3, config.image_size, config.image_size)


def tokens_per_picture(config):
    vision = config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2 + (vision.model_type == "clip_vision_model")
    return tokens - (config.vision_feature_select_strategy == "default")


def inputs_for(family, config, r):
    if family.endswith("_vision"):
        return {"pixel_values": pixels(config, 2)}
    if family in ("clip", "siglip"):
        ids = torch.randint(3, 49, (3, 12 if family == "siglip" else 9))
        ids[:, -1] = 49
        return {"input_ids": ids, "pixel_values": pixels(config.vision_config, 2)}
    if family == "llava":
        each = tokens_per_picture(config)
        last = config.text_config.vocab_size - 1
        row = lambda: torch.randint(0, last, (r.randint(1, 4),)).tolist()
        ids = row() + [last] * each + row() + [last] * each + row()
        return {"input_ids": torch.tensor([ids]), "pixel_values": pixels(config.vision_config, 2)}
    batch, length = r.choice([(1, 19), (2, 13), (3, 7)])
    inputs = {"input_ids": torch.randint(0, config.vocab_size, (batch, length))}
    if batch > 1:
        mask = torch.ones(batch, length, dtype=torch.long)
        mask[1, :4] = 0  # padding stands on the left, as for generation
        inputs["attention_mask"] = mask
    return inputs


def make(family, seed, folder, config=None, generate=12):
    """Writes the checkpoint, inputs and the reference's outputs into `folder`."""
    torch.manual_seed(seed)
    r = random.Random(seed)
    build, cls = MODELS[family]
    config = config(r) if config else build(r)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms, biases and scales too: all ones would hide a mistake
            if parameter.dim() < 2:
                parameter.add_(0.2 * torch.randn_like(parameter))
    if hasattr(model, "generation_config"):
        model.generation_config = t.GenerationConfig()
    model.save_pretrained(folder)
    inputs = inputs_for(family, config, r)
    with torch.no_grad():
        out = model(**inputs)
        names = ["logits", "last_hidden_state", "pooler_output", "logits_per_text", "logits_per_image", "text_embeds",
                 "image_embeds", "image_hidden_states"]
        outputs = {n: out[n].float().contiguous().clone() for n in names if n in out and out[n] is not None}
        if "logits" in outputs and generate:
            outputs["sequences"] = greedy(model, inputs, generate)
    save_file(inputs, folder / "inputs.safetensors")
    save_file(outputs, folder / "outputs.safetensors")
    return outputs


def greedy(model, inputs, count):
    # Without a mask, generate() would take ids that equal the padding for padding.
    inputs = {"attention_mask": torch.ones_like(inputs["input_ids"])} | inputs
    eos = {"eos_token_id": None, "pad_token_id": 0}
    return model.generate(**inputs, do_sample=False, max_new_tokens=count, min_new_tokens=count, **eos).contiguous()


def golden():
    small = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=48, num_attention_heads=4,
                 num_key_value_heads=2, head_dim=4)
    small_qwen2 = {k: v for k, v in small.items() if k != "head_dim"}
    cases = {
        "llama2": ("llama", 1, lambda r: llama(r, "default", **small, tie_word_embeddings=False)),
        "llama3": ("llama", 2, lambda r: llama(r, "llama3", **small, tie_word_embeddings=True)),
        "llama_linear_bias": ("llama", 3, lambda r: llama(r, "linear", **small, attention_bias=True, mlp_bias=True)),
        "llama_dynamic": ("llama", 4, lambda r: llama(r, "dynamic", **small)),
        "qwen2_window": ("qwen2", 6, lambda r: qwen2(r, **small_qwen2, use_sliding_window=True, sliding_window=5,
                                                      max_window_layers=1)),
        "clip_vision": ("clip_vision", 7, None),
        "siglip_vision": ("siglip_vision", 8, None),
        "clip": ("clip", 9, None),
        "siglip": ("siglip", 10, None),
        "llava_clip_llama": ("llava", 11, lambda r: llava(r, clip_vision(r), llama(r, "default", **small), -2, "default")),
        "llava_siglip_qwen2": ("llava", 12, lambda r: llava(r, siglip_vision(r, num_hidden_layers=2),
                                                                  qwen2(r, **small_qwen2), -1, "full")),
        "llava_several_layers": ("llava", 13, lambda r: llava(r, clip_vision(r), qwen2(r, **small_qwen2), [0, -1], "full")),
    }
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for name, (family, seed, config) in cases.items():
        (GOLDEN / name).mkdir(parents=True)
        make(family, seed, GOLDEN / name, config)
        (GOLDEN / name / "generation_config.json").unlink(missing_ok=True)
        print(name, sum(f.stat().st_size for f in (GOLDEN / name).iterdir()) // 1024, "KiB")


def difference(expected, found):
    """The largest difference relative to the largest value."""
    return ((expected - found).abs().max() / expected.abs().max()).item()


def near_tie(model_folder, family, sequence, position, inputs, row):
    """Whether the reference's two best logits in front of `position` are closer than twice the tolerance."""
    model = MODELS[family][1].from_pretrained(model_folder).eval()
    extra = {k: v for k, v in inputs.items() if k == "pixel_values"}
    keep = inputs["attention_mask"][row].bool() if "attention_mask" in inputs else None
    ids = sequence[:position]
    if keep is not None:
        ids = torch.cat([ids[: len(keep)][keep], ids[len(keep):]])
    with torch.no_grad():
        logits = model(input_ids=ids[None], **extra).logits[0, -1]
    best = logits.topk(2).values
    return (best[0] - best[1]).item() < 2e-4 * logits.abs().max().item()


def check(binary, count):
    worst, failures = {}, 0
    for family in MODELS:
        for seed in range(1000, 1000 + count):
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                expected = make(family, seed, folder)
                sequences = expected.get("sequences")
                command = [binary, "forward", name, f"{name}/inputs.safetensors", "-o", f"{name}/found.safetensors",
                           "--dtype", "float32"]
                if sequences is not None:
                    command += ["--generate", "12"]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    print(family, seed, "failed:", done.stderr.strip())
                    failures += 1
                    continue
                found, inputs = load_file(f"{name}/found.safetensors"), load_file(f"{name}/inputs.safetensors")
                for key, value in expected.items():
                    if key == "sequences":
                        for row in range(value.shape[0]):
                            differs = (value[row] != found[key][row]).nonzero()
                            if len(differs) and not near_tie(folder, family, value[row], differs[0].item(), inputs, row):
                                print(family, seed, "sequences differ in row", row, "from", differs[0].item())
                                failures += 1
                        continue
                    relative = difference(value, found[key].float())
                    worst[family, key] = max(worst.get((family, key), 0), relative)
                    if not relative < 1e-4:
                        print(family, seed, key, "differs by", relative, json.load(open(folder / "config.json")))
                        failures += 1
    for key, value in worst.items():
        print(*key, f"{value:.2e}")
    print(f"{failures} failures")
    return failures


if __name__ == "__main__":
    if sys.argv[1:] == ["golden"]:
        golden()
    elif len(sys.argv) in (3, 4) and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 5) > 0)
    else:
        sys.exit(__doc__)
