"""Compositions: a recipe names the parts, `nuri train` trains them, and the result runs under every verb."""

import itertools
import json
import shutil
import sys

import harness

TAGS = ["<tile_1>", "<tile_2>", "<tile_3>", "<tile_4>", "<tile_global_thumbnail>"]
TILES = """type = "tiles"
max_tiles = 4
tile_tag_ids = [600, 601, 602, 603]
thumbnail_tag_id = 604
"""
CONNECTORS = {
    "linear": "",
    "mlp": "",
    "pixel_shuffle": "",
    "spatial_pooling": "factor = 4",
    "q_former": "num_queries = 3\nhidden_size = 12\nintermediate_size = 16\nnum_hidden_layers = 2\nnum_attention_heads = 2",
    "perceiver_resampler": "num_queries = 3\nnum_hidden_layers = 1\nnum_attention_heads = 2",
    "c_abstractor": "num_queries = 4\ndepth = 1\nhidden_size = 12",
}
FUSIONS = {"unified": 'type = "unified"', "cross_attention": 'type = "cross_attention"\nevery = 2',
           "hybrid": 'type = "hybrid"\nevery = 2'}


def recipe_of(folder, fusion, connector, resolution, steps=2, freeze="[]"):
    return f"""name = "composed"
output = "{folder}/run"

[tokenizer]
kind = "emoji_world"
vocabulary = 600
scenes = 30
special_tokens = {json.dumps(TAGS)}

[[stage]]
name = "talk"

[stage.model]
architectures = ["NuriComposed"]
image_token_id = 599
[stage.model.encoder]
model_type = "siglip_vision_model"
hidden_size = 16
intermediate_size = 16
num_hidden_layers = 1
num_attention_heads = 2
image_size = 32
patch_size = 8
vision_use_head = false
[stage.model.connector]
type = "{connector}"
{CONNECTORS.get(connector, "")}
[stage.model.fusion]
{FUSIONS.get(fusion, f'type = "{fusion}"')}
[stage.model.decoder]
model_type = "llama"
vocab_size = 600
hidden_size = 16
intermediate_size = 24
num_hidden_layers = 2
num_attention_heads = 2
max_position_embeddings = 2048
[stage.model.resolution]
{resolution}
[stage.processor.image_processor]
image_processor_type = "SiglipImageProcessor"
size = {{height = 32, width = 32}}
image_mean = [0.5, 0.5, 0.5]
image_std = [0.5, 0.5, 0.5]
[stage.objective]
kind = "conversation"
data = {{size = 64, max_objects = 2, smallest = 0.3, largest = 0.6}}
[stage.train]
steps = {steps}
batch = 2
learning_rate = 0.02
warmup = 0
log_every = 1
save_every = 1
freeze = {freeze}

[evaluation]
scenes = 1
data = {{size = 64, max_objects = 2, smallest = 0.3, largest = 0.6}}
"""


