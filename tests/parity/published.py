"""Tiny random checkpoints in the forms that GPTQ, AWQ and compressed-tensors are published in.

    python tests/parity/published.py golden [NAME...]   writes tests/parity/golden/published/, or the cases named so
    python tests/parity/published.py check BINARY [N]   compares `nuri forward` with N other seeds of every case

Each folder holds a checkpoint; `matrices.json`, for every matrix in codes its shape, the CRC-32 of its numbers in float32
and how Nuri is to read it; `inputs.safetensors`, and `outputs.safetensors` with the logits that transformers computes from
those numbers in float32.

What the codes mean is written down here by the formats' definitions: of GPTQ after AutoGPTQ (nn_modules/qlinear) and
GPTQModel, of AWQ after AutoAWQ (modules/linear, utils/packing_utils.py). Of compressed-tensors the package itself reads
the files too, and its numbers must be the same. Needs torch, transformers, safetensors and compressed-tensors.
"""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zlib

import torch
import transformers as t
from safetensors.torch import load_file, save_file

from rounding import allowed_error, relative_errors

GOLDEN = pathlib.Path(__file__).parent / "golden" / "published"
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


@dataclasses.dataclass
class Codes:
    """The number in column j of row i is (codes[i, j] - zeros[i, g]) * scales[i, g], g the group of j."""

    codes: torch.Tensor  # [n, k] from 0
    zeros: torch.Tensor  # [n, groups]
    scales: torch.Tensor  # [n, groups]
    order: torch.Tensor  # [k] the groups of the columns
    bits: int

    def numbers(self):
        """As readers make them: products in the type of the scales."""
        return (self.codes - self.zeros[:, self.order]).to(self.scales.dtype) * self.scales[:, self.order]


def ceil(count, size):
    return -(-count // size)


def quantise(weight, bits, group_size, symmetric, shuffled, dtype):
    """Rounds to the nearest; asymmetric zero points from 1, since version 1 of GPTQ stores them less one."""
    n, k = weight.shape
    size = k if group_size == -1 else group_size
    groups = ceil(k, size)
    order = torch.arange(k) // size
    if shuffled:
        order = order[torch.randperm(k)]
    top = 2**bits - 1
    zeros, scales = torch.zeros(n, groups, dtype=torch.int64), torch.zeros(n, groups)
    for g in range(groups):
        part = weight[:, order == g]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if symmetric:
            scales[:, g] = torch.maximum(-low / 2 ** (bits - 1), high / (2 ** (bits - 1) - 1))
            zeros[:, g] = 2 ** (bits - 1)
        else:
            scales[:, g] = (high - low) / top
            zeros[:, g] = (-low / scales[:, g]).round().clamp(1, top)
    scales = scales.to(dtype)
    wide = scales.float()[:, order]
    codes = (weight / wide).round().to(torch.int64) + zeros[:, order]
    return Codes(codes.clamp(0, top), zeros, scales, order.to(torch.int32), bits)


def words(values, bits, axis, order=range(32)):
    """int32 words of `values`, which follow each other along `axis`; the last one may hold fewer."""
    share = 32 // bits
    values = values.movedim(axis, 0)
    short = -len(values) % share
    values = torch.cat([values, values.new_zeros(short, *values.shape[1:])])
    parts = values.view(-1, share, *values.shape[1:])
    packed = sum(parts[:, order[i]] << (bits * i) for i in range(share))
    packed = torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)
    return packed.movedim(0, axis).contiguous()


def gptq(module, c, case):
    stored = c.zeros if case.method["checkpoint_format"] == "gptq_v2" else (c.zeros - 1) & (2**c.bits - 1)
    tensors = {"qweight": words(c.codes.T, c.bits, 0), "qzeros": words(stored.T, c.bits, 1),
               "scales": c.scales.T.contiguous()}
    if case.stores_order:
        tensors["g_idx"] = c.order
    if case.idle_bias:
        tensors["bias"] = torch.zeros(len(c.codes), dtype=torch.float16)
    return tensors


def awq(module, c, case):
    if case.method["version"] == "gemm":
        return {"qweight": words(c.codes.T, 4, 1, AWQ_ORDER), "qzeros": words(c.zeros.T, 4, 1, AWQ_ORDER),
                "scales": c.scales.T.contiguous()}
    groups = c.scales.shape[1]
    multiple = {32: 4, 64: 2}.get(case.group_size, 1)
    width = ceil(ceil(groups, 8), multiple) * multiple  # in words
    fill = lambda x: torch.cat([x, x.new_zeros(len(x), width * 8 - groups)], 1)
    return {"qweight": words(c.codes, 4, 1), "qzeros": words(fill(c.zeros), 4, 1), "scales": fill(c.scales)}


