"""What memory cannot hold is refused beforehand, in one line with the arithmetic; also under a limit on address space."""

import json
import math
import resource
import struct
import unittest

import harness

GIB = 1 << 30


def write_hole(folder, shapes, config):
    """A model whose weights, of two bytes each, are a hole in the file and take no disk."""
    folder.mkdir()
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    harness.write_json(folder / "config.json", config)
    return folder


def decoder_shapes(rows, width):
    shapes = {"model.embed_tokens.weight": [rows, width], "model.norm.weight": [width]}
    layer = "model.layers.0."
    shapes |= {f"{layer}self_attn.{name}_proj.weight": [width, width] for name in "qkvo"}
    shapes |= {f"{layer}mlp.{name}_proj.weight": [width, width] for name in ("gate", "up", "down")}
    return shapes | {f"{layer}{name}_layernorm.weight": [width] for name in ("input", "post_attention")}


def write_hollow(folder, rows, context=4096, width=64):
    """A Llama whose embedding has so many rows."""
    return write_hole(folder, decoder_shapes(rows, width), {
        "model_type": "llama", "vocab_size": rows, "hidden_size": width, "intermediate_size": width,
        "num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": True,
        "max_position_embeddings": context})


def write_qwen(folder, width, hidden, whole):
    """A Qwen2.5-VL of one layer in the encoder, whose rows see the `whole` picture or a window."""
    shapes = decoder_shapes(100, 64) | {f"model.layers.0.self_attn.{name}_proj.bias": [64] for name in "qkv"}
    shapes["visual.patch_embed.proj.weight"] = [width, 3, 2, 14, 14]
    sizes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.gate_proj": (hidden, width),
             "mlp.up_proj": (hidden, width), "mlp.down_proj": (width, hidden)}
    parts = {f"blocks.0.{name}": size for name, size in sizes.items()}
    parts |= {"merger.mlp.0": (4 * width, 4 * width), "merger.mlp.2": (64, 4 * width)}
    for name, (out, into) in parts.items():
        shapes |= {f"visual.{name}.weight": [out, into], f"visual.{name}.bias": [out]}
    shapes |= {f"visual.{name}.weight": [width] for name in ("blocks.0.norm1", "blocks.0.norm2", "merger.ln_q")}
    write_hole(folder, shapes, {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl", "image_token_id": 98,
        "video_token_id": 97, "vision_start_token_id": 95, "vision_end_token_id": 96, "tie_word_embeddings": True,
        "text_config": {
            "model_type": "qwen2_5_vl_text", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 64,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}},
        "vision_config": {
            "model_type": "qwen2_5_vl_vision", "depth": 1, "hidden_size": width, "intermediate_size": hidden,
            "num_heads": 2, "out_hidden_size": 64, "patch_size": 14, "window_size": 112,
            "fullatt_block_indexes": [0] if whole else []}})
    harness.write_json(folder / "preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 56 * 56, "max_pixels": 4096 * 4096})
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

    def test_codes(self):
        model = write_hollow(self.folder / "model", 1 << 34 >> 6)  # 32 GiB, which the head takes in 8 bits
        for weights in ("int8", "int4"):
            self.fails(1, self.forward(model, "--weights", weights), "the weights: needs 18.00 GiB", "of codes",
                       "ulimit -v", **self.under(40 * GIB))
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
        for verb in (["ask", model, "Hi"], ["chat", model]):  # one that was named is there as a whole, or refused
            self.fails(1, [*verb, "--context", "8589934592"], "the key-value cache: needs", "(8589934592 positions x",
                       "ulimit -v", **self.under(2 * GIB))
        self.assertEqual(self.succeeds("ask", model, "Hi", "--context", "64", "--cache", "int8"), "Hello world\n")


@unittest.skipIf(harness.SANITIZED, "sanitizers keep what was freed")
class LargePictures(harness.TestCase):
    def beyond_a_small_one(self, model, side):
        """Bytes that a picture takes at the peak beyond what a small one takes."""
        peaks = [self.succeeds_json("bench", model, "-p", "1", "-n", "0", "-r", "1", "--image", size,
                                    "--json")["peak_rss_bytes"] for size in (f"{side}x{side}", "56x56")]
        return peaks[0] - peaks[1]

    def test_the_feed_forward_of_a_large_picture_comes_in_pieces(self):
        model = write_qwen(self.folder / "model", 32, 8192, whole=False)
        patches = (4096 // 28 * 2) ** 2
        at_once = patches * 2 * 8192 * 2  # gate and up, of two bytes each
        self.assertGreater(at_once, 2.5 * GIB)
        self.assertLess(self.beyond_a_small_one(model, 4096), 1.1 * GIB)  # of which 0.4 are its pixels

    def test_rows_that_see_a_whole_picture_keep_no_scores(self):
        model = write_qwen(self.folder / "model", 32, 64, whole=True)
        patches = (2016 // 28 * 2) ** 2
        self.assertGreater(patches ** 2 * 2 * 2, 1.5 * GIB)  # scores of two heads
        self.assertLess(self.beyond_a_small_one(model, 2016), 0.3 * GIB)


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
