"""Input tensors of `nuri forward` that do not fit: one clear line, the right exit code, and no output."""

import struct

import harness


class ForwardInputs(harness.TestCase):
    def refused(self, code, model, tensors, *words, flags=()):
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        if isinstance(tensors, dict):
            harness.write_safetensors(inputs, tensors)
        else:
            inputs.write_bytes(tensors)
        self.fails(code, ["forward", harness.GOLDEN / model, inputs, "-o", outputs, *flags], *words)
        self.assertEqual(self.names_in(self.folder), ["in.safetensors"])

    def test_a_language_model(self):
        ids = {"input_ids": ("I64", [1, 4], [1, 2, 3, 4])}
        for what, tensors, word in (
                ("nothing", {}, "input_ids"), ("another name", {"inputs": ids["input_ids"]}, "inputs"),
                ("one more", {**ids, "pixels": ("F32", [1], 0.0)}, "pixels"),
                ("flat", {"input_ids": ("I64", [4], [1, 2, 3, 4])}, "input_ids"),
                ("floating", {"input_ids": ("F32", [1, 4], 1.0)}, "input_ids"),
                ("truth values", {"input_ids": ("BOOL", [1, 4], 1)}, "input_ids"),
                ("negative", {"input_ids": ("I64", [1, 2], [1, -1])}, "-1"),
                ("too large", {"input_ids": ("I64", [1, 2], [1, 48])}, "48"),
                ("far too large", {"input_ids": ("I64", [1, 2], [1, 1 << 62])}, str(1 << 62)),
                ("no row", {"input_ids": ("I64", [0, 4], [])}, "input_ids"),
                ("no token", {"input_ids": ("I64", [1, 0], [])}, "input_ids"),
                ("a short mask", {**ids, "attention_mask": ("I64", [1, 3], 1)}, "attention_mask"),
                ("a flat mask", {**ids, "attention_mask": ("I64", [4], 1)}, "attention_mask"),
                ("positions of another shape", {**ids, "position_ids": ("I64", [1, 5], 0)}, "position_ids"),
                ("floating positions", {**ids, "position_ids": ("F32", [1, 4], 0.0)}, "position_ids"),
                ("labels of another shape", {**ids, "labels": ("I64", [2, 4], 0)}, "labels"),
                ("labels that are none", {**ids, "labels": ("I64", [1, 4], [0, 1, 48, 2])}, "labels"),
                ("negative labels", {**ids, "labels": ("I64", [1, 4], [0, 1, -7, 2])}, "labels"),
                ("floating labels", {**ids, "labels": ("F32", [1, 4], 0.0)}, "labels"),
                ("fewer than no logits", {**ids, "logits_to_keep": ("I64", [], [-2])}, "logits_to_keep"),
                ("logits of no position", {**ids, "logits_to_keep": ("I64", [2], [0, 4])}, "logits_to_keep"),
                ("floating logits", {**ids, "logits_to_keep": ("F32", [2], [0.0, 1.0])}, "logits_to_keep"),
                ("an empty list of logits", {**ids, "logits_to_keep": ("I64", [0], [])}, "logits_to_keep")):
            with self.subTest(what):
                self.refused(2, "llama3", tensors, word)
                self.refused(2, "llama3", tensors, word, flags=("--generate", "2"))

    def test_what_a_language_model_takes(self):
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        ids = {"input_ids": ("I32", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])}
        for more, rows in (({}, 4), ({"logits_to_keep": ("I64", [], [2])}, 2), ({"logits_to_keep": ("I64", [], [0])}, 4),
                           ({"logits_to_keep": ("I64", [], [9])}, 4), ({"logits_to_keep": ("I64", [3], [3, 0, -1])}, 3),
                           ({"labels": ("I64", [2, 4], [-100, 1, 2, 3] * 2)}, 4),
                           ({"attention_mask": ("I64", [2, 4], [0, 0, 1, 1, 1, 1, 1, 1])}, 4)):
            harness.write_safetensors(inputs, {**ids, **more})
            self.succeeds("forward", harness.GOLDEN / "llama3", inputs, "-o", outputs, "--generate", "3")
            found = harness.read_safetensors(outputs)
            self.assertEqual(found["logits"][1][:2], [2, rows])
            self.assertEqual(found["sequences"][1], [2, 7])

    def test_rows_of_padding_alone(self):
        self.refused(2, "llama3", {"input_ids": ("I64", [1, 2], [1, 2]), "attention_mask": ("I64", [1, 2], 0)},
                     "no token", flags=("--generate", "2"))

    def test_more_tokens_than_memory_holds(self):
        ids = {"input_ids": ("I64", [1, 4], [1, 2, 3, 4])}
        for count in (10**10, 10**18):
            done = harness.run("forward", harness.GOLDEN / "llama3", self.write(ids), "-o", self.folder / "out",
                               "--generate", count)
            self.check_complaint(done.returncode, done.returncode or 1, done.stderr)
        for count in ("0", "-1", "x"):
            self.refused(2, "llama3", ids, "--generate", flags=("--generate", count))

    def write(self, tensors):
        path = self.folder / "in.safetensors"
        harness.write_safetensors(path, tensors)
        return path

    def test_a_vision_model(self):
        for what, tensors, word in (
                ("whole numbers", {"pixel_values": ("I64", [1, 3, 12, 12], 1)}, "pixel_values"),
                ("bytes", {"pixel_values": ("U8", [1, 3, 12, 12], 1)}, "pixel_values"),
                ("no picture", {"pixel_values": ("F32", [0, 3, 12, 12], [])}, "pixel_values"),
                ("another size", {"pixel_values": ("F32", [1, 3, 12, 13], 0.0)}, "pixel_values"),
                ("one channel", {"pixel_values": ("F32", [1, 1, 12, 12], 0.0)}, "pixel_values"),
                ("no batch", {"pixel_values": ("F32", [3, 12, 12], 0.0)}, "pixel_values"),
                ("ids", {"pixel_values": ("F32", [1, 3, 12, 12], 0.0), "input_ids": ("I64", [1, 1], 1)}, "input_ids")):
            for model in ("siglip_vision", "clip_vision"):
                with self.subTest(what, model=model):
                    self.refused(2, model, tensors, word)
        self.refused(2, "siglip_vision", {"pixel_values": ("F32", [1, 3, 12, 12], 0.0)}, "--generate",
                     flags=("--generate", "2"))

    def test_a_contrastive_model(self):
        pixels = {"pixel_values": ("F32", [1, 3, 12, 12], 0.0)}
        for what, tensors, word in (
                ("no text", pixels, "input_ids"), ("no picture", {"input_ids": ("I64", [1, 12], 1)}, "pixel_values"),
                ("floating", {**pixels, "input_ids": ("F32", [1, 12], 1.0)}, "input_ids"),
                ("too long", {**pixels, "input_ids": ("I64", [1, 13], 1)}, "input_ids"),
                ("too large", {**pixels, "input_ids": ("I64", [1, 12], 50)}, "50"),
                ("negative", {**pixels, "input_ids": ("I64", [1, 12], -5)}, "-5"),
                ("no row", {**pixels, "input_ids": ("I64", [0, 12], [])}, "input_ids"),
                ("no token", {**pixels, "input_ids": ("I64", [1, 0], [])}, "input_ids"),
                ("a short mask", {**pixels, "input_ids": ("I64", [1, 12], 1), "attention_mask": ("I64", [1, 11], 1)},
                 "attention_mask")):
            for model in ("siglip", "clip"):
                with self.subTest(what, model=model):
                    self.refused(2, model, tensors, word)

    def test_llava(self):
        for what, tensors, word in (
                ("too few features", {"input_ids": ("I64", [1, 3], [1, 47, 2]), "pixel_values": ("F32", [1, 3, 13, 13], 0.0)},
                 "image"),
                ("no pictures", {"input_ids": ("I64", [1, 3], [1, 47, 2])}, "image"),
                ("an empty batch", {"input_ids": ("I64", [1, 3], [1, 2, 3]), "pixel_values": ("F32", [0, 3, 13, 13], [])},
                 "pixel_values")):
            with self.subTest(what):
                self.refused(2, "llava_siglip_qwen2", tensors, word)

    def test_a_tile_grid_that_the_model_does_not_know(self):
        tensors = {name: value for name, value in
                   harness.read_safetensors(harness.GOLDEN / "mllama" / "inputs.safetensors").items()}
        kind, shape, values = tensors["aspect_ratio_ids"]
        for grid in (99, -1, 2**40):
            self.refused(2, "mllama", {**tensors, "aspect_ratio_ids": (kind, shape, [grid] * len(values))},
                         "aspect_ratio_ids")
        tensors = harness.read_safetensors(harness.GOLDEN / "llava_next_clip_llama" / "inputs.safetensors")
        for sizes in ([1, 10**9], [0, 5], [-3, 4]):
            count = tensors["image_sizes"][1][0]
            self.refused(2, "llava_next_clip_llama", {**tensors, "image_sizes": ("I64", [count, 2], sizes * count)}, "image")

    def test_files_that_are_no_tensors(self):
        folder = self.folder / "in.safetensors"
        folder.mkdir()
        self.fails(2, ["forward", harness.GOLDEN / "llama3", folder, "-o", self.folder / "out"], "in.safetensors")
        folder.rmdir()
        self.fails(2, ["forward", harness.GOLDEN / "llama3", folder, "-o", self.folder / "out"], "in.safetensors")
        header = b'{"input_ids":{"dtype":"I64","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}}'
        done = harness.run("forward", harness.GOLDEN / "llama3", "-o", self.folder / "out",
                           self.write_bytes(struct.pack("<Q", len(header)) + header))
        self.check_complaint(done.returncode, done.returncode or 1, done.stderr)
        header = b'{"input_ids":{"dtype":"F8_E5M2","shape":[1,2],"data_offsets":[0,2]}}'
        self.refused(1, "llama3", struct.pack("<Q", len(header)) + header + b"ab", "F8_E5M2")

    def write_bytes(self, contents):
        path = self.folder / "in.safetensors"
        path.write_bytes(contents)
        return path


if __name__ == "__main__":
    harness.main()
