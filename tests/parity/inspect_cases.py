"""Parameters and floating-point operations of published shapes, counted by transformers on the meta device.

    python tests/parity/inspect_cases.py     writes tests/parity/golden/inspect/cases.json

Each case (inspect_shapes.py) holds a config.json and what the reference counts for it: parameters, those that work on one
token, those that its own training does not freeze, the FLOPs of one decoded token and of one picture, and the tokens of
that picture. Needs torch and transformers; no weights.
"""

import copy
import itertools
import json
import math
import pathlib
import sys

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

import inspect_shapes

OUTPUT = pathlib.Path(__file__).parent / "golden" / "inspect" / "cases.json"
WIDTH, HEIGHT = 448, 448  # of the picture, what `nuri inspect` assumes
FROZEN = ("vision_model.", "language_model.")  # in the training of BLIP-2 and InstructBLIP


def build(case):
    given = {k: v for k, v in copy.deepcopy(case).items() if k not in ("architectures", "model_type")}
    config = transformers.AutoConfig.for_model(case["model_type"], **given)
    with torch.device("meta"):
        return getattr(transformers, case["architectures"][0])(config).eval()


def work(run):
    """-> FLOPs, what `run` gave"""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        made = run()
    return counter.get_total_flops(), made


def meta(*shape):
    return torch.empty(*shape, device="meta")


def idle_parameters(model):
    """Of the experts that a token is not sent to."""
    text = model.config.get_text_config()
    idle = 0
    for name, module in model.named_modules():
        if not name.endswith(".experts"):
            continue
        count = sum(p.numel() for p in module.parameters())
        idle += count // text.num_local_experts * (text.num_local_experts - text.num_experts_per_tok)
    return idle


def trained_parameters(case, model):
    frozen = FROZEN if "blip" in case["model_type"] and hasattr(model, "language_projection") else ()
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith(frozen) or not frozen)


# ---- one picture through encoder and connector: FLOPs, tokens


def square(vision):
    side = vision.image_size if isinstance(vision.image_size, int) else vision.image_size[0]
    return meta(1, getattr(vision, "num_channels", 3), side, side)


def layered_work(tower, layers, name, run, others=()):
    """Where the tower reads numbers out of its inputs, which the meta device does not have: with none of its layers and
    with the first on the CPU. `others` holds for each further kind of layer how many there are, and what makes it."""
    for part in tower.modules():
        if hasattr(part, "config"):
            part.config._attn_implementation = "eager"  # whose products are counted
    holder, all_layers = layers, getattr(layers, name)
    setattr(holder, name, all_layers[:1])
    tower.to_empty(device="cpu")
    for tensor in itertools.chain(tower.parameters(), tower.buffers()):
        tensor.data.zero_()
    first = getattr(holder, name)
    setattr(holder, name, first[:0])
    without, made = work(run)
    setattr(holder, name, first)
    total = without + (len(all_layers) - sum(count for count, _ in others)) * (work(run)[0] - without)
    for count, change in others:
        change()
        total += count * (work(run)[0] - without)
    return total, made


def similarity_picture(model, vision):
    if hasattr(vision, "num_patches"):
        return naflex_picture(model, vision), None
    pixels = square(vision)
    run = getattr(model, "get_image_features", model)
    return work(lambda: run(pixel_values=pixels))[0], None


def naflex_picture(model, vision):
    """The largest grid of at most num_patches patches in the picture's shape; a square one for a square picture."""
    side, patches = math.isqrt(vision.num_patches), vision.num_patches
    tower = getattr(model, "vision_model", model)
    pixels = torch.zeros(1, patches, vision.num_channels * vision.patch_size**2)
    mask, shapes = torch.ones(1, patches, dtype=torch.int32), torch.tensor([[side, side]])
    run = lambda: tower(pixel_values=pixels, pixel_attention_mask=mask, spatial_shapes=shapes)
    return layered_work(tower, tower.encoder, "layers", run)[0]