def compressed(module, c, case):
    middle = 2 ** (c.bits - 1)
    n, k = c.codes.shape
    tensors = {"weight_scale": c.scales}
    if case.method["format"] == "pack-quantized":
        tensors |= {"weight_packed": words(c.codes, c.bits, 1), "weight_shape": torch.tensor([n, k])}
        if not case.symmetric:
            tensors["weight_zero_point"] = words(c.zeros, c.bits, 0)
        if case.stores_order:
            tensors["weight_g_idx"] = c.order if case.shuffled else torch.full((k,), -1, dtype=torch.int32)
    else:
        tensors["weight"] = (c.codes - middle).to(torch.int8)
        if not case.symmetric:
            tensors["weight_zero_point"] = (c.zeros - middle).to(torch.int8)
        if case.static_activations:
            tensors["input_scale"] = torch.tensor([0.05], dtype=c.scales.dtype)
    return tensors


@dataclasses.dataclass
class Case:
    family: str
    write: callable
    method: dict
    bits: int
    group_size: int
    coding: str  # how Nuri is to read the matrices of several groups
    symmetric: bool = True
    shuffled: bool = False
    stores_order: bool = False
    idle_bias: bool = False
    static_activations: bool = False
    heads_too: bool = False  # lm_head is in codes as well
    hidden: int = 32
    wide: int = 96
    dtype: torch.dtype = torch.float16
    reference: bool = False  # compressed-tensors reads it

    def config(self):
        sizes = dict(vocab_size=16, hidden_size=self.hidden, intermediate_size=self.wide, num_hidden_layers=1,
                     num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                     initializer_range=0.2, tie_word_embeddings=False)
        kind = t.LlamaConfig if self.family == "llama" else t.Qwen2Config
        return kind(**sizes)


def ct_method(form, bits, group_size, symmetric, strategy, activations=None, actorder=None):
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": strategy, "dynamic": False}
    if strategy == "group":
        weights["group_size"] = group_size
    if actorder:
        weights["actorder"] = actorder
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed",
            "ignore": ["lm_head"], "kv_cache_scheme": None, "global_compression_ratio": None,
            "config_groups": {"group_0": group}}


def gptq_method(bits, group_size, symmetric, form="gptq", desc_act=False):
    return {"quant_method": "gptq", "bits": bits, "group_size": group_size, "sym": symmetric, "desc_act": desc_act,
            "checkpoint_format": form, "damp_percent": 0.1, "true_sequential": True, "lm_head": False}


def awq_method(group_size, version):
    return {"quant_method": "awq", "bits": 4, "group_size": group_size, "version": version, "zero_point": True,
            "modules_to_not_convert": ["lm_head"]}


TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
TENSOR = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "tensor", "dynamic": False}
BF16 = torch.bfloat16

CASES = {
    "gptq": Case("llama", gptq, gptq_method(4, 32, True), 4, 32, "int4_groups", stores_order=True, idle_bias=True),
    "gptq_v2_ranges": Case("qwen2", gptq, gptq_method(4, 64, False, "gptq_v2"), 4, 64, "int4_ranges",
                           symmetric=False),
    "gptq_act_order": Case("llama", gptq, gptq_method(4, 32, False, desc_act=True), 4, 32, "numbers", symmetric=False,
                           shuffled=True, stores_order=True, heads_too=True),
    "gptq_int8_rows": Case("qwen2", gptq, gptq_method(8, -1, True), 8, -1, "int8_rows", wide=48, stores_order=True),
    "gptq_int8_ranges": Case("llama", gptq, gptq_method(8, 16, False), 8, 16, "numbers", symmetric=False, wide=48),
    "awq": Case("llama", awq, awq_method(32, "gemm"), 4, 32, "int4_ranges", symmetric=False),
    "awq_gemv": Case("qwen2", awq, awq_method(32, "gemv"), 4, 32, "int4_ranges", symmetric=False, wide=64),
    "packed": Case("llama", compressed, ct_method("pack-quantized", 4, 32, True, "group"), 4, 32, "int4_groups",
                   dtype=BF16, reference=True),
    "packed_ranges": Case("qwen2", compressed, ct_method("pack-quantized", 4, 32, False, "group"), 4, 32,
                          "int4_ranges", symmetric=False, dtype=BF16, reference=True),
    "packed_act_order": Case("llama", compressed,
                             ct_method("pack-quantized", 4, 32, True, "group", actorder="group"), 4, 32, "numbers",
                             shuffled=True, stores_order=True, wide=64, dtype=BF16),
    "packed_small_groups": Case("llama", compressed, ct_method("pack-quantized", 4, 16, True, "group"), 4, 16,
                                "numbers", wide=48, dtype=BF16, reference=True),
    "packed_int8": Case("llama", compressed, ct_method("pack-quantized", 8, 32, True, "group"), 8, 32, "int8_groups",
                        wide=96, reference=True),
    "bytes": Case("qwen2", compressed, ct_method("int-quantized", 8, -1, True, "channel", TOKEN), 8, -1, "int8_rows",
                  wide=48, dtype=BF16, reference=True),
    "bytes_static": Case("llama", compressed, ct_method("int-quantized", 8, -1, True, "channel", TENSOR), 8, -1,
                         "int8_rows", wide=48, dtype=torch.float32, static_activations=True, reference=True),
    "bytes_ranges": Case("llama", compressed, ct_method("naive-quantized", 8, 16, False, "group"), 8, 16, "numbers",
                         symmetric=False, wide=48, dtype=BF16, reference=True),
}


