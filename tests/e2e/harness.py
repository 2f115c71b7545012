"""Runs the program as a user does, on tiny models that are made here. Needs no more than python3 itself."""

import array
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("NURI_BIN", str(ROOT / "build/release/nuri"))
GOLDEN = ROOT / "tests/parity/golden/models"
BUNDLED = ROOT / "models/emoji-world"
VERBS = ("ask", "chat", "forward", "preprocess", "tokenize", "inspect", "bench", "compare", "train", "eval", "match",
         "ground", "embed", "index", "search", "quantize")
SANITIZED = os.environ.get("NURI_SANITIZE") == "1"
# Nobody should wait so long; a busy machine may.
PATIENCE = 1000


def run(*arguments, timeout=PATIENCE, **options):
    """Runs `nuri ARGUMENTS...`; standard output and error as bytes."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([BINARY, *map(str, arguments)], timeout=timeout, **options)


class TestCase(unittest.TestCase):
    """With an empty folder for each test, and checks on what the program says."""

    maxDiff = 4000

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nuri-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def succeeds(self, *arguments, **options):
        """-> standard output as text; standard error must be empty."""
        done = run(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr or b""), (0, b""), f"nuri {arguments}: {done.stdout!r}")
        return (done.stdout or b"").decode()

    def succeeds_json(self, *arguments, **options):
        text = self.succeeds(*arguments, **options)
        self.assertEqual(text.count("\n"), 1, text)
        return json.loads(text)

    def check_complaint(self, code, expected_code, error, *words):
        """One clear line on standard error."""
        text = error.decode()
        self.assertEqual(code, expected_code, text)
        self.assertRegex(text, r"\Anuri: [^\n]+\n\Z")
        for unclear in ("internal error", "Exception raised", "terminate called", "basic_string", "std::", "c10",
                        "enforce fail", "filesystem error"):
            self.assertNotIn(unclear, text.replace(str(self.folder), ""))  # whose name is random
        for word in words:
            self.assertIn(str(word), text)
        self.assertLess(len(text), 1500)

    def fails(self, expected_code, arguments, *words, **options):
        """The program must end with the code, one clear line with the words, and nothing on standard output."""
        done = run(*arguments, **options)
        self.check_complaint(done.returncode, expected_code, done.stderr, *words)
        self.assertEqual(done.stdout or b"", b"")

    def names_in(self, folder):
        return sorted(path.name for path in pathlib.Path(folder).iterdir())


# ---- files

def read_json(path):
    return json.loads(pathlib.Path(path).read_text())


def write_json(path, value):
    pathlib.Path(path).write_text(json.dumps(value, ensure_ascii=False, indent=1))


def change_json(path, **changes):
    """Sets keys of the object in a file; a value of None takes the key away."""
    value = read_json(path)
    for key, new in changes.items():
        value.pop(key, None)
        if new is not None:
            value[key] = new
    write_json(path, value)


CODES = {"F32": "f", "I64": "q", "I32": "i", "U8": "B", "F64": "d", "BOOL": "B"}


def write_safetensors(path, tensors):
    """tensors: {name: (type, shape, values)}; a single number stands for all values."""
    header, data, at = {}, [], 0
    for name, (kind, shape, values) in tensors.items():
        count = 1
        for size in shape:
            count *= size
        if isinstance(values, (int, float)):
            values = [values] * count
        raw = array.array(CODES[kind], values).tobytes()
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def read_safetensors(path):
    """-> {name: (type, shape, values)}"""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        values = array.array(CODES[info["dtype"]], body[begin:end]).tolist()
        tensors[name] = (info["dtype"], info["shape"], values)
    return tensors


def write_png(path, width=40, height=30, seed=1):
    """A picture of coloured noise."""
    rng = random.Random(seed)
    rows = b"".join(b"\0" + rng.randbytes(3 * width) for _ in range(height))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) +
                                   chunk(b"IEND", b""))
    return path


def png_size(path):
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]
    return struct.unpack(">II", data[16:24])


# ---- a model whose answer is known

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
IMAGE_SIDE, PATCH = 32, 16
TOKENS_PER_PICTURE = (IMAGE_SIDE // PATCH) ** 2


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters, other = {}, 0x100
    for byte in range(256):
        letters[byte] = chr(byte if byte in plain else other)
        other += byte not in plain
    return letters


def in_letters(data):
    letters = byte_letters()
    return "".join(letters[byte] for byte in data)


def write_tokenizer(folder, pieces=()):
    """256 bytes, then the pieces (byte strings), then the special tokens -> the id of the first special token."""
    tokens = [in_letters(bytes([byte])) for byte in range(256)] + [in_letters(piece) for piece in pieces]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [{"id": len(tokens) + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, text in enumerate(SPECIAL)]
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: number for number, token in enumerate(tokens)}, "merges": []}})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": SPECIAL[2]})
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return len(tokens)


def chain(current, following, width):
    """A table whose row `next` points at column `current`: each token calls for the one that follows it."""
    head = array.array("f", bytes(4 * width * width))
    for token, successor in zip(current, following):
        head[successor * width + token] = 1.0
    return head


def decoder_tensors(prefix, width, following):
    """A decoder that reads its last token alone, and answers with `following` of it."""
    one_hot = chain(range(width), range(width), width)
    layer = prefix + "model.layers.0."
    tensors = {prefix + "model.embed_tokens.weight": ("F32", [width, width], one_hot),
               prefix + "model.norm.weight": ("F32", [width], 1.0),
               prefix + "lm_head.weight": ("F32", [width, width], chain(range(width), following, width))}
    for name, shape in (("q_proj", [2, width]), ("k_proj", [2, width]), ("v_proj", [2, width]), ("o_proj", [width, 2])):
        tensors[f"{layer}self_attn.{name}.weight"] = ("F32", shape, 0.0)
    for name, shape in (("gate_proj", [2, width]), ("up_proj", [2, width]), ("down_proj", [width, 2])):
        tensors[f"{layer}mlp.{name}.weight"] = ("F32", shape, 0.0)
    for name in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"{layer}{name}.weight"] = ("F32", [width], 1.0)
    return tensors


def vision_tensors(hidden=8):
    rng = random.Random(3)

    def some(*shape):
        count = 1
        for size in shape:
            count *= size
        return ("F32", list(shape), [rng.gauss(0, 0.1) for _ in range(count)])

    tensors = {"embeddings.patch_embedding.weight": some(hidden, 3, PATCH, PATCH),
               "embeddings.patch_embedding.bias": some(hidden),
               "embeddings.position_embedding.weight": some(TOKENS_PER_PICTURE, hidden),
               "post_layernorm.weight": some(hidden), "post_layernorm.bias": some(hidden)}
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        tensors[f"encoder.layers.0.self_attn.{name}.weight"] = some(hidden, hidden)
        tensors[f"encoder.layers.0.self_attn.{name}.bias"] = some(hidden)
    for name, shape in (("fc1", (hidden, hidden)), ("fc2", (hidden, hidden))):
        tensors[f"encoder.layers.0.mlp.{name}.weight"] = some(*shape)
        tensors[f"encoder.layers.0.mlp.{name}.bias"] = some(hidden)
    for name in ("layer_norm1", "layer_norm2"):
        tensors[f"encoder.layers.0.{name}.weight"] = some(hidden)
        tensors[f"encoder.layers.0.{name}.bias"] = some(hidden)
    return {"vision_tower." + name: value for name, value in tensors.items()}


def make_parrot(folder, pieces=(b"Hello", b" world"), endless=False, context=256):
    """Writes a LLaVA model folder whose answer is always the pieces, each one token; `endless`: again and again."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    first_special = write_tokenizer(folder, pieces)
    width = first_special + len(SPECIAL)
    width += width % 2
    end = first_special + SPECIAL.index("<|im_end|>")
    script = list(range(256, 256 + len(pieces)))
    following = [script[0]] * width  # whatever the prompt ends with
    for token, successor in zip(script, script[1:] + [script[0] if endless else end]):
        following[token] = successor
    hidden = 8
    tensors = {**vision_tensors(hidden), **decoder_tensors("language_model.", width, following)}
    for name, shape in (("linear_1", [width, hidden]), ("linear_2", [width, width])):
        tensors[f"multi_modal_projector.{name}.weight"] = ("F32", shape, 0.0)
        tensors[f"multi_modal_projector.{name}.bias"] = ("F32", [width], 0.0)
    write_safetensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", {
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
        "image_token_index": first_special + SPECIAL.index("<image>"), "projector_hidden_act": "gelu",
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full", "tie_word_embeddings": False,
        "text_config": {"model_type": "llama", "vocab_size": width, "hidden_size": width, "intermediate_size": 2,
                        "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 2, "rms_norm_eps": 1e-6,
                        "max_position_embeddings": context},
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": hidden, "intermediate_size": hidden,
                          "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": IMAGE_SIDE,
                          "patch_size": PATCH, "vision_use_head": False}})
    write_json(folder / "generation_config.json", {"eos_token_id": end})
    write_json(folder / "preprocessor_config.json", {
        "image_processor_type": "SiglipImageProcessor", "size": {"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})
    return folder


def main():
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY}: found no program; build it, or name it in NURI_BIN")
    unittest.main()
