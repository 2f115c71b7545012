"""Hugging Face folders as llama.cpp's files: `python write_gguf.py MODEL OUT PRECISION...` writes OUT/BF16.gguf,
OUT/mmproj.gguf where the model sees, and what llama.cpp's own quantiser makes of the first. Llama, Mixtral, Qwen2 and
Qwen2.5-VL, and SigLIP in LLaVA. The folder needs no tokenizer: the vocabulary is made up."""

import ctypes
import json
import math
import re
import struct
import sys
from pathlib import Path

import gguf
import numpy

ARCHITECTURES = {"llama": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen2_5_vl": "qwen2vl"}
# llama.cpp's numbers of kinds of files.
QUANTISED = {"Q8_0": 7, "Q4_0": 2, "Q4_K_M": 15}
BF16 = gguf.GGMLQuantizationType.BF16


def read_tensors(folder: Path):
    """(name, array) of each tensor of a folder; bfloat16 as uint16."""
    types = {"BF16": "<u2", "F32": "<f4"}
    for file in sorted(folder.glob("*.safetensors")):
        data = numpy.memmap(file, mode="r")
        length = struct.unpack("<Q", data[:8].tobytes())[0]
        header = json.loads(data[8 : 8 + length].tobytes())
        for name, told in header.items():
            if name != "__metadata__":
                begin, end = (8 + length + at for at in told["data_offsets"])
                yield name, data[begin:end].view(types[told["dtype"]]).reshape(told["shape"])


def as_float(array):
    return array if array.dtype == numpy.float32 else (array.astype("<u4") << 16).view("<f4")


def add(writer, name: str, array) -> None:
    """Matrices in bfloat16, what has one dimension in float32, as llama.cpp's own converter does."""
    if array.ndim == 1:
        return writer.add_tensor(name, numpy.ascontiguousarray(as_float(array)))
    if array.dtype == numpy.float32:
        array = gguf.quants.quantize(numpy.ascontiguousarray(array), BF16)
        return writer.add_tensor(name, array, raw_dtype=BF16)
    writer.add_tensor(name, numpy.ascontiguousarray(array).view(numpy.uint8), raw_dtype=BF16)


def permuted(array, heads: int):
    """Rotary pairs side by side, as the architecture "llama" has them."""
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def rope_of(config: dict) -> dict:
    return config.get("rope_parameters") or {"rope_type": "default", "rope_theta": config.get("rope_theta", 10000.0)}


def rope_factors(rope: dict, head_dim: int):
    """By how much each frequency of Llama 3.1's rotary positions is divided."""
    frequencies = rope["rope_theta"] ** -(numpy.arange(0, head_dim, 2) / head_dim)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    smooth = numpy.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / rope["factor"] + smooth)).astype("float32")


