"""Whatever is wrong with what the program is given: one clear line, the right exit code, and no half of a file."""

import json
import os
import resource
import struct
import subprocess
import time
import unittest

import harness
from harness import change_json, read_json, write_json

IDS = {"input_ids": ("I64", [1, 3], [72, 105, 10])}


class ModelFolder(harness.TestCase):
    """Each test spoils one thing in a folder that works."""

    def setUp(self):
        super().setUp()
        self.model = harness.make_parrot(self.folder / "model")
        self.inputs, self.outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        harness.write_safetensors(self.inputs, IDS)
        self.picture = harness.write_png(self.folder / "a.png")

    def refused(self, code, *words):
        """Without a trace of an output."""
        self.fails(code, ["forward", self.model, self.inputs, "-o", self.outputs], *words)
        self.assertEqual([name for name in self.names_in(self.folder) if name.startswith("out")], [])

    def config(self, part=None, **changes):
        if part is None:
            return change_json(self.model / "config.json", **changes)
        inner = {**read_json(self.model / "config.json")[part], **changes}
        change_json(self.model / "config.json", **{part: {k: v for k, v in inner.items() if v is not None}})

    def tensors(self, change):
        found = harness.read_safetensors(self.model / "model.safetensors")
        change(found)
        harness.write_safetensors(self.model / "model.safetensors", found)

    def test_it_works_before_it_is_spoilt(self):
        self.assertEqual(self.succeeds("ask", self.model, "Hi"), "Hello world\n")

    # ---- the folder

    def test_no_folder(self):
        for name in ("no-such-model", "/no/such/model", "", "x/" + 300 * "y", str(self.picture)):
            with self.subTest(name[:40]):
                for arguments in (["ask", name, "Hi"], ["chat", name], ["bench", name], ["tokenize", name, "--text", "x"],
                                  ["preprocess", name, "--text", "x", "-o", self.outputs],
                                  ["forward", name, self.inputs, "-o", self.outputs]):
                    self.fails(2, arguments)

    def test_unreadable_folder(self):
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        self.fails(2, ["ask", loop, "Hi"], "loop")
        if os.geteuid() != 0:  # root may read everything
            os.chmod(self.model, 0)
            self.addCleanup(os.chmod, self.model, 0o700)
            self.fails(2, ["ask", self.model, "Hi"], self.model)

    def test_missing_files(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors", "preprocessor_config.json"):
            with self.subTest(name):
                hidden = self.folder / "hidden"
                (self.model / name).rename(hidden)
                self.fails(2, ["ask", self.model, "Hi", "-i", self.picture], name)
                hidden.rename(self.model / name)

    def test_folders_pipes_and_nothing_in_place_of_files(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors", "preprocessor_config.json",
                     "generation_config.json", "chat_template.jinja"):
            path = self.model / name
            whole = path.read_bytes()
            for make in (os.mkdir, os.mkfifo):
                path.unlink()
                make(path)
                with self.subTest(name=name, make=make.__name__):
                    self.fails(2, ["ask", self.model, "Hi"], name, timeout=120)
                os.rmdir(path) if path.is_dir() else path.unlink()
                path.write_bytes(whole)
            if name == "chat_template.jinja":
                continue  # an empty one is a prompt of nothing
            path.write_bytes(b"")
            with self.subTest(name=name, empty=True):
                self.fails(1, ["ask", self.model, "Hi"], name)
            path.write_bytes(whole)

    # ---- config.json

    def test_json_that_is_none(self):
        for text in ("{", "[]", "3", "null", "{}}", '{"a": 1e999}', "[" * 100000, '{"\xff": 1}', "{'a': 1}"):
            (self.model / "config.json").write_bytes(text.encode("latin-1"))
            with self.subTest(text[:20]):
                self.refused(1, "config.json")

    def test_architectures(self):
        supported = ("LlamaForCausalLM", "Qwen2ForCausalLM", "LlavaForConditionalGeneration", "CLIPModel", "SiglipModel",
                     "CLIPVisionModel", "SiglipVisionModel")
        self.config(architectures=["MambaForCausalLM"])
        self.refused(1, "MambaForCausalLM", *supported)
        self.config(architectures=None, model_type="mamba")
        self.refused(1, "mamba", *supported)
        self.config(model_type=None)
        self.refused(1, "model_type", *supported)
        self.config(architectures=3)
        self.refused(1, "architectures")

    def test_wrong_values(self):
        for part, key, value in (("text_config", "hidden_size", "big"), ("text_config", "hidden_size", -1),
                                 ("text_config", "hidden_size", 0), ("text_config", "num_attention_heads", 0),
                                 ("text_config", "hidden_act", "swish2"), ("text_config", "vocab_size", 1 << 62),
                                 ("text_config", "num_hidden_layers", 10**9), ("text_config", "rms_norm_eps", "x"),
                                 ("text_config", "head_dim", 3), ("text_config", "model_type", "mamba"),
                                 ("text_config", "rope_scaling", {"rope_type": "yarn", "factor": 2}),
                                 ("text_config", "max_position_embeddings", -4),
                                 ("vision_config", "patch_size", 0), ("vision_config", "patch_size", 64),
                                 ("vision_config", "image_size", 10**9), ("vision_config", "model_type", "dinov2"),
                                 ("vision_config", "num_attention_heads", 3)):
            before = (self.model / "config.json").read_bytes()
            self.config(part, **{key: value})
            with self.subTest(key=key, value=value):
                self.refused(1, "config.json", key)
            (self.model / "config.json").write_bytes(before)
        for key, value in (("vision_feature_layer", 9), ("vision_feature_layer", []),
                           ("vision_feature_select_strategy", "some"), ("image_token_index", -1),
                           ("image_token_index", 10**6), ("projector_hidden_act", "swish2"), ("text_config", 3)):
            before = (self.model / "config.json").read_bytes()
            self.config(**{key: value})
            with self.subTest(key=key, value=value):
                self.refused(1, "config.json", key)
            (self.model / "config.json").write_bytes(before)

    def test_a_required_field_is_missing(self):
        # What every published configuration has, and no class of the reference has a default for.
        self.config(architectures=None, model_type=None)
        self.refused(1, "config.json", "model_type")

    # ---- weights

    def test_a_missing_tensor(self):
        name = "language_model.model.norm.weight"
        self.tensors(lambda all: all.pop(name))
        self.refused(1, name, "not found")

    def test_a_superfluous_tensor(self):
        self.tensors(lambda all: all.update({"language_model.extra": ("F32", [2], 0.0)}))
        self.refused(1, "language_model.extra")

    def test_a_wrong_shape(self):
        name = "language_model.model.norm.weight"
        width = read_json(self.model / "config.json")["text_config"]["hidden_size"]
        self.tensors(lambda all: all.update({name: ("F32", [width + 1], 1.0)}))
        self.refused(1, name, f"[{width + 1}]", f"[{width}]")

    def test_a_wrong_type(self):
        name = "language_model.model.norm.weight"
        width = read_json(self.model / "config.json")["text_config"]["hidden_size"]
        self.tensors(lambda all: all.update({name: ("I64", [width], 1)}))
        self.refused(1, name, "I64")

    def test_lying_headers(self):
        path = self.model / "model.safetensors"
        whole = path.read_bytes()
        length = struct.unpack("<Q", whole[:8])[0]
        header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
        first = next(iter(header))

        def with_header(value):
            text = (value if isinstance(value, str) else json.dumps(value)).encode()
            return struct.pack("<Q", len(text)) + text + data

        def with_entry(**changes):
            return with_header({**header, first: {**header[first], **changes}})

        end = header[first]["data_offsets"][1]
        spoilt = {
            "empty": b"", "seven bytes": whole[:7], "no header": whole[:8], "half a header": whole[: 8 + length // 2],
            "no data": whole[: 8 + length], "half": whole[: len(whole) // 2], "one byte short": whole[:-1],
            "one byte more": whole + b"\0", "a header of 2^64 - 1 bytes": b"\xff" * 8 + whole[8:],
            "a header as long as the file": struct.pack("<Q", len(whole)) + whole[8:],
            "no object": with_header("[]"), "no JSON": with_header("{" + "a" * 64), "deep": with_header("[" * 50000),
            "beyond the end": with_entry(data_offsets=[0, 1 << 40]),
            "negative": with_entry(data_offsets=[-4, end]), "reversed": with_entry(data_offsets=[end, 0]),
            "overlapping": with_entry(data_offsets=[4, end + 4]), "too short for its shape": with_entry(shape=[1, 1]),
            "a size that overflows": with_entry(shape=[1 << 62, 1 << 62]), "a negative size": with_entry(shape=[-1]),
            "an unknown type": with_entry(dtype="F31"), "no type": with_entry(dtype=None),
            "no offsets": with_entry(data_offsets=None), "a fractional shape": with_entry(shape=[1.5]),
            "a picture": self.picture.read_bytes(), "a page": b"<!DOCTYPE html><html>" + b" " * 3000,
            "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"}
        for what, contents in spoilt.items():
            path.write_bytes(contents)
            with self.subTest(what):
                self.fails(1, ["forward", self.model, self.inputs, "-o", self.outputs], "model.safetensors")
            # The inputs of `forward` are read by the same parser.
            spoilt_input = self.folder / "spoilt.safetensors"
            spoilt_input.write_bytes(contents)
            path.write_bytes(whole)
            with self.subTest(what, input=True):
                self.fails(1, ["forward", self.model, spoilt_input, "-o", self.outputs], "spoilt.safetensors")
        self.assertFalse(self.outputs.exists())

    def test_shards(self):
        index = self.model / "model.safetensors.index.json"
        (self.model / "model.safetensors").rename(self.model / "model-1.safetensors")
        names = list(harness.read_safetensors(self.model / "model-1.safetensors"))
        write_json(index, {"weight_map": {name: "model-1.safetensors" for name in names}})
        self.succeeds("ask", self.model, "Hi")
        for weight_map in ({name: "model-2.safetensors" for name in names}, {"x": "model-1.safetensors"}, {}, 3,
                           {name: "../model/model-1.safetensors" for name in names}, {names[0]: 3},
                           {**{name: "model-1.safetensors" for name in names}, "more": "model-1.safetensors"}):
            write_json(index, {"weight_map": weight_map})
            with self.subTest(str(weight_map)[:60]):
                done = harness.run("ask", self.model, "Hi")
                self.assertIn(done.returncode, (1, 2))
                self.check_complaint(done.returncode, done.returncode, done.stderr)

    def test_pickled_weights(self):
        (self.model / "model.safetensors").rename(self.model / "pytorch_model.bin")
        self.refused(1, "pytorch_model.bin", "safetensors")

    # ---- tokenizer, chat template, generation settings

    def test_unknown_components_of_a_tokenizer(self):
        for part, value in (("model", {"type": "Markov"}), ("normalizer", {"type": "Rot13"}), ("decoder", {"type": "No"}),
                            ("pre_tokenizer", {"type": "Guess"}), ("post_processor", {"type": "Later"}),
                            ("model", {"type": "BPE", "vocab": {"a": -1}, "merges": []}), ("model", None),
                            ("model", {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}),
                            ("added_tokens", [{"id": "x"}]), ("normalizer", 3),
                            ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated"})):
            before = (self.model / "tokenizer.json").read_bytes()
            change_json(self.model / "tokenizer.json", **{part: value})
            with self.subTest(part=part, value=value):
                words = [value["type"]] if isinstance(value, dict) and len(value) == 1 else []
                self.fails(1, ["tokenize", self.model, "--text", "Hi"], "tokenizer.json", *words)
            (self.model / "tokenizer.json").write_bytes(before)

    def test_templates(self):
        for what, text in {
                "endless": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                "endless by itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                "much": "{% for a in range(99999) %}{{ 'x' * 99999 }}{% endfor %}", "large": "{{ 'x' * 10**12 }}",
                "doubling": "{% set ns = namespace(s='xx') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}"
                            "{% endfor %}{{ ns.s }}",
                "a power": "{{ 9 ** 9 ** 9 ** 9 }}", "unclosed": "{% if x %}", "unknown": "{% frobnicate %}",
                "deep": "{{ " + "(" * 50000 + "1" + ")" * 50000 + " }}", "a filter": "{{ 1 | frobnicate }}",
                "raises": "{{ raise_exception('no such role') }}", "no text": "\x00\xff{{"}.items():
            (self.model / "chat_template.jinja").write_bytes(text.encode("latin-1"))
            with self.subTest(what):
                begin = time.monotonic()
                done = harness.run("ask", self.model, "Hi")
                self.assertIn(done.returncode, (1, 2))
                self.check_complaint(done.returncode, done.returncode, done.stderr)
                self.assertLess(time.monotonic() - begin, 60)

    def test_generation_settings(self):
        for changes in ({"temperature": -1}, {"top_p": 2}, {"top_k": "x"}, {"max_new_tokens": 0}, {"eos_token_id": "x"},
                        {"repetition_penalty": 0}):
            write_json(self.model / "generation_config.json", changes)
            with self.subTest(changes):
                self.fails(1, ["ask", self.model, "Hi"], "generation_config.json", next(iter(changes)))

    def test_picture_processors(self):
        path = self.model / "preprocessor_config.json"
        before = path.read_bytes()
        for changes in ({"image_processor_type": "OwlProcessor"}, {"size": {"height": 0, "width": 1}}, {"size": "x"},
                        {"image_std": [0, 0, 0]}, {"image_mean": [1]}, {"resample": 77}, {"rescale_factor": "x"},
                        {"size": {"height": 1 << 40, "width": 1 << 40}}, {"size": {"height": 16, "width": 16}}):
            change_json(path, **changes)
            with self.subTest(changes):
                done = harness.run("ask", self.model, "Hi", "-i", self.picture)
                self.check_complaint(done.returncode, done.returncode or 1, done.stderr)
            path.write_bytes(before)

    # ---- prompts

    def test_a_prompt_longer_than_the_context(self):
        self.fails(2, ["ask", self.model, "x" * 300], "256", "context")
        self.assertEqual(self.succeeds("ask", self.model, "x" * 100), "Hello world\n")

    def test_400_pictures_in_one_prompt(self):
        pictures = ["-i", self.picture] * 400
        self.fails(2, ["ask", self.model, "Hi", *pictures], "256")
        roomy = harness.make_parrot(self.folder / "roomy", context=4096)
        self.assertEqual(self.succeeds("ask", roomy, "Hi", *pictures), "Hello world\n")

    def test_a_picture_of_1_by_10000_pixels(self):
        """Each family's processor takes it, or says why not."""
        golden = harness.ROOT / "tests/parity/golden"
        folders = [*sorted((golden / "processors").iterdir()), golden / "qwen2_vl"]
        for size in ((1, 10000), (10000, 1)):
            thin = harness.write_png(self.folder / "thin.png", *size)
            self.assertEqual(self.succeeds("ask", self.model, "Hi", "-i", thin), "Hello world\n")
            for folder in folders:
                with self.subTest(folder.name, size=size):
                    done = harness.run("preprocess", folder, "-i", thin, "-o", self.outputs)
                    if done.returncode != 0:
                        self.check_complaint(done.returncode, done.returncode, done.stderr, "found", "expected")

    def test_an_image_token_without_a_picture(self):
        out = self.outputs
        self.fails(2, ["preprocess", self.model, "--text", "<image>What?", "-o", out], "<image>")
        self.fails(2, ["preprocess", self.model, "--text", "What?", "-i", self.picture, "-o", out], "<image>")
        self.fails(2, ["preprocess", self.model, "--text", "<image><image>", "-i", self.picture, "-o", out], "<image>")
        self.fails(2, ["ask", self.model, "<image>"], "<image>")
        token = read_json(self.model / "config.json")["image_token_index"]
        harness.write_safetensors(self.inputs, {"input_ids": ("I64", [1, 3], [72, token, 10])})
        self.fails(2, ["forward", self.model, self.inputs, "-o", out], "image")
        harness.write_safetensors(self.inputs, {**IDS, "pixel_values": ("F32", [1, 3, 32, 32], 0.5)})
        self.fails(2, ["forward", self.model, self.inputs, "-o", out], "image")
        self.assertFalse(out.exists())

    def test_bytes_that_are_no_text(self):
        done = subprocess.run([harness.BINARY, "ask", str(self.model), b"\xff\xfe"], capture_output=True)
        self.check_complaint(done.returncode, 2, done.stderr, "UTF-8")

    # ---- pictures

    def test_pictures_that_are_none(self):
        png = self.picture.read_bytes()
        for what, contents in {"empty": b"", "text": b"Hello", "half": png[: len(png) // 2], "a gif": b"GIF89a" + b"\0" * 50,
                               "head": png[:40], "changed": png[:60] + b"\xff" + png[61:],
                               "huge": png[:16] + struct.pack(">II", 1 << 30, 1 << 30) + png[24:],
                               "jpeg head": b"\xff\xd8\xff\xe0", "webp head": b"RIFF\x10\0\0\0WEBPVP8 "}.items():
            bad = self.folder / "bad.png"
            bad.write_bytes(contents)
            with self.subTest(what):
                self.fails(1, ["ask", self.model, "Hi", "-i", bad], "bad.png")
                self.fails(1, ["preprocess", self.model, "-i", bad, "-o", self.outputs], "bad.png")
        self.fails(2, ["ask", self.model, "Hi", "-i", self.folder / "none.png"], "none.png")
        self.fails(2, ["ask", self.model, "Hi", "-i", self.folder], self.folder)
        self.fails(1, ["ask", self.model, "Hi", "-i", self.picture, "--max-pixels", "100"], "--max-pixels")
        self.assertFalse(self.outputs.exists())

    # ---- memory

    @unittest.skipIf(harness.SANITIZED, "sanitizers need more address space than that")
    def test_a_context_that_memory_cannot_hold(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

        self.fails(1, ["bench", self.model, "-p", "1000000000", "-r", "1"], "available", preexec_fn=limit)


if __name__ == "__main__":
    harness.main()
