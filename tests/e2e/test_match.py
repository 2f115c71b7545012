"""match, embed, index and search on the tiny checkpoints of tests/parity."""

import json
import math
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest

import harness

WORDS = ["a", "cat", "dog", "photo", "of", "고양이"]


class MatchCase(harness.TestCase):
    def model(self, name):
        """A golden checkpoint with a tokenizer of a few words and a processor."""
        folder = self.folder / name
        if folder.exists():
            return folder
        folder.mkdir()
        for file in ("config.json", "model.safetensors"):
            shutil.copyfile(harness.GOLDEN / name / file, folder / file)
        config = harness.read_json(folder / "config.json")
        last = config["text_config"]["vocab_size"] - 1 if "text_config" in config else 49
        words = {"<pad>": 0, "<unk>": 1} | {word: 3 + i for i, word in enumerate(WORDS)} | {"<end>": last}
        token = lambda text: {"id": words[text], "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True}
        harness.write_json(folder / "tokenizer.json", {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [token("<pad>"), token("<end>")],
            "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
            "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                                         {"SpecialToken": {"id": "<end>", "type_id": 0}}],
                               "pair": [], "special_tokens": {"<end>": {"id": "<end>", "ids": [words["<end>"]],
                                                                        "tokens": ["<end>"]}}},
            "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"}})
        harness.write_json(folder / "tokenizer_config.json", {"pad_token": "<pad>", "model_input_names": ["input_ids"]})
        vision = config.get("vision_config", config)
        if "num_patches" in vision:
            processor = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": vision["patch_size"],
                         "max_num_patches": vision["num_patches"]}
        else:
            side = vision["image_size"]
            processor = {"image_processor_type": "SiglipImageProcessor", "size": {"height": side, "width": side}}
        harness.write_json(folder / "preprocessor_config.json", processor)
        return folder

    def picture(self, name, seed, **size):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return harness.write_png(path, seed=seed, **size)


class Match(MatchCase):
    def test_probabilities_are_of_the_models_kind(self):
        first, second = self.picture("a.png", 1), self.picture("b.png", 2)
        for name, kind in (("clip", "softmax"), ("metaclip2", "softmax"), ("siglip", "sigmoid"), ("siglip2", "sigmoid")):
            with self.subTest(name):
                answer = self.succeeds_json("match", self.model(name), "-i", first, second, "-t", "cat", "-t", "a dog",
                                            "--json")
                self.assertEqual(answer["kind"], kind)
                self.assertEqual([p["picture"] for p in answer["pictures"]], [str(first), str(second)])
                for picture in answer["pictures"]:
                    logits = [text["logit"] for text in picture["texts"]]
                    found = [text["probability"] for text in picture["texts"]]
                    self.assertEqual(logits, sorted(logits, reverse=True))
                    if kind == "softmax":
                        total = sum(math.exp(logit - logits[0]) for logit in logits)
                        expected = [math.exp(logit - logits[0]) / total for logit in logits]
                    else:
                        expected = [1 / (1 + math.exp(-logit)) for logit in logits]
                    for a, b in zip(found, expected):
                        self.assertAlmostEqual(a, b, places=6)

    def test_bars_labels_and_templates(self):
        picture, labels = self.picture("a.png", 1), self.folder / "labels.txt"
        labels.write_text("\n cat \r\n고양이\n\ndog", "utf-8")
        shown = self.succeeds("match", self.model("clip"), "-i", picture, "--labels", labels, "--template",
                              "a photo of a {}", "--template", "{}")
        self.assertEqual(len(shown.splitlines()), 3)
        for label in ("cat", "고양이", "dog"):
            self.assertEqual(shown.count(f" %  {label}\n"), 1)
        top = self.succeeds_json("match", self.model("clip"), "-i", picture, "--labels", labels, "--top", "1", "--json")
        self.assertEqual(len(top["pictures"][0]["texts"]), 1)

    def test_what_cannot_be_matched(self):
        clip, picture, empty = self.model("clip"), self.picture("a.png", 1), self.folder / "empty.txt"
        empty.write_text(" \n\n")
        self.fails(2, ["match", clip, "-i", picture], "found no text")
        self.fails(2, ["match", clip, "-t", "cat"], "found no picture")
        self.fails(2, ["match", clip, "-i", picture, "--labels", empty], empty, "found no label")
        self.fails(2, ["match", clip, "-i", picture, "-t", "cat", "--template", "a photo"], "found no {}")
        self.fails(2, ["match", clip, "-i", picture, "-t", "cat " * 20], "found 21 tokens, expected 1 to 12")
        self.fails(1, ["match", self.model("dinov2"), "-i", picture, "-t", "cat"], "reads pictures alone")
        self.fails(1, ["match", "emoji-world", "-i", picture, "-t", "cat"], "without a space")
        harness.write_json(clip / "tokenizer_config.json", {"model_input_names": ["input_ids"]})
        self.fails(2, ["match", clip, "-i", picture, "-t", "cat"], "pad_token", "found none")