def add_vocabulary(writer, size: int) -> None:
    """256 bytes and made up words: some of llama.cpp's code wants a vocabulary, none of it matters here."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    tokens += [f"w{i}" for i in range(len(tokens), size)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens[:size])
    writer.add_token_scores([0.0] * size)
    writer.add_token_types((kinds + [1] * size)[:size])


def add_sizes(writer, config: dict) -> None:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    rope = rope_of(config)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    if "mrope_section" in rope:
        writer.add_rope_dimension_sections([*rope["mrope_section"], 0])
    if config.get("num_local_experts"):
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, head_dim))


def write_text(config: dict, tensors: dict, file: Path) -> None:
    architecture = ARCHITECTURES[config["model_type"].removesuffix("_text")]
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_file_type(32)
    add_sizes(writer, config)
    add_vocabulary(writer, config["vocab_size"])
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    experts: dict = {}
    for name, array in tensors.items():
        if found := re.fullmatch(r"model\.layers\.(\d+)\.block_sparse_moe\.experts\.(\d+)\.(w\d)\.weight", name):
            layer, _, part = found.groups()
            experts.setdefault(f"layers.{layer}.feed_forward.experts.{part}.weight", []).append((int(found[2]), array))
            continue
        if architecture == "llama" and (found := re.search(r"\.(q|k)_proj\.", name)):
            array = permuted(array, config["num_attention_heads" if found[1] == "q" else "num_key_value_heads"])
        add(writer, names.get_name(name, (".weight", ".bias")), array)
    for name, parts in experts.items():
        parts.sort(key=lambda part: part[0])
        add(writer, names.get_name(name, (".weight",)), numpy.stack([array for _, array in parts]))
    finish(writer)


def begin_vision(file: Path, vision: dict, projector: str, side: int, width: int, epsilon: float):
    writer = gguf.GGUFWriter(file, "clip")
    writer.add_file_type(32)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(projector)
    writer.add_vision_projection_dim(width)
    writer.add_vision_image_size(side)
    writer.add_vision_patch_size(vision["patch_size"])
    writer.add_vision_embedding_length(vision["hidden_size"])
    writer.add_vision_feed_forward_length(vision["intermediate_size"])
    writer.add_vision_block_count(vision.get("depth") or vision["num_hidden_layers"])
    writer.add_vision_head_count(vision.get("num_heads") or vision["num_attention_heads"])
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_attention_layernorm_eps(epsilon)
    return writer


def write_qwen_vision(config: dict, tensors: dict, file: Path) -> None:
    vision = config["vision_config"]
    writer = begin_vision(file, vision, "qwen2.5vl_merger", 560, vision["out_hidden_size"], 1e-6)
    writer.add_vision_use_silu(True)
    writer.add_vision_n_wa_pattern(vision["fullatt_block_indexes"][0] + 1)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, vision["depth"])
    for name, array in tensors.items():
        if ".qkv." in name:
            for part, third in zip("qkv", numpy.split(array, 3)):
                add(writer, names.get_name(name.replace("qkv", part), (".weight", ".bias")), third)
        elif "patch_embed.proj" in name:
            for frame, suffix in ((0, ""), (1, ".1")):
                writer.add_tensor(f"v.patch_embd.weight{suffix}", numpy.ascontiguousarray(as_float(array[:, :, frame])))
        else:
            add(writer, names.get_name(name, (".weight", ".bias")), array)
    finish(writer)


def write_siglip(config: dict, tensors: dict, file: Path) -> None:
    vision = config["vision_config"]
    writer = begin_vision(file, vision, "mlp", vision["image_size"], config["text_config"]["hidden_size"], 1e-6)
    writer.add_vision_use_gelu(True)
    # Without it the last layer is left out, as LLaVA 1.5 does.
    writer.add_array("clip.vision.feature_layer", [vision["num_hidden_layers"]])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, vision["num_hidden_layers"])
    for name, array in tensors.items():
        if name.startswith("vision_tower.post_layernorm"):
            continue
        if found := re.fullmatch(r"multi_modal_projector\.linear_(\d)\.(weight|bias)", name):
            add(writer, f"mm.{2 * int(found[1]) - 2}.{found[2]}", array)
        elif name.endswith(("position_embedding.weight", "patch_embedding.weight")):
            inner = name.replace("vision_tower.", "vision_tower.vision_model.")
            writer.add_tensor(names.get_name(inner, (".weight",)), numpy.ascontiguousarray(as_float(array)))
        else:
            inner = name.replace("vision_tower.", "vision_tower.vision_model.")
            add(writer, names.get_name(inner, (".weight", ".bias")), array)
    finish(writer)


def finish(writer) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantise(folder: Path, precision: str) -> None:
    import llama_cpp as api

    quiet = api.llama_log_callback(lambda level, text, data: None)
    api.llama_log_set(quiet, ctypes.c_void_p())
    parameters = api.llama_model_quantize_default_params()
    parameters.ftype = QUANTISED[precision]
    made = folder / f"{precision}.being-made"
    code = api.llama_model_quantize(str(folder / "BF16.gguf").encode(), str(made).encode(), ctypes.byref(parameters))
    if code != 0:
        sys.exit(f"{folder}: {precision}: llama_model_quantize: {code}")
    made.rename(folder / f"{precision}.gguf")


def write_all(model: Path, out: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    text, language = config.get("text_config", config), {}
    eyes: dict = {}
    for name, array in read_tensors(model):
        inner = name.removeprefix("language_model.")
        seen = inner.startswith(("visual.", "vision_tower.", "multi_modal_projector."))
        (eyes if seen else language)[inner] = array
    if config["model_type"] == "qwen2_5_vl":
        write_qwen_vision(config, eyes, out / "mmproj.gguf")
        text = text | {"model_type": "qwen2_5_vl"}
    elif eyes:
        write_siglip(config, eyes, out / "mmproj.gguf")
    made = out / "BF16.being-made"
    write_text(text, language, made)
    made.rename(out / "BF16.gguf")


def main() -> None:
    model, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "BF16.gguf").exists():
        write_all(model, out)
    for precision in sys.argv[3:]:
        if precision != "BF16" and not (out / f"{precision}.gguf").exists():
            quantise(out, precision)


if __name__ == "__main__":
    main()
