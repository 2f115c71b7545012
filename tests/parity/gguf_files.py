"""GGUF files of tiny random models and of every type of tensor, made with the package `gguf`.

    python tests/parity/gguf_files.py golden          writes tests/parity/golden/gguf/
    python tests/parity/gguf_files.py check BINARY [N] compares `nuri forward` with transformers on N random models of
                                                      each architecture, in every type of tensor, and `nuri tokenize` with
                                                      the `tokenizers` library

Needs torch, transformers, tokenizers, safetensors and gguf; Nuri itself does not.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers as t
from gguf import GGMLQuantizationType as Q
from safetensors.torch import load_file, save_file

import text_corpus
import tokenizer_parity
from families.common import SMALL, SMALL_HEADS, rope, vary, words
from families.decoders import llama, mixtral, qwen2
from models import forget_generation_config
from rounding import allowed_error, relative_errors

GOLDEN = pathlib.Path(__file__).parent / "golden" / "gguf"
TYPES = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K,
         Q.IQ4_NL, Q.IQ4_XS]
# Where in a block of a type its scales of float16 lie.
SCALES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108],
          Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ4_NL: [0], Q.IQ4_XS: [0]}
# The numbers within a block are about this many scales large.
REACH = {Q.Q4_0: 8, Q.Q4_1: 15, Q.Q5_0: 16, Q.Q5_1: 31, Q.Q8_0: 127, Q.Q2_K: 45, Q.Q3_K: 128, Q.Q4_K: 900, Q.Q5_K: 1900,
         Q.Q6_K: 4096, Q.IQ4_NL: 127, Q.IQ4_XS: 4000}


def random_blocks(rng, kind, rows, columns, size=None):
    """Bytes [rows, ...] of random codes; scales are any finite float16, or such that numbers are about `size`."""
    if kind in (Q.F32, Q.F16, Q.BF16):
        numbers = rng.standard_normal((rows, columns)).astype(np.float32) * (size or 1)
        return gguf.quants.quantize(numbers, kind).view(np.uint8).reshape(rows, -1)
    elements, length = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // elements, length), dtype=np.uint8)
    for place in SCALES[kind]:
        count = len(blocks)
        if size is None:
            scale = rng.integers(0, 2**16, count, dtype=np.uint16)
            scale = np.where((scale & 0x7C00) == 0x7C00, scale & 0x83FF, scale)
        else:
            scale = (size / REACH[kind] * rng.uniform(0.5, 2, count)).astype(np.float16).view(np.uint16)
        blocks[:, place : place + 2] = scale.astype(np.uint16).view(np.uint8).reshape(count, 2)
    return blocks.reshape(rows, -1)


def numbers_of(blocks, kind):
    return gguf.quants.dequantize(blocks if kind not in (Q.F32, Q.F16) else
                                  blocks.view(np.float32 if kind == Q.F32 else np.float16), kind)


def type_table(path):
    """One tensor of every type with two blocks or more, and beside the file what they mean."""
    rng = np.random.default_rng(3)
    writer, expected = gguf.GGUFWriter(path, "llama"), {}
    for kind in TYPES:
        blocks = random_blocks(rng, kind, 1, 512)
        if kind == Q.F16:  # subnormal numbers, zeros of both signs, the largest
            blocks[0, :16] = np.array([0, 0x8000, 1, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C01], np.uint16).view(np.uint8)
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        expected[kind.name] = torch.from_numpy(numbers_of(blocks, kind).reshape(1, 512).copy())
    finish(writer)
    return expected


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "mlp.gate": "ffn_gate_inp"}


def interleaved(rows, heads):
    """As llama.cpp's converter orders the rows of queries and keys: the halves of a head alternate."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def in_order(rows, heads):
    """The reverse."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def file_tensors(model, config, together):
    """name in the file, parameters of the model that it holds, heads whose rows alternate"""
    llama_order = config.model_type != "qwen2"
    state = model.state_dict()
    for name, tensor in state.items():
        if name in ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"):
            if name != "lm_head.weight" or not config.tie_word_embeddings:
                yield {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
                       "lm_head.weight": "output.weight"}[name], tensor, 0
            continue
        layer, rest = name.removeprefix("model.layers.").split(".", 1)
        if "experts" in rest:
            half = config.intermediate_size
            parts = ({"ffn_gate": tensor[:, :half], "ffn_up": tensor[:, half:]} if "gate_up" in rest
                     else {"ffn_down": tensor})
            for part, value in parts.items():
                if together:
                    yield f"blk.{layer}.{part}_exps.weight", value, 0
                else:
                    for i, one in enumerate(value):
                        yield f"blk.{layer}.{part}.{i}.weight", one, 0
            continue
        part, kind = rest.rsplit(".", 1)
        heads = 0
        if llama_order and part.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if part.endswith("q_proj") else config.num_key_value_heads
        yield f"blk.{layer}.{NAMES[part]}.{kind}", tensor, heads


def write_metadata(writer, config):
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    parameters = config.rope_parameters
    writer.add_rope_freq_base(parameters["rope_theta"])
    if parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(parameters["factor"])
    if config.model_type == "mixtral":
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(parameters, head))


def llama3_divisors(parameters, head):
    """As llama.cpp's converter makes them."""
    base, factor = parameters["rope_theta"], parameters["factor"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    context = parameters["original_max_position_embeddings"]
    divisors = []
    for frequency in 1.0 / (base ** (np.arange(0, head, 2, dtype=np.float32) / head)):
        length = 2 * np.pi / frequency
        if length < context / high:
            divisors.append(1)
        elif length > context / low:
            divisors.append(factor)
        else:
            smooth = (context / length - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, np.float32)


def make(config, seed, path, kinds, together=True, tokenizer=None, inputs=words):
    """A random model as a GGUF file; its matrices have random types of `kinds`, as far as their rows are whole blocks.
    Returns what transformers computes with what the file means, and the types used."""
    torch.manual_seed(seed)
    rng, r = np.random.default_rng(seed), random.Random(seed)
    model = t.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            vary(key, parameter)
    forget_generation_config(model)
    writer = gguf.GGUFWriter(path, "qwen2" if config.model_type == "qwen2" else "llama")
    write_metadata(writer, config)
    if tokenizer:
        tokenizer(writer)
    with torch.no_grad():
        for name, tensor, heads in file_tensors(model, config, together):
            rows = tensor.reshape(-1, tensor.shape[-1])
            fitting = [k for k in kinds if rows.shape[1] % gguf.GGML_QUANT_SIZES[k][0] == 0] or [Q.F16]
            kind = r.choice(fitting) if tensor.dim() > 1 else Q.F32
            if kind in (Q.F32, Q.F16, Q.BF16):
                given = interleaved(tensor.numpy(), heads) if heads else tensor.numpy()
                blocks = gguf.quants.quantize(np.ascontiguousarray(given, np.float32).reshape(-1, rows.shape[1]), kind)
                blocks = blocks.view(np.uint8).reshape(rows.shape[0] if tensor.dim() > 1 else 1, -1)
            else:
                blocks = random_blocks(rng, kind, *rows.shape, size=0.3)
            meant = numbers_of(blocks, kind).reshape(tensor.shape)
            tensor.copy_(torch.from_numpy((in_order(meant, heads) if heads else meant).copy()))
            shape = blocks.shape if tensor.dim() == 2 else (*tensor.shape[:-1], blocks.shape[-1])
            if kind == Q.F32:
                writer.add_tensor(name, blocks.view(np.float32).reshape(tensor.shape))
            else:
                writer.add_tensor(name, blocks.reshape(shape), raw_dtype=kind)
    finish(writer)
    inputs = inputs(config, r)
    with torch.no_grad():
        return model, inputs, {"logits": model(**inputs).logits.float().contiguous()}


# ---- tokenizers

TEMPLATE = ("{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{{ eos_token }}\n{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}")


def tokenizer_writer(reference, pre, special, bos=None, eos=None, **flags):
    """Puts a tokenizer of the `tokenizers` library into a file, as llama.cpp's converter does."""
    model = json.loads(reference.to_str())["model"]
    vocabulary = reference.get_vocab(with_added_tokens=True)
    tokens = [token for token, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
    assert sorted(vocabulary.values()) == list(range(len(tokens)))

    def write(writer):
        writer.add_tokenizer_model("llama" if pre is None else "gpt2")
        if pre:
            writer.add_tokenizer_pre(pre)
        kinds = [3 if token in special else 1 for token in tokens]
        writer.add_token_list(tokens)
        if pre is None:
            kinds = [6 if token.startswith("<0x") else 2 if token == "<unk>" else kind
                     for token, kind in zip(tokens, kinds)]
            writer.add_token_scores([float(-i) for i in range(len(tokens))])
            writer.add_unk_token_id(vocabulary["<unk>"])
        else:
            writer.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in model["merges"]])
        writer.add_token_types(kinds)
        if bos:
            writer.add_bos_token_id(vocabulary[bos])
        if eos:
            writer.add_eos_token_id(vocabulary[eos])
        for key, value in flags.items():
            writer.add_bool(f"tokenizer.ggml.{key}", value)
        writer.add_chat_template(TEMPLATE)

    return write