class Composed(harness.TestCase):
    def recipe(self, *arguments, **more):
        path = self.folder / "recipe.toml"
        path.write_text(recipe_of(self.folder, *arguments, **more))
        return path

    def train(self, *arguments, **more):
        """-> the newest checkpoint"""
        self.assertEqual(self.succeeds("train", self.recipe(*arguments, **more), "--threads", "1"), "")
        return sorted((self.folder / "run/talk").glob("step-*"))[-1]

    def losses(self):
        lines = (self.folder / "run/talk/metrics.jsonl").read_text().splitlines()
        return {line["step"]: line["loss"] for line in map(json.loads, lines)}

    def test_every_verb_of_the_three_fusions(self):
        picture = harness.write_png(self.folder / "a.png", 90, 40)  # two tiles and the whole
        rows = {"unified": 12, "cross_attention": 0, "hybrid": 4}
        for fusion, each in rows.items():
            self.clear()
            with self.subTest(fusion):
                model = self.train(fusion, "pixel_shuffle", TILES)
                made = self.folder / "made.safetensors"
                self.succeeds("preprocess", model, "--text", "<image> what?", "-i", picture, "-o", made)
                tensors = harness.read_safetensors(made)
                ids = tensors["input_ids"][2]
                self.assertEqual([i for i in ids if i >= 600], [600, 601, 604])
                self.assertEqual(ids.count(599), each)
                self.assertEqual(tensors["pixel_values"][1], [3, 3, 32, 32])
                found = self.folder / "found.safetensors"
                self.succeeds("forward", model, made, "-o", found, "--generate", "3")
                outputs = harness.read_safetensors(found)
                self.assertEqual(outputs["image_hidden_states"][1], [3, 4, 16])
                self.assertEqual(outputs["logits"][1], [1, len(ids), 600])
                answer = self.succeeds_json("ask", model, "What is here?", "-i", picture, "--max-tokens", "4", "--json")
                self.assertLessEqual(answer["tokens"]["completion"], 4)
                self.succeeds("ask", model, "Hello?", "--max-tokens", "2")  # without a picture
                told = self.succeeds_json("inspect", model, "--json")
                self.assertEqual(told["architecture"], "NuriComposed")
                bare = self.succeeds_json("inspect", model / "config.json", "--json")
                self.assertEqual(bare["parameters"]["total"], told["parameters"]["total"])
                self.succeeds("bench", model, "-p", "8", "-n", "2", "-r", "1", "--image", "90x40")
                result = self.succeeds_json("eval", self.folder / "recipe.toml", "--json")
                self.assertEqual(result["scenes"], 1)

    def clear(self):
        shutil.rmtree(self.folder / "run", ignore_errors=True)

    def test_a_run_goes_on_as_one_that_never_stopped(self):
        self.train("hybrid", "pixel_shuffle", TILES, steps=3)
        whole = self.losses()
        self.clear()
        self.train("hybrid", "pixel_shuffle", TILES, steps=3)
        shutil.rmtree(sorted((self.folder / "run/talk").glob("step-*"))[-1])
        self.train("hybrid", "pixel_shuffle", TILES, steps=3)
        self.assertEqual(self.losses(), whole)

    def test_connectors_and_a_fixed_resolution(self):
        for connector, fusion in zip(CONNECTORS, itertools.cycle(["unified", "cross_attention"])):
            self.clear()
            with self.subTest(connector):
                model = self.train(fusion, connector, 'type = "fixed"', steps=1)
                picture = harness.write_png(self.folder / "a.png")
                self.succeeds("ask", model, "What?", "-i", picture, "--max-tokens", "2")

    def test_only_what_is_not_frozen_learns(self):
        model = self.train("cross_attention", "pixel_shuffle", TILES, freeze='["vision_tower.*", "language_model.*"]')
        first = sorted((self.folder / "run/talk").glob("step-*"))[0]
        before, after = (harness.read_safetensors(place / "model.safetensors") for place in (first, model))
        for name, (_, _, values) in after.items():
            frozen = name.startswith(("vision_tower.", "language_model."))
            # A gate of zero hides what stands behind it from the first step.
            if frozen or "gate" in name.split(".")[-1]:
                with self.subTest(name):
                    self.assertEqual(values == before[name][2], frozen)

    def test_wrong_compositions_are_refused_before_training(self):
        def refused(code, words, *arguments):
            self.fails(code, ["train", self.recipe(*arguments)], *words)

        refused(1, ["talk.model", "connector.type", "mpl", "perceiver_resampler"], "unified", "mpl", TILES)
        refused(1, ["fusion.type", "late", "hybrid"], "late", "mlp", TILES)
        refused(1, ["resolution.type", "native"], "unified", "mlp", 'type = "native"')
        refused(1, ["tile_tag_ids", "each of 6"], "hybrid", "mlp", TILES.replace("max_tiles = 4", "max_tiles = 6"))
        refused(2, ["thumbnails", "did you mean thumbnail?"], "hybrid", "mlp", TILES + "thumbnails = true\n")
        refused(1, ["<tile_1>", "601"], "hybrid", "mlp",
                TILES.replace("[600, 601, 602, 603]", "[601, 602, 603, 604]").replace("_id = 604", "_id = 600"))
        path = self.recipe("unified", "pixel_shuffle", TILES)
        path.write_text(path.read_text().replace('"pixel_shuffle"', '"pixel_shuffle"\nfactor = 3'))
        self.fails(1, ["train", path], "connector.factor", "found 3", "divisor of 4")
        self.clear()
        path.write_text(path.read_text().replace("factor = 3", "").replace('"<tile_2>", ', ""))
        self.fails(1, ["train", path], "tokenizer.json", "<tile_2>")

    def test_a_tokenizer_of_another_model(self):
        self.train("unified", "mlp", TILES, steps=1)
        taken = self.folder / "run/tokenizer"
        path = self.recipe("unified", "mlp", TILES, steps=1)
        text = path.read_text().replace("/run", "/again")
        own = text[text.index("[tokenizer]") : text.index("[[stage]]")]
        path.write_text(text.replace(own, f'[tokenizer]\nkind = "model"\nfrom = "{taken}"\n\n'))
        self.succeeds("train", path)
        self.assertEqual((self.folder / "again/tokenizer/tokenizer.json").read_bytes(),
                         (taken / "tokenizer.json").read_bytes())
        text = text.replace("/again", "/wrong")
        path.write_text(text.replace(own, f'[tokenizer]\nkind = "model"\nfrom = "{self.folder}"\n\n'))
        self.fails(1, ["train", path], "tokenizer: from", "tokenizer.json")
        path.write_text(text.replace(own, '[tokenizer]\nkind = "modle"\n\n'))
        self.fails(1, ["train", path], "emoji_world or model")


