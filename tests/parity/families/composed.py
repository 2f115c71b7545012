"""Compositions (composed_reference.py), of which NVLM-D, -X and -H are three."""

import json
import pathlib

import torch
from safetensors.torch import load_file, save_file

from families.common import Family, noise, without_padding
from families.composed_reference import Composed

CONNECTORS = ("linear", "mlp", "pixel_shuffle", "spatial_pooling", "q_former", "perceiver_resampler", "c_abstractor")


def encoder(r, side, **given):
    heads, patch = r.choice([1, 2]), r.choice([2, 3])
    clip = r.random() < 0.5
    return dict(
        model_type="clip_vision_model" if clip else "siglip_vision_model",
        hidden_size=heads * 8,
        intermediate_size=20,
        num_hidden_layers=r.choice([1, 2]),
        num_attention_heads=heads,
        image_size=patch * side + r.choice([0, 1]),
        patch_size=patch,
        hidden_act=r.choice(["quick_gelu", "gelu_pytorch_tanh"]),
        layer_norm_eps=r.choice([1e-5, 1e-6]),
        vision_use_head=False,
        vision_feature_layer=r.choice([-1, -1, -2, [-2, -1]]),
    ) | given


def decoder(r, **given):
    heads, kv = r.choice([(2, 2), (4, 2), (3, 1)])
    head = r.choice([4, 6])
    return dict(
        model_type=r.choice(["llama", "qwen2"]),
        vocab_size=r.choice([40, 47]),
        hidden_size=heads * head,
        head_dim=head,
        intermediate_size=r.choice([20, 28]),
        num_hidden_layers=r.choice([2, 3]),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=512,
        rms_norm_eps=r.choice([1e-5, 1e-6]),
        rope_theta=r.choice([1e4, 1e5]),
        tie_word_embeddings=r.random() < 0.5,
    ) | given


def connector(r, kind, width, factor):
    mlp = dict(hidden_size=r.choice([12, 16]), hidden_act=r.choice(["gelu", "silu"]), bias=r.random() < 0.7)
    tables = {
        "linear": dict(bias=r.random() < 0.7),
        "mlp": mlp,
        "pixel_shuffle": mlp | dict(factor=factor),
        "spatial_pooling": mlp | dict(factor=factor),
        "q_former": dict(num_queries=r.choice([2, 3]), hidden_size=12, intermediate_size=16, num_hidden_layers=2,
                         num_attention_heads=2, cross_attention_frequency=r.choice([1, 2]), hidden_act="gelu",
                         layer_norm_eps=1e-12),
        "perceiver_resampler": dict(num_queries=r.choice([2, 3]), num_hidden_layers=r.choice([1, 2]),
                                    num_attention_heads=r.choice([1, 2, 4]), intermediate_size=20),
        "c_abstractor": dict(num_queries=r.choice([1, 4]), depth=r.choice([1, 2]), mlp_depth=r.choice([1, 2]),
                             hidden_size=r.choice([width, 12])),
    }
    return {"type": kind} | tables[kind]


def composed(r, fusion=None, kind=None, resolution=None, tags=None, side=None, eyes=None, words=None, every=None):
    kind = kind or r.choice(CONNECTORS)
    fusion = fusion or r.choice(["unified", "cross_attention", "hybrid"])
    resolution = "tiles" if fusion == "hybrid" else resolution or r.choice(["fixed", "tiles"])
    side, factor = side or r.choice([(2, 2), (4, 2), (3, 3), (3, 1)]), None
    side, factor = side
    seeing, text = encoder(r, side, **(eyes or {})), decoder(r, **(words or {}))
    layers = seeing["vision_feature_layer"]
    width = seeing["hidden_size"] * (len(layers) if isinstance(layers, list) else 1)
    config = dict(architectures=["NuriComposed"], model_type="nuri_composed", image_token_id=text["vocab_size"] - 1,
                  encoder=seeing, connector=connector(r, kind, width, factor), decoder=text, fusion={"type": fusion},
                  resolution={"type": resolution})
    if fusion != "unified":
        config["fusion"]["every"] = every or r.choice([1, 2])
    if resolution == "tiles":
        most = r.choice([2, 4])
        thumbnail = fusion == "hybrid" or r.random() < 0.7
        config["resolution"] |= dict(min_tiles=1, max_tiles=most, thumbnail=thumbnail)
        tags = tags or r.choice(["behind", "within"] + ["none"] * (fusion == "unified"))
        if tags != "none":
            first = text["vocab_size"] if tags == "behind" else 3
            config["resolution"]["tile_tag_ids"] = [first + i for i in range(most)]
            if thumbnail:
                config["resolution"]["thumbnail_tag_id"] = first + most
    return config


