"""The bundled model of pictures and their names: match, embed, index and search on it."""

import json
import re
import shutil

import harness

MODEL = harness.ROOT / "models/emoji-match"
CAT = harness.ROOT / "docs/cat.png"
RECIPE = harness.ROOT / "recipes/emoji_match/recipe.toml"


class EmojiMatch(harness.TestCase):
    def test_what_lies_in_the_folder(self):
        self.assertLessEqual(sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()), 20e6)
        self.assertEqual(harness.read_json(MODEL / "config.json")["architectures"], ["SiglipModel"])

    def test_a_cat_is_a_cat(self):
        for texts in (["a cat", "an animal", "a dog", "a car"], ["cat", "animal", "dog", "car"],
                      ["고양이", "동물", "개", "자동차"], ["고양이 그림", "동물 그림", "개 그림", "자동차 그림"]):
            with self.subTest(texts):
                arguments = [word for text in texts for word in ("-t", text)]
                told = self.succeeds_json("match", "emoji-match", "-i", CAT, *arguments, "--json")
                self.assertEqual(told["kind"], "sigmoid")
                self.assertEqual(told["pictures"][0]["texts"][0]["text"], texts[0])

    def test_held_out_pictures(self):
        recipe = self.folder / "recipe.toml"
        text = re.sub(r"(?m)^scenes = \d+", f"scenes = {8 if harness.SANITIZED else 96}", RECIPE.read_text())
        recipe.write_text(text)
        told = self.succeeds_json("eval", recipe, "--model", "emoji-match", "--json")
        self.assertGreaterEqual(told["objects"], 300)
        for language in ("english", "korean"):
            self.assertGreater(told[language]["share"], 0.8, told["table"])

    def test_texts_of_one_thing_lie_near(self):
        lines = self.succeeds("embed", "emoji-match", "-t", "cat", "-t", "고양이", "-t", "자동차").splitlines()
        english, korean, other = [json.loads(line)["embedding"] for line in lines]
        cosine = lambda a, b: sum(x * y for x, y in zip(a, b))
        self.assertGreater(cosine(english, korean), cosine(english, other))

    def test_finds_the_cat_in_a_folder(self):
        pictures = self.folder / "pictures"
        pictures.mkdir()
        for name in ("cat", "scene", "answer"):
            shutil.copy(harness.ROOT / f"docs/{name}.png", pictures)
        self.succeeds("index", "emoji-match", pictures)
        for query in ("a cat", "고양이"):
            hits = self.succeeds_json("search", pictures, query, "--json")["hits"]
            self.assertEqual(len(hits), 3)
            self.assertEqual(hits[0]["file"].rsplit("/", 1)[-1], "cat.png")
        sheet = self.folder / "hits.png"
        hits = self.succeeds_json("search", pictures, "-i", CAT, "--sheet", sheet, "--json")["hits"]
        self.assertGreater(hits[0]["score"], 0.99)
        self.assertGreater(min(harness.png_size(sheet)), 100)


if __name__ == "__main__":
    harness.main()