def llava_tower(model, config):
    """Without the layers that are run and dropped; -> FLOPs of one tile, its tokens"""
    vision, layers = config.vision_config, config.vision_feature_layer
    layers = layers if isinstance(layers, list) else [layers]
    deepest = max(x if x >= 0 else vision.num_hidden_layers + 1 + x for x in layers)
    tower = model.model.vision_tower
    tower = getattr(tower, "vision_model", tower)
    del tower.encoder.layers[deepest:]
    tower.head = None
    tower.use_head = False
    features, _ = work(lambda: tower(pixel_values=square(vision)))
    tokens = (vision.image_size // vision.patch_size) ** 2
    tokens += vision.model_type == "clip_vision_model" and config.vision_feature_select_strategy == "full"
    joined = meta(1, tokens, vision.hidden_size * len(layers))
    return features + work(lambda: model.model.multi_modal_projector(joined))[0], tokens


def llava_next_picture(model, config):
    from transformers.image_processing_utils import select_best_resolution

    flops, _ = llava_tower(model, config)
    side = config.vision_config.image_size
    best = select_best_resolution((HEIGHT, WIDTH), config.image_grid_pinpoints)
    tiles = 1 + (best[0] // side) * (best[1] // side)
    grid = side // config.vision_config.patch_size
    features = [meta(tiles, grid * grid, config.text_config.hidden_size)]
    packed, _ = model.model.pack_image_features(
        features, torch.tensor([[HEIGHT, WIDTH]]), "default", model.model.image_newline
    )
    return flops * tiles, packed[0].shape[0]


def mllama_picture(model, config):
    """All of its tiles are computed, whichever are blank. Not counted: the product that makes the reference's mask."""
    vision = config.vision_config
    pixels = meta(1, 1, vision.max_num_tiles, vision.num_channels, vision.image_size, vision.image_size)
    ids, mask = torch.ones(1, 1, dtype=torch.long), torch.ones(1, 1, vision.max_num_tiles, dtype=torch.long)
    flops, seen = work(
        lambda: model.model.vision_model(
            pixel_values=pixels, aspect_ratio_ids=ids.to("meta"), aspect_ratio_mask=mask.to("meta")
        ).last_hidden_state
    )
    rows = seen.shape[1:-1].numel()
    padded = vision.max_num_tiles * (-(rows // vision.max_num_tiles) // 8 * -8)
    return flops - 2 * padded**2 + work(lambda: model.model.multi_modal_projector(seen))[0], rows


def qwen_picture(model, config):
    """Both sides of 448 are multiples of 28: 32 by 32 patches."""
    vision, grid, tower = config.vision_config, torch.tensor([[1, HEIGHT // 14, WIDTH // 14]]), model.model.visual
    values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    patches = torch.zeros(int(grid.prod()), values)
    whole = getattr(vision, "fullatt_block_indexes", [])
    others = [(len(whole), lambda: setattr(tower, "fullatt_block_indexes", [0]))] if whole else []
    run = lambda: tower(patches, grid_thw=grid).pooler_output
    flops, seen = layered_work(tower, tower, "blocks", run, others)
    return flops, seen.shape[0]


def internvl_picture(model, config):
    """A square picture of 448 x 448: one tile."""
    pixels = meta(1, 3, *config.vision_config.image_size)
    flops, seen = work(lambda: model.get_image_features(pixel_values=pixels).pooler_output)
    return flops, seen.shape[-2]


def llama4_picture(model, config):
    """448 x 448 takes 2 x 2 tiles of 336, and one of the whole."""
    vision, tiles = config.vision_config, 5
    pixels = meta(tiles, 3, vision.image_size, vision.image_size)
    flops, seen = work(lambda: model.vision_model(pixel_values=pixels).last_hidden_state)
    rows = seen.reshape(-1, seen.shape[-1])
    return flops + work(lambda: model.multi_modal_projector(rows))[0], rows.shape[0]


def queries_picture(model, config):
    """Encoder, Q-Former and projection; InstructBLIP's Q-Former reads one token of the question besides."""
    flops, seen = work(lambda: model.vision_model(square(config.vision_config)).last_hidden_state)
    queries = model.query_tokens.expand(1, -1, -1)
    inputs = dict(query_embeds=queries, encoder_hidden_states=seen)
    if config.model_type == "instructblip":
        inputs |= dict(input_ids=torch.ones(1, 1, dtype=torch.long, device="meta"))
    made, rows = work(lambda: model.qformer(**inputs).last_hidden_state[:, : config.num_query_tokens])
    last = getattr(model, "language_projection", None) or model.vision_projection
    return flops + made + work(lambda: last(rows))[0], config.num_query_tokens


PICTURES = {
    "llava": lambda model, config: llava_tower(model, config),
    "llava_next": llava_next_picture,
    "internvl": internvl_picture,
    "mllama": mllama_picture,
    "qwen2_vl": qwen_picture,
    "qwen2_5_vl": qwen_picture,
    "llama4": llama4_picture,
    "blip-2": queries_picture,
    "instructblip": queries_picture,
}


def token_work(model, kind):
    """One decoded token; of a decoder behind pictures, the decoder alone."""
    config = model.config.get_text_config()
    if kind in ("internvl", "blip-2", "instructblip") and config.model_type in ("llama", "qwen2", "opt"):
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config).eval()
    elif kind not in ("llama", "qwen2", "mistral", "opt", "llava", "llava_next"):
        return {}  # looks its numbers up, or runs an encoder too
    return dict(flops_per_token=work(lambda: model(input_ids=torch.ones(1, 1, dtype=torch.long, device="meta")))[0])


def picture_work(model, case):
    config, kind = model.config, model.config.model_type
    if kind in PICTURES:
        flops, tokens = PICTURES[kind](model, config)
    elif any(hasattr(config, name) for name in ("image_size", "num_patches", "vision_config")):
        flops, tokens = similarity_picture(model, getattr(config, "vision_config", config))
    else:
        return {}
    if tokens is None or not hasattr(model, "generate"):
        return dict(flops_per_picture=flops)
    return dict(flops_per_picture=flops, tokens_per_picture=tokens)


def count(name, case):
    counted = inspect_shapes.COUNTED_AS.get(name, case)
    model = build(counted)
    total = sum(p.numel() for p in model.parameters())
    told = dict(config=case, parameters=total, active=total - idle_parameters(model), trained=trained_parameters(counted, model))
    if hasattr(model, "generate"):
        told |= token_work(model, counted["model_type"])
    return told | picture_work(model, counted)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    cases = {}
    for name, case in inspect_shapes.CASES.items():
        if wanted and name not in wanted:
            continue
        cases[name] = count(name, case)
        print(name, {k: v for k, v in cases[name].items() if k != "config"}, flush=True)
    if not wanted:
        OUTPUT.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{json.dumps(name)}: {json.dumps(told)}" for name, told in cases.items()]
        OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
