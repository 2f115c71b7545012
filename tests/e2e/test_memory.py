"""What memory cannot hold is refused beforehand, in one line with the arithmetic; also under a limit on address space."""

import json
import resource
import struct
import unittest

import harness

GIB = 1 << 30


def write_hollow(folder, rows, kind="BF16", context=4096, width=64):
    """A Llama whose embedding has so many rows; its weights are a hole in the file and take no disk."""
    folder.mkdir()
    shapes = {"model.embed_tokens.weight": [rows, width], "model.norm.weight": [width]}
    layer = "model.layers.0."
    shapes |= {f"{layer}self_attn.{name}_proj.weight": [width, width] for name in "qkvo"}
    shapes |= {f"{layer}mlp.{name}_proj.weight": [width, width] for name in ("gate", "up", "down")}
    shapes |= {f"{layer}{name}_layernorm.weight": [width] for name in ("input", "post_attention")}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    harness.write_json(folder / "config.json", {
        "model_type": "llama", "vocab_size": rows, "hidden_size": width, "intermediate_size": width,
        "num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": True,
        "max_position_embeddings": context})
    return folder


@unittest.skipIf(harness.SANITIZED, "sanitizers need more address space than that")
class Memory(harness.TestCase):
    def under(self, limit):
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))}

    def forward(self, model, *flags):
        inputs, self.outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        harness.write_safetensors(inputs, {"input_ids": ("I64", [1, 3], [2, 1, 3])})
        return ["forward", model, inputs, "-o", self.outputs, *flags]

    def test_a_conversion(self):
        model = write_hollow(self.folder / "model", 1 << 34 >> 6)  # 32 GiB
        arguments = self.forward(model, "--dtype", "float32")
        self.fails(1, arguments, "the weights: needs 64.00 GiB", "4 bytes each", "ulimit -v", **self.under(40 * GIB))
        self.assertFalse(self.outputs.exists())

    def test_a_file_beyond_the_address_space(self):
        model = write_hollow(self.folder / "model", 1 << 32 >> 6)  # 8 GiB
        self.fails(1, self.forward(model), "model.safetensors", "8.00 GiB", "ulimit -v", **self.under(3 * GIB))
        self.fails(1, ["inspect", model], "8.00 GiB", "ulimit -v", **self.under(3 * GIB))
        # As it is, it costs address space alone, and its header nothing.
        told = self.succeeds_json("inspect", model, "--json", **self.under(12 * GIB))
        self.assertEqual(told["parameters"]["by_module"]["model.embed_tokens"], 1 << 32)

    def test_a_cache(self):
        model = write_hollow(self.folder / "model", 100)
        for arguments in (self.forward(model, "--generate", "100000000"),
                          ["bench", model, "-p", "4", "-n", "100000000", "-r", "1"]):
            self.fails(1, arguments, "the key-value cache: needs 23.84 GiB", "positions x 256 bytes", "ulimit -v",
                       **self.under(3 * GIB))
        self.assertFalse(self.outputs.exists())
        self.succeeds(*self.forward(model, "--generate", "4"), **self.under(3 * GIB))

    def test_threads(self):
        model = write_hollow(self.folder / "model", 100)
        self.fails(1, self.forward(model, "--threads", "1000"), "--threads", "ulimit -v", **self.under(3 * GIB))
        self.fails(2, self.forward(model, "--threads", "1000000"), "--threads", "1024")
        self.succeeds(*self.forward(model, "--threads", "16"), **self.under(3 * GIB))

    def test_a_question(self):
        model = harness.make_parrot(self.folder / "model", context=1 << 30)
        for limit in (GIB, 2 * GIB):  # the cache takes what is there
            self.assertEqual(self.succeeds("ask", model, "Hi", **self.under(limit)), "Hello world\n")


class Inspect(harness.TestCase):
    def test_a_folder_and_a_configuration(self):
        model = harness.make_parrot(self.folder / "model")
        told = self.succeeds_json("inspect", model, "--json")
        self.assertEqual(told["source"], "weights")
        stored = harness.read_safetensors(model / "model.safetensors")
        self.assertEqual(told["parameters"]["total"], sum(len(values) for _, _, values in stored.values()))
        alone = self.succeeds_json("inspect", model / "config.json", "--json")
        self.assertEqual(alone["source"], "configuration")
        self.assertEqual(alone["parameters"], told["parameters"])
        self.assertEqual(alone["flops_per_picture"], told["flops_per_picture"])
        self.assertIn("text_config.rope_theta = 10000.0", told["assumed"])
        table = self.succeeds("inspect", model)
        for word in ("LlavaForConditionalGeneration", "vision_tower.encoder", "bytes a token", "a picture", "assumed"):
            self.assertIn(word, table)

    def test_refusals(self):
        self.fails(2, ["inspect", self.folder / "nothing"], "nothing")
        model = harness.make_parrot(self.folder / "model")
        harness.change_json(model / "config.json", architectures=["BertModel"])
        self.fails(1, ["inspect", model], "BertModel", "LlamaForCausalLM")


if __name__ == "__main__":
    harness.main()