def sentence_piece(bos="<s>", eos="</s>", **flags):
    """A tokenizer of pieces and scores, and what the `tokenizers` library makes of the merges that follow from them."""
    from tokenizers import Tokenizer, normalizers
    from transformers.convert_slow_tokenizer import generate_merges

    document = json.loads(tokenizer_parity.llama2().to_str())
    vocabulary = document["model"]["vocab"]
    special = {"<unk>", "<s>", "</s>", *tokenizer_parity.BYTE_TOKENS}
    scores = {piece: float(-i) for piece, i in vocabulary.items()}
    document["model"]["merges"] = [list(m) for m in generate_merges(vocabulary, scores, special)]
    reference = Tokenizer.from_str(json.dumps(document))
    if not flags.get("add_space_prefix", True):
        reference.normalizer = normalizers.Replace(" ", "▁")
        document = json.loads(reference.to_str())
        document["decoder"]["decoders"] = document["decoder"]["decoders"][:3]
        reference = Tokenizer.from_str(json.dumps(document))
    return reference, tokenizer_writer(reference, None, {"<s>", "</s>"}, bos, eos, **flags)


def byte_level(kind, pre, special, bos=None, eos=None, **flags):
    reference = tokenizer_parity.KINDS[kind]()
    return reference, tokenizer_writer(reference, pre, set(special), bos, eos, **flags)