class QFormer(harness.TestCase):
    """BLIP-2's two stages: a Q-Former that reads texts, then one that speaks through a decoder."""

    def first_stage(self):
        text = recipe_of(self.folder, "unified", "q_former", 'type = "fixed"')
        begin, end = text.index("[stage.model.fusion]"), text.index("[stage.processor")
        text = text[:begin] + text[end:]
        data = "data = {size = 32, max_objects = 1, smallest = 0.4, largest = 0.6}"
        for old, new in (
            ("/run", "/first"), ('["NuriComposed"]', '["NuriComposedRetrieval"]'),
            ("image_token_id = 599", "image_text_hidden_size = 8"), ('"conversation"', '"q_former"'),
            (json.dumps(TAGS), '["[CLS]", "[DEC]", "[SEP]"]'), ("num_queries = 3", "num_queries = 3\nvocab_size = 603"),
            ("scenes = 1\n", 'scenes = 3\nbatch = 2\nkind = "q_former"\n'),
            ("data = {size = 64, max_objects = 2, smallest = 0.3, largest = 0.6}", data)):
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.folder / "first.toml"
        path.write_text(text)
        return path

    def test_both_stages(self):
        recipe = self.first_stage()
        self.succeeds("train", recipe)
        reader = sorted((self.folder / "first/talk").glob("step-*"))[-1]
        told = self.succeeds_json("eval", recipe, "--dtype", "bfloat16", "--json")
        for language in ("english", "korean"):
            self.assertEqual(sorted(told[language]), ["contrast", "grounded_text", "match"])
            for share in told[language].values():
                self.assertTrue(0 <= share <= 1, told)
        self.assertEqual(self.succeeds_json("inspect", reader, "--json")["architecture"], "NuriComposedRetrieval")
        self.fails(1, ["ask", reader, "What?"], "NuriComposedRetrieval")

        text = recipe_of(self.folder, "unified", "q_former", 'type = "fixed"', steps=1, freeze='["language_model.*"]')
        start = "".join(f'[[stage.start]]\nfrom = "{reader}"\ntake = "{part}."\nas = "{part}."\n'
                        for part in ("vision_tower", "connector"))
        recipe = self.folder / "second.toml"
        recipe.write_text(text.replace("[stage.model]\n", start + "[stage.model]\n", 1).replace(
            "learning_rate = 0.02", "learning_rate = 1e-9"))
        self.succeeds("train", recipe)
        model = sorted((self.folder / "run/talk").glob("step-*"))[-1]
        taken, made = (harness.read_safetensors(place / "model.safetensors") for place in (reader, model))
        name = "connector.qformer.encoder.layer.0.crossattention.attention.value.weight"
        for old, new in zip(taken[name][2], made[name][2]):
            self.assertAlmostEqual(old, new, delta=1e-6)
        picture = harness.write_png(self.folder / "a.png")
        self.succeeds("ask", model, "What?", "-i", picture, "--max-tokens", "2")

    def test_a_reader_is_evaluated_as_one(self):
        recipe = self.first_stage()
        self.fails(2, ["eval", recipe, "--model", "emoji-world"], "emoji-world", "NuriComposedRetrieval")


class FusionComparison(harness.TestCase):
    def test_the_recipes_differ_in_the_fusion_alone(self):
        sys.path.insert(0, str(harness.ROOT / "recipes/fusion_comparison"))
        import compare

        recipes = {name: compare.read_recipe(name) for name in compare.RECIPES.values()}
        compare.expect_equal_terms(recipes)
        recipes["nvlm_x"]["stage"][0]["train"]["steps"] += 1
        with self.assertRaises(SystemExit):
            compare.expect_equal_terms(recipes)


if __name__ == "__main__":
    harness.main()