class Embed(MatchCase):
    def test_lines_and_matrix_are_the_same_unit_vectors(self):
        pictures = [self.picture("a.png", 1), self.picture("b.png", 2, width=7, height=90)]
        arguments = ["embed", self.model("siglip2"), "-i", *pictures, "-t", "a cat"]
        lines = [json.loads(line) for line in self.succeeds(*arguments).splitlines()]
        self.assertEqual([line.get("picture", line.get("text")) for line in lines], [*map(str, pictures), "a cat"])
        self.succeeds(*arguments, "-o", self.folder / "all.npy")
        data = (self.folder / "all.npy").read_bytes()
        self.assertEqual(data[:8], b"\x93NUMPY\x01\0")
        length = struct.unpack("<H", data[8:10])[0]
        self.assertEqual((10 + length) % 64, 0)
        width = len(lines[0]["embedding"])
        self.assertIn(f"'shape': (3, {width})", data[10:10 + length].decode())
        values = struct.unpack(f"<{3 * width}f", data[10 + length:])
        for row, line in enumerate(lines):
            self.assertAlmostEqual(sum(x * x for x in line["embedding"]), 1, places=5)
            for a, b in zip(line["embedding"], values[row * width:]):
                self.assertAlmostEqual(a, b, places=6)

    def test_needs_something(self):
        self.fails(2, ["embed", self.model("clip")], "neither a picture (-i) nor a text")


class Search(MatchCase):
    def index(self, *more, model="dinov2"):
        return self.succeeds_json("index", self.model(model), self.folder / "pictures", "--json", *more)

    def report(self, **counts):
        return dict.fromkeys(("added", "changed", "removed", "unchanged", "unreadable"), 0) | counts

    def test_the_index_follows_its_folder(self):
        first = self.picture("pictures/a.png", 1)
        self.picture("pictures/deep/b.PNG", 2)
        self.picture("pictures/.hidden/c.png", 3)
        (self.folder / "pictures/notes.txt").write_text("no picture")
        self.assertEqual(self.index(), self.report(added=2))
        self.assertEqual(self.index(), self.report(unchanged=2))
        self.picture("pictures/c.png", 4)
        self.picture("pictures/a.png", 5, width=41)
        (self.folder / "pictures/deep/b.PNG").unlink()
        self.assertEqual(self.index(), self.report(added=1, changed=1, removed=1))
        hits = self.succeeds_json("search", self.folder / "pictures", "-i", first, "--json")["hits"]
        self.assertEqual([hit["file"] for hit in hits][0], str(first))
        self.assertAlmostEqual(hits[0]["score"], 1, places=5)
        self.assertEqual(len(hits), 2)

    def test_pictures_that_cannot_be_read_are_told_once(self):
        self.picture("pictures/a.png", 1)
        (self.folder / "pictures/broken.png").write_bytes(b"no picture")
        done = harness.run("index", self.model("dinov2"), self.folder / "pictures", "--json")
        self.assertEqual(json.loads(done.stdout), self.report(added=2, unreadable=1))
        self.assertIn("broken.png", done.stderr.decode())
        self.assertEqual(self.index(), self.report(unchanged=2))

    def test_a_killed_indexing_goes_on(self):
        for i in range(60):
            self.picture(f"pictures/{i:03}.png", i, width=400, height=300)
        command = [harness.BINARY, "index", self.model("dinov2"), self.folder / "pictures"]
        journal = self.folder / "pictures/.nuri-index/files-1.jsonl"
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and not (journal.exists() and journal.stat().st_size):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        known = len(journal.read_text().splitlines())
        self.assertGreater(known, 0)
        self.assertEqual(self.index(), self.report(added=60 - known, unchanged=known))
        hits = self.succeeds_json("search", self.folder / "pictures", "-i", self.folder / "pictures/059.png", "--json")
        self.assertAlmostEqual(hits["hits"][0]["score"], 1, places=5)

    def test_texts_sheets_and_an_index_elsewhere(self):
        for i in range(5):
            self.picture(f"pictures/{i}.png", i)
        place, sheet = self.folder / "index", self.folder / "hits.png"
        self.index("-o", place, model="clip")
        lines = self.succeeds("search", place, "a cat", "-k", "3", "--sheet", sheet).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn(str(self.folder / "pictures"), lines[0])
        width, height = harness.png_size(sheet)
        self.assertGreater(width * height, 3 * 240 * 240)

    def test_what_cannot_be_searched(self):
        picture = self.picture("pictures/a.png", 1)
        self.index()
        pictures, other = self.folder / "pictures", self.folder / "elsewhere"
        other.mkdir()
        self.fails(2, ["search", other, "cat"], "found no index there")
        self.fails(2, ["search", pictures], "neither a text nor a picture")
        self.fails(1, ["search", pictures, "cat"], "reads pictures alone")
        self.fails(2, ["index", self.model("clip"), pictures], "made by another model")
        self.fails(2, ["search", pictures, "-i", picture, "--model", self.model("clip")], "made by another model")
        self.fails(2, ["index", self.model("dinov2"), other], "found no picture")
        self.fails(2, ["index", self.model("dinov2"), self.folder / "none"], "found no such folder")
        journal = pictures / ".nuri-index/files-1.jsonl"
        os.truncate(pictures / ".nuri-index/vectors-1.f32", 3)
        self.fails(1, ["search", pictures, "-i", picture], "vectors-1.f32", "found 3 bytes")
        journal.write_text("nonsense\n")
        self.fails(1, ["search", pictures, "-i", picture], "files-1.jsonl:1")


if __name__ == "__main__":
    unittest.main()
