"""The bundled model: every verb on it, with answers that make sense."""

import json
import re
import signal
import subprocess
import unicodedata

import harness

# What docs/scene.png shows, as its generator drew it.
SHOWN = {"gem": [97, 179, 252, 319], "dolphin": [5, 26, 149, 174], "cookie": [227, 77, 369, 215]}
RECIPE = harness.ROOT / "recipes/emoji_world/recipe.toml"
SCENE = harness.ROOT / "docs/scene.png"
FILM = harness.ROOT / "docs/film.mp4"  # a palette that moves left, four frames, and a dolphin


class Bundled(harness.TestCase):
    def test_what_lies_in_the_folder(self):
        names = self.names_in(harness.BUNDLED)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"):
            self.assertIn(name, names)
        self.assertLessEqual(sum(path.stat().st_size for path in harness.BUNDLED.rglob("*") if path.is_file()), 25e6)
        self.assertEqual(harness.read_json(harness.BUNDLED / "config.json")["architectures"],
                         ["LlavaForConditionalGeneration"])

    def test_is_found_by_its_name_from_anywhere(self):
        for cwd in ("/", self.folder):
            told = self.succeeds_json("tokenize", "emoji-world", "--text", "고양이 cat", cwd=cwd)
            self.assertEqual(told["text"], "고양이 cat")

    def test_tokens_of_any_text(self):
        lines = self.folder / "lines.jsonl"
        texts = ["", " ", "고양이는 어디에 있어?", "12345", "🐈‍⬛👨‍👩‍👧", "a\tb\r\n\n c  ", "e\u0301", "<image>", "\u0000", "<|im_end|>x",
                 "{\"bbox_2d\": [1, 2, 3, 4]}"]
        lines.write_text("\n".join(json.dumps(text) for text in texts))
        for text, line in zip(texts, self.succeeds("tokenize", "emoji-world", "--lines", lines).splitlines()):
            told = json.loads(line)
            self.assertEqual(told["text"], unicodedata.normalize("NFC", text))
            ids = ",".join(map(str, told["ids"]))
            self.assertEqual(self.succeeds_json("tokenize", "emoji-world", "--decode", ids)["text"], told["text"])

    def test_answers_in_both_languages(self):
        for question, letters in (("What is in the picture?", "[a-z]"), ("그림에 무엇이 있어?", "[가-힣]")):
            with self.subTest(question):
                answer = self.succeeds_json("ask", "emoji-world", question, "-i", SCENE, "--json")
                self.assertRegex(answer["text"], letters)
                streamed = self.succeeds("ask", "emoji-world", question, "-i", SCENE)
                self.assertEqual(streamed, answer["text"] + "\n")

    def test_finds_what_the_scene_shows(self):
        for name, (x1, y1, x2, y2) in SHOWN.items():
            with self.subTest(name):
                answer = self.succeeds_json("ask", "emoji-world", f"Where is the {name}?", "-i", SCENE, "--json")
                (found,) = answer["boxes"]
                self.assertEqual(found["label"], name)
                left, top, right, bottom = found["box"]
                inner = max(0, min(right, x2) - max(left, x1)) * max(0, min(bottom, y2) - max(top, y1))
                outer = (right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - inner
                self.assertGreater(inner / outer, 0.5)

    def test_watches_a_film(self):
        found = self.succeeds_json("ask", "emoji-world", "Where is the palette in each frame?", "-v", FILM, "--json")
        lefts = [box["box"][0] for box in found["boxes"]]
        self.assertEqual(len(lefts), 4)
        self.assertEqual(lefts, sorted(lefts, reverse=True))
        self.assertGreater(lefts[0] - lefts[3], 30)
        self.assertEqual({box["label"] for box in found["boxes"]}, {"palette"})
        for question, answer in (("What moves?", "palette"), ("Which way does the palette move?", "left")):
            self.assertEqual(self.succeeds("ask", "emoji-world", question, "-v", FILM), answer + "\n")

    def test_grounds_in_pixels_of_the_picture(self):
        question = f"Where is the {next(iter(SHOWN))}?"
        asked = self.succeeds_json("ask", "emoji-world", question, "-i", SCENE, "--json")
        drawn = self.folder / "places.png"
        told = self.succeeds_json("ground", "emoji-world", question, "-i", SCENE, "--json", "--draw", drawn)
        self.assertEqual(told, {"text": asked["text"], "boxes": asked["boxes"], "points": []})
        self.assertGreaterEqual(min(harness.png_size(drawn)), 240)
        lines = self.succeeds("ground", "emoji-world", question, "-i", SCENE).splitlines()
        self.assertRegex(lines[0], rf"^box( +[\d.]+){{4}}  {asked['boxes'][0]['label']}$")
        self.fails(2, ["ground", "emoji-world", question], "-i")

    def test_explains_by_what_it_points_at(self):
        for name, (x1, y1, x2, y2) in SHOWN.items():
            with self.subTest(name):
                heat, drawn = self.folder / "heat.png", self.folder / "drawn.png"
                told = self.succeeds_json("ask", "emoji-world", f"Where is the {name}?", "-i", SCENE, "--greedy",
                                          "--explain", heat, "--draw", drawn, "--json")
                self.assertGreaterEqual(min(harness.png_size(heat)), 640)
                self.assertGreaterEqual(min(harness.png_size(drawn)), 240)
                explained = told["explain"]
                self.assertLessEqual(explained["measurements"], 128)
                strongest = explained["regions"][0]
                left, top, right, bottom = strongest["box"]
                inner = max(0, min(right, x2) - max(left, x1)) * max(0, min(bottom, y2) - max(top, y1))
                self.assertGreater(inner, 0.5 * (right - left) * (bottom - top), strongest)
                self.assertGreater(strongest["strength"], 1)
                self.assertTrue(x1 < (left + right) / 2 < x2 and y1 < (top + bottom) / 2 < y2, strongest)

    def test_an_interrupted_explanation_leaves_no_file(self):
        out = self.folder / "heat.png"
        command = [harness.BINARY, "ask", "emoji-world", "Where is the gem?", "-i", SCENE, "--greedy", "--explain", out,
                   "--explain-measurements", "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            answer = process.stdout.readline()  # what follows takes seconds
            process.send_signal(signal.SIGINT)
            rest, error = process.communicate(timeout=harness.PATIENCE)
        self.assertIn(b"gem", answer)
        self.assertEqual(rest, b"")
        self.check_complaint(process.returncode, 130, error, "interrupted")
        self.assertEqual(self.names_in(self.folder), [])

    def test_what_explain_refuses(self):
        out = self.folder / "heat.png"
        ask = ["ask", "emoji-world", "Where is the cat?", "--explain", out]
        self.fails(2, ask, "--explain", "found no picture", "-i")
        self.fails(2, [*ask, "-i", SCENE, "--draw", out], "--draw", "another file")
        self.fails(2, [*ask, "-i", SCENE, "--explain-measurements", "3"], "--explain-measurements", "found 3")
        self.fails(2, [*ask[:-1], self.folder / "none/heat.png", "-i", SCENE], "none/heat.png")
        self.assertFalse(out.exists())

    def test_routing_needs_experts(self):
        self.fails(1, ["ask", "emoji-world", "What is here?", "-i", SCENE, "--routing", self.folder / "r.json"],
                   "experts")
        self.assertFalse((self.folder / "r.json").exists())

    def test_every_verb(self):
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        self.succeeds("preprocess", "emoji-world", "--text", "<image>What is here?", "-i", SCENE, "-o", inputs)
        self.succeeds("forward", "emoji-world", inputs, "-o", outputs, "--dtype", "float32", "--generate", "4")
        self.assertEqual(set(harness.read_safetensors(outputs)) & {"logits", "sequences"}, {"logits", "sequences"})
        self.assertGreater(self.succeeds_json("bench", "emoji-world", "-p", "32", "-n", "8", "-r", "1", "--json")
                           ["decode_tokens_per_s"], 0)
        drawn = self.folder / "drawn.png"
        done = harness.run("chat", "emoji-world", "-i", SCENE, cwd=self.folder,
                           input=f"What is here?\nHow many?\n/image {SCENE}\nWhat is here?\n/save talk.json\n".encode())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(len(harness.read_json(self.folder / "talk.json")["messages"]), 6)
        self.succeeds("ask", "emoji-world", "Where is everything?", "-i", SCENE, "--draw", drawn)
        self.assertGreater(min(harness.png_size(drawn)), 0)

    def test_rounded_weights(self):
        """What 8 bits cost is small, what 4 bits cost is seen; scores are of the whole prompt, a picture's tokens too."""
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        self.succeeds("preprocess", "emoji-world", "--text", "<image>What is here?", "-i", SCENE, "-o", inputs)

        def logits(*flags):
            self.succeeds("forward", "emoji-world", inputs, "-o", outputs, "--dtype", "float32", *flags)
            return harness.read_safetensors(outputs)["logits"][2]

        exact, eight, four = logits(), logits("--weights", "int8"), logits("--weights", "int4")
        most = max(map(abs, exact))
        off = [max(abs(a - b) for a, b in zip(exact, found)) / most for found in (eight, four)]
        self.assertTrue(1e-4 < off[0] < 0.05 < 2 * off[1] < 1, off)
        twelve = logits("--weights", "bf12")  # the same numbers
        self.assertLess(max(abs(a - b) for a, b in zip(exact, twelve)) / most, 1e-5)
        asked = ["ask", "emoji-world", "Where is the dolphin?", "-i", SCENE, "--json"]
        (box,), (rounded,) = (self.succeeds_json(*asked, "--weights", weights)["boxes"] for weights in ("native", "int8"))
        self.assertEqual(rounded["label"], box["label"])
        self.assertEqual(self.succeeds_json(*asked, "--weights", "bf12")["boxes"], [box])
        for a, b in zip(box["box"], rounded["box"]):
            self.assertAlmostEqual(a, b, delta=8)

    def test_held_out_scenes(self):
        scenes = 3 if harness.SANITIZED else 12  # under the sanitizers an answer takes seconds
        text = re.sub(r"(?m)^scenes = \d+", f"scenes = {scenes}", RECIPE.read_text())
        text = re.sub(r"(?m)^films = \{count = \d+\}", f"films = {{count = {scenes // 3}}}", text)
        self.assertIn("[evaluation]", text)
        recipe = self.folder / "recipe.toml"
        recipe.write_text(text)
        result = self.succeeds_json("eval", recipe, "--model", "emoji-world", "--json")
        self.assertGreaterEqual(result["objects"], 250)
        for language in ("english", "korean"):
            counts = result[language].values()
            right, asked = sum(c["right"] for c in counts), sum(c["asked"] for c in counts)
            self.assertGreater(asked, 12)
            self.assertGreater(right / asked, 0.4, result["table"])
            tracked = result[language]["tracking"]
            self.assertGreater(tracked["items_found"] / tracked["items_expected"], 0.6, result["table"])


if __name__ == "__main__":
    harness.main()