TOKENIZERS = {
    "llama": lambda: sentence_piece(add_bos_token=True),
    "llama_plain": lambda: sentence_piece(add_bos_token=True, add_space_prefix=False),
    "llama-bpe": lambda: byte_level("llama3", "llama-bpe", tokenizer_parity.CHAT_TOKENS, "<|begin_of_text|>", "<|eot_id|>"),
    "qwen2": lambda: byte_level("qwen2", "qwen2", tokenizer_parity.QWEN_TOKENS, None, "<|im_end|>", add_bos_token=False),
    "gpt-2": lambda: byte_level("gpt2", "gpt-2", tokenizer_parity.GPT2_TOKENS, None, "<|endoftext|>"),
}


def cases_of(reference, texts):
    answers = tokenizer_parity.reference(reference, texts)
    return [[text, a["ids"], a["plain"], a["text"]] for text, a in zip(texts, answers)]


# Rows of 256 numbers, so that every type fits into one.
WIDE = dict(hidden_size=256, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
            head_dim=8, vocab_size=40, tie_word_embeddings=False, max_position_embeddings=64, attention_bias=False,
            mlp_bias=False)
SIZES = SMALL_HEADS | dict(max_position_embeddings=64)
GOLDENS = {
    "llama": (lambda r, v: llama(r, "llama3", **(SIZES | dict(vocab_size=v, tie_word_embeddings=True))), [Q.F16, Q.BF16], "llama"),
    "llama_biases": (lambda r, v: llama(r, "linear", **(SIZES | dict(vocab_size=v, attention_bias=True, mlp_bias=True,
                                                                      num_hidden_layers=1, tie_word_embeddings=False))), [Q.F16], "llama-bpe"),
    "qwen2": (lambda r, v: qwen2(r, **(SMALL | dict(vocab_size=v, tie_word_embeddings=False, use_sliding_window=False))),
              [Q.F16, Q.BF16], "qwen2"),
    "mixtral": (lambda r, v: mixtral(r, **(SIZES | dict(vocab_size=v, num_local_experts=3, num_experts_per_tok=2,
                                                        num_hidden_layers=1, sliding_window=None))), [Q.F32, Q.F16], None),
    "mixtral_apart": (lambda r, v: mixtral(r, **(SIZES | dict(vocab_size=v, num_local_experts=3, num_experts_per_tok=2,
                                                              num_hidden_layers=1, sliding_window=None))), [Q.F32], None),
    "quantised": (lambda r, v: llama(r, "default", **WIDE), TYPES[3:], None),
}