def coding_of(case, codes):
    """How Nuri is to read a matrix: where all columns are one group, their order does not matter."""
    if codes.scales.shape[1] > 1:
        return case.coding
    if case.shuffled:
        return "int4_groups" if case.symmetric else "int4_ranges"
    return "int8_rows" if case.coding == "int8_groups" else case.coding


def make(case, seed, folder):
    torch.manual_seed(seed)
    model = (t.LlamaForCausalLM if case.family == "llama" else t.Qwen2ForCausalLM)(case.config()).eval()
    tensors, matrices = {}, {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                parameter.add_(0.2 * torch.randn_like(parameter))
            module, _, last = name.rpartition(".")
            coded = last == "weight" and (module.endswith("_proj") or (case.heads_too and module == "lm_head"))
            if not coded:
                tensors[name] = parameter.to(case.dtype)
                parameter.copy_(tensors[name])
                continue
            codes = quantise(parameter, case.bits, case.group_size, case.symmetric, case.shuffled, case.dtype)
            tensors |= {f"{module}.{part}": tensor for part, tensor in case.write(module, codes, case).items()}
            numbers = codes.numbers().float().contiguous()
            parameter.copy_(numbers)
            matrices[name] = {"shape": list(numbers.shape), "crc32": zlib.crc32(numbers.numpy().tobytes()),
                              "coding": coding_of(case, codes)}
        inputs = {"input_ids": torch.randint(0, 16, (2, 11))}
        logits = model(**inputs).logits.float().contiguous()
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "quantization_config": case.method,
                                       "dtype": str(case.dtype).removeprefix("torch.")}
    (folder / "config.json").write_text(json.dumps(config, sort_keys=True) + "\n")
    (folder / "matrices.json").write_text(json.dumps(matrices) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    save_file(inputs, folder / "inputs.safetensors")
    save_file({"logits": logits}, folder / "outputs.safetensors")
    if case.reference:
        compare_with_package(folder, model, matrices)
    return model, inputs, logits


def compare_with_package(folder, model, matrices):
    """The package's numbers are those of the definition."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig

    config = QuantizationConfig(**json.loads((folder / "config.json").read_text())["quantization_config"])
    scheme = config.config_groups["group_0"]
    compressor = BaseCompressor.get_value_from_registry(config.format)
    stored = load_file(folder / "model.safetensors")
    for name in matrices:
        prefix = name.removesuffix("weight")
        state = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
        found = compressor.decompress(state, scheme)["weight"]
        assert torch.equal(found.float(), model.get_parameter(name)), name


def golden(names):
    for name, case in CASES.items():
        if names and name not in names:
            continue
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        (GOLDEN / name).mkdir(parents=True)
        make(case, 7, GOLDEN / name)
        print(name, sum(f.stat().st_size for f in (GOLDEN / name).iterdir()) // 1024, "KiB")


def check(binary, count):
    failures = 0
    for name, case in CASES.items():
        worst = bad = 0
        for seed in range(1000, 1000 + count):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                model, inputs, expected = make(case, seed, folder)
                matrices = json.loads((folder / "matrices.json").read_text())
                command = [binary, "forward", folder, folder / "inputs.safetensors", "-o",
                           folder / "found.safetensors", "--dtype", "float32"]
                subprocess.run(command, check=True)
                found = load_file(folder / "found.safetensors")["logits"]
            coded = any(matrix["coding"] != "numbers" for matrix in matrices.values())
            errors = relative_errors(expected, found)
            error, allowed = ((errors.median().item(), allowed_error(model, inputs, expected)) if coded
                              else (errors.max().item(), 1e-4))
            worst, bad = max(worst, error), bad or not error < allowed
        failures += bad
        print(f"{name}: {worst:.2e}", "BAD" if bad else "", flush=True)
    return failures


if __name__ == "__main__":
    if sys.argv[1:2] == ["golden"]:
        golden(sys.argv[2:])
    elif len(sys.argv) > 2 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3))
    else:
        sys.exit(__doc__)