def told(config, tiles):
    """The tokens of a picture of so many tiles, the thumbnail among them."""
    resolution, fusion, image = config["resolution"], config["fusion"]["type"], config["image_token_id"]
    each = Composed(config).rows_of_a_tile
    if resolution["type"] == "fixed":
        return [image] * (each if fusion == "unified" else 1)
    ids = []
    for tile in range(tiles):
        whole = resolution["thumbnail"] and tile + 1 == tiles
        if "tile_tag_ids" in resolution:
            ids.append(resolution["thumbnail_tag_id"] if whole else resolution["tile_tag_ids"][tile])
        ids += [image] * (each if fusion == "unified" or (fusion == "hybrid" and whole) else 0)
    return ids


def tile_counts(config, r, least):
    """Of a picture: 1, or of a grid and its thumbnail."""
    resolution = config["resolution"]
    if resolution["type"] == "fixed":
        return 1
    cells = r.randint(least, resolution["max_tiles"])
    return cells + (resolution["thumbnail"] and cells > 1)


def inputs(config, r):
    special = {config["image_token_id"], *config["resolution"].get("tile_tag_ids", []),
               config["resolution"].get("thumbnail_tag_id")}
    plain = [i for i in range(config["decoder"]["vocab_size"]) if i not in special]
    words = lambda least: [r.choice(plain) for _ in range(r.randint(least, 4))]
    rows, tiles = [], 0
    for pictures in r.choice([[1], [2], [1, 0], [1, 2]]):
        ids = words(0)
        for _ in range(pictures):
            count = tile_counts(config, r, 1 if tiles else 2)
            ids += told(config, count) + words(0)
            tiles += count
        rows.append(ids + words(1))
    longest = max(map(len, rows))
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    made = {"input_ids": torch.tensor([[plain[0]] * (longest - len(row)) + row for row in rows])}
    if not mask.all():
        made["attention_mask"] = mask
    size = config["encoder"]["image_size"]
    return made | {"pixel_values": torch.randn(tiles, 3, size, size).half()}


def vary(key, parameter):
    """Norms and gates too get values of their own; all are what 16 bits hold, for small files."""
    noise(parameter, 0.3 if parameter.dim() < 2 or "gate" in key else 0.15)
    parameter.copy_(parameter.half())


def save(model, folder, seed):
    tensors = {name: value.half() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config, indent=1))


class Reference(Composed):
    @classmethod
    def from_pretrained(cls, folder):
        folder = pathlib.Path(folder)
        model = cls(json.loads((folder / "config.json").read_text()))
        model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        return model


def resume(config, inputs, row, ids):
    """Of a batch of one: what the pictures of other rows are is not known."""
    if len(inputs["input_ids"]) > 1:
        return None
    return {"input_ids": without_padding(inputs, row, ids), "pixel_values": inputs["pixel_values"]}


FAMILIES = {"composed": Family(composed, Reference, inputs, vary=vary, save=save, resume=resume)}


NARROW = dict(num_attention_heads=4, num_key_value_heads=2, head_dim=4, hidden_size=16,
              intermediate_size=12, vocab_size=40)


def one(seed, fusion, kind, **given):
    layers = given.pop("layers", 2)
    small = dict(eyes=dict(num_hidden_layers=1, vision_feature_layer=-1), words=NARROW | dict(num_hidden_layers=layers),
                 every=layers)
    return ("composed", seed, lambda r: composed(r, fusion, kind, **(small | given)))


GOLDENS = {
    "nvlm_d": one(70, "unified", "pixel_shuffle", resolution="tiles", tags="behind", side=(4, 2)),
    "nvlm_d_tags_within": one(71, "unified", "pixel_shuffle", resolution="tiles", tags="within", side=(2, 2), layers=1),
    "nvlm_x": one(72, "cross_attention", "pixel_shuffle", resolution="tiles", tags="behind", side=(4, 2)),
    "nvlm_x_tags_within": one(73, "cross_attention", "pixel_shuffle", resolution="tiles", tags="within", side=(2, 2), layers=1),
    "nvlm_h": one(74, "hybrid", "pixel_shuffle", tags="behind", side=(4, 2)),
    "nvlm_h_tags_within": one(75, "hybrid", "pixel_shuffle", tags="within", side=(2, 2), layers=1),
    "composed_perceiver_resampler": one(79, "cross_attention", "perceiver_resampler", resolution="fixed", side=(3, 1)),
    "composed_c_abstractor": one(80, "hybrid", "c_abstractor", side=(3, 1)),
}