def write_case(folder, name, seed):
    build, kinds, tokenizer = GOLDENS[name]
    reference, write = TOKENIZERS[tokenizer]() if tokenizer else (None, None)
    config = build(random.Random(seed), reference.get_vocab_size() if reference else 64)
    model, inputs, outputs = make(config, seed, folder / "model.gguf", kinds, name != "mixtral_apart", write,
                                  lambda config, r: {"input_ids": torch.randint(0, config.vocab_size, (1, 5))})
    save_file(inputs, folder / "inputs.safetensors")
    save_file(outputs, folder / "outputs.safetensors")
    if reference:
        special = [token.content for token in reference.get_added_tokens_decoder().values()]
        cases = cases_of(reference, text_corpus.strings(name, 30, special))
        (folder / "tokens.json").write_text(json.dumps(cases, ensure_ascii=False) + "\n")
    return model


def golden():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    save_file(type_table(GOLDEN / "types.gguf"), GOLDEN / "types.safetensors")
    for seed, name in enumerate(GOLDENS):
        (GOLDEN / name).mkdir()
        write_case(GOLDEN / name, name, seed)
    print(sum(f.stat().st_size for f in GOLDEN.rglob("*") if f.is_file()) // 1024, "KiB")


# ---- comparison

def run(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def compare_tokens(binary, name, count):
    reference, write = TOKENIZERS[name]()
    special = [token.content for token in reference.get_added_tokens_decoder().values()]
    texts = text_corpus.strings(f"gguf{name}", count, special)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        write(writer)
        writer.add_tensor("token_embd.weight", np.zeros((2, 2), np.float32))
        finish(writer)
        lines = pathlib.Path(folder) / "lines.jsonl"
        lines.write_text("".join(json.dumps(text) + "\n" for text in texts))
        answers = [json.loads(line) for line in run(binary, "tokenize", path, "--lines", lines).split("\n") if line]
    wrong = [(case, answer) for case, answer in zip(cases_of(reference, texts), answers)
             if case[1] != answer["ids"] or case[3] != answer["text"]]
    for case, answer in wrong[:3]:
        print("  ", case, answer)
    print(f"tokens of {name}: {len(answers)} strings, {len(wrong)} differences", flush=True)
    return len(wrong)


ARCHITECTURES = {
    "llama": lambda r, wide: llama(r, r.choice(["default", "linear", "llama3"]), **wide),
    "qwen2": lambda r, wide: qwen2(r, use_sliding_window=False, **wide),
    "mixtral": lambda r, wide: mixtral(r, sliding_window=None, **wide),
}


def check(binary, count):
    failures = 0
    for name in TOKENIZERS:
        failures += compare_tokens(binary, name, 200 * count)
    for name, build in ARCHITECTURES.items():
        for kinds in [[Q.F32], [Q.F16, Q.BF16, Q.F32], [Q.Q5_1, Q.Q2_K, Q.Q5_K], *[[k] for k in TYPES[3:]]]:
            worst = bad = 0
            for seed in range(count):
                r = random.Random(seed)
                wide = {} if set(kinds) <= {Q.F32, Q.F16, Q.BF16} else {
                    k: v for k, v in WIDE.items() if k not in ("attention_bias", "mlp_bias", "head_dim")} | (
                        {} if name == "qwen2" else {"head_dim": 8})
                config = build(r, wide)
                with tempfile.TemporaryDirectory() as folder:
                    folder = pathlib.Path(folder)
                    model, inputs, outputs = make(config, 1000 + seed, folder / "model.gguf", kinds, seed % 2 == 0)
                    save_file(inputs, folder / "inputs.safetensors")
                    run(binary, "forward", folder / "model.gguf", folder / "inputs.safetensors", "-o",
                        folder / "found.safetensors", "--dtype", "float32")
                    found = load_file(folder / "found.safetensors")
                # That the codes mean the blocks, a unit test holds.
                coded = not set(kinds) <= {Q.F32, Q.F16, Q.BF16, Q.Q5_1, Q.Q2_K, Q.Q5_K}
                allowed = allowed_error(model, inputs, outputs["logits"]) if coded else 1e-4
                errors = relative_errors(outputs["logits"], found["logits"].float())
                error = (errors.median() if coded else errors.max()).item()
                worst, bad = max(worst, error), bad or not error < allowed
            failures += bad
            print(name, "+".join(k.name for k in kinds), f"{worst:.2e}", "BAD" if bad else "", flush=True)
    return failures


if __name__ == "__main__":
    if sys.argv[1:2] == ["golden"]:
        golden()
    elif len(sys.argv) > 2 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 3) > 0)
    else:
        sys.exit(__doc__)
