"""Verbs on GGUF files: those of tests/parity/golden/gguf, and broken ones."""

import json

import harness

GOLDEN = harness.ROOT / "tests/parity/golden/gguf"


class Gguf(harness.TestCase):
    def test_asking(self):
        for name in ("llama", "llama_biases", "qwen2"):
            with self.subTest(name):
                told = self.succeeds_json("ask", GOLDEN / name / "model.gguf", "Where is the dog?", "--greedy",
                                          "--max-tokens", "5", "--json")
                self.assertGreater(told["tokens"]["prompt"], 5)
                self.assertLessEqual(told["tokens"]["completion"], 5)

    def test_tokens_and_chats(self):
        model = GOLDEN / "llama" / "model.gguf"
        text, ids, plain, decoded = json.loads((GOLDEN / "llama" / "tokens.json").read_text())[0]
        self.assertEqual(self.succeeds_json("tokenize", model, "--text", text), {"ids": ids, "text": decoded})
        self.assertEqual(self.succeeds_json("tokenize", model, "--text", text, "--no-special")["ids"], plain)
        messages = self.folder / "messages.json"
        messages.write_text('[{"role": "user", "content": "Hello"}]')
        self.assertEqual(self.succeeds_json("tokenize", model, "--chat", messages)["text"],
                         "<s>[user] Hello</s>\n[assistant]")

    def test_running_on_tensors(self):
        for name, flags in (("mixtral", []), ("mixtral_apart", ["--dtype", "float32"]), ("quantised", []),
                            ("qwen2", ["--weights", "int8"]), ("quantised", ["--weights", "int4"])):
            with self.subTest(name):
                out = self.folder / "out.safetensors"
                self.succeeds("forward", GOLDEN / name / "model.gguf", GOLDEN / name / "inputs.safetensors", "-o", out,
                              *flags, "--generate", "3")
                self.assertGreater(out.stat().st_size, 100)

    def test_inspecting(self):
        told = self.succeeds_json("inspect", GOLDEN / "mixtral" / "model.gguf", "--json")
        self.assertEqual((told["architecture"], told["source"]), ("MixtralForCausalLM", "weights"))
        self.assertLess(told["parameters"]["active"], told["parameters"]["total"])
        told = self.succeeds_json("inspect", GOLDEN / "quantised" / "model.gguf", "--json")
        self.assertEqual(told["architecture"], "LlamaForCausalLM")
        # two tables of 40 words, queries and outputs, keys and values, the feed-forward, three norms
        self.assertEqual(told["parameters"]["total"], 256 * (2 * 40 + 2 * 16 + 2 * 8 + 3 * 32 + 3))

    def test_measuring(self):
        told = self.succeeds_json("bench", GOLDEN / "quantised" / "model.gguf", "-p", "8", "-n", "4", "--json")
        self.assertGreater(told["decode_tokens_per_s"], 0)

    def test_broken_files_are_one_error(self):
        whole = (GOLDEN / "llama" / "model.gguf").read_bytes()
        def changed(old, new):
            self.assertEqual(whole.count(old), 1, old)
            return whole.replace(old, new)
        cases = {
            "cut": (whole[:-40], ["tensor", "bytes"]),
            "magic": (b"GGML" + whole[4:], ["found no GGUF file"]),
            "version": (whole[:4] + b"\1\0\0\0" + whole[8:], ["found version 1"]),
            "fewer": (whole[:8] + bytes([whole[8] - 1]) + whole[9:], ["wrong count"]),
            "trailing": (whole + bytes(100), ["bytes of no tensor"]),
            "name": (changed(b"blk.1.ffn_up.weight", b"blk.1.ffn_ub.weight"), ["model.layers.1.mlp.up_proj.weight"]),
            "layer": (changed(b"blk.1.ffn_up.weight", b"blk.7.ffn_up.weight"), ["model.layers.1.mlp.up_proj.weight"]),
            "text": (b"hello", ["found no GGUF file"]),
        }
        for name, (contents, expected) in cases.items():
            with self.subTest(name):
                path = self.folder / f"{name}.gguf"
                path.write_bytes(contents)
                self.fails(1, ["forward", path, GOLDEN / "llama" / "inputs.safetensors", "-o", self.folder / "out"],
                           f"{name}.gguf", *expected)

    def test_a_file_of_another_kind(self):
        path = self.folder / "model.bin"
        path.write_bytes(b"hello")
        self.fails(2, ["ask", path, "Hello?"], "expected a model folder or a GGUF file")


if __name__ == "__main__":
    harness.main()
