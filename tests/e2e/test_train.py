"""Training: recipes, what they write, and runs that are ended at any moment."""

import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import time

import harness

DATA = "{size = 32, min_objects = 1, max_objects = 2, smallest = 0.3, largest = 0.6}"
VISION = """hidden_size = 16
intermediate_size = 16
num_hidden_layers = 1
num_attention_heads = 2
image_size = 32
patch_size = 8
vision_use_head = {head}
"""
DENSE = f"""
[[stage]]
name = "dense"
[stage.model]
architectures = ["SiglipVisionModel"]
model_type = "siglip_vision_model"
{VISION.format(head="false")}
[stage.objective]
kind = "dense"
place_step = 5
data = {DATA}
[stage.train]
"""
PROCESSOR = """[stage.processor.image_processor]
image_processor_type = "SiglipImageProcessor"
size = {height = 32, width = 32}
image_mean = [0.5, 0.5, 0.5]
image_std = [0.5, 0.5, 0.5]
"""
TOKENIZER = """
[tokenizer]
kind = "emoji_world"
vocabulary = 600
scenes = 50
"""


def contrastive(loss, name="contrastive"):
    return f"""
[[stage]]
name = "{name}"
[stage.model]
architectures = ["SiglipModel"]
model_type = "siglip"
[stage.model.text_config]
model_type = "siglip_text_model"
vocab_size = 600
hidden_size = 16
intermediate_size = 16
num_hidden_layers = 1
num_attention_heads = 2
max_position_embeddings = 24
projection_size = 16
[stage.model.vision_config]
model_type = "siglip_vision_model"
{VISION.format(head="true")}
[stage.objective]
kind = "contrastive"
loss = "{loss}"
data = {DATA}
[stage.train]
"""


TALK = f"""kind = "conversation"
data = {DATA}
"""
FILMS = "films = {share = 0.5, objects = 1, pointings = 1, numbered_behind = 0, data = {max_frames = 3}}\n"
EXAM = "films = {count = 2, data = {max_frames = 3}}\n"
ALIGN = f"""kind = "alignment"
place_step = 5
data = {DATA}
"""


def multimodal(name, objective=TALK, start="", freeze="[]"):
    return f"""
[[stage]]
name = "{name}"
{start}
[stage.model]
architectures = ["LlavaForConditionalGeneration"]
model_type = "llava"
image_token_index = 599
vision_feature_layer = -1
vision_feature_select_strategy = "full"
[stage.model.vision_config]
model_type = "siglip_vision_model"
{VISION.format(head="false")}
[stage.model.text_config]
model_type = "llama"
vocab_size = 600
hidden_size = 16
intermediate_size = 24
num_hidden_layers = 1
num_attention_heads = 2
max_position_embeddings = 2048
{PROCESSOR}[stage.objective]
{objective}
[stage.train]
freeze = {freeze}
"""


def train_keys(steps, save_every=1000, **more):
    keys = {"steps": steps, "batch": 2, "learning_rate": 0.01, "warmup": 2, "save_every": save_every, "log_every": 1,
            **more}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


class Training(harness.TestCase):
    def write(self, *parts, name="r", output=None):
        recipe = self.folder / f"{name}.toml"
        recipe.write_text(f'name = "{name}"\nseed = 5\noutput = "{output or self.folder / name}"\n' + "".join(parts))
        return recipe

    def train(self, recipe, **options):
        """Quietly, as it must be when nobody looks."""
        self.assertEqual(self.succeeds("train", recipe, "--threads", "1", **options), "")

    def metrics(self, run, stage="dense"):
        path = self.folder / run / stage / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def losses(self, *place):
        return {line["step"]: line["loss"] for line in self.metrics(*place)}

    def start(self, recipe):
        program = subprocess.Popen([harness.BINARY, "train", recipe, "--threads", "1"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(lambda: program.poll() is None and program.kill())
        return program

    def wait_for_step(self, program, step, run="r"):
        deadline = time.monotonic() + harness.PATIENCE
        while program.poll() is None and max(self.losses(run), default=0) < step:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def checkpoint(self, run, stage="dense"):
        newest = sorted((self.folder / run / stage).glob("step-*"))[-1]
        return newest, harness.read_safetensors(newest / "model.safetensors")


class Runs(Training):
    def test_what_a_run_writes(self):
        recipe = self.write(DENSE, train_keys(5, save_every=2))
        self.train(recipe)
        self.assertEqual(self.names_in(self.folder / "r"), ["dense"])
        self.assertEqual(self.names_in(self.folder / "r/dense"),
                         ["assets", "loss.svg", "metrics.jsonl", "step-00000004", "step-00000005"])
        self.assertEqual(self.names_in(self.folder / "r/dense/step-00000005"),
                         ["config.json", "model.safetensors", "training.json", "training.safetensors"])
        self.assertEqual(list(self.losses("r")), [1, 2, 3, 4, 5])
        for line in self.metrics("r"):
            self.assertLessEqual({"step", "loss", "learning_rate", "gradient_norm", "seconds", "patch_right",
                                  "place_steps_right"}, set(line))
            parts = line["patch_naming"] + 2.5 * line["box_distance"] + line["box_overlap_loss"] + line["place_steps"]
            self.assertAlmostEqual(line["loss"], parts, delta=1e-3)
        svg = (self.folder / "r/dense/loss.svg").read_text()
        self.assertTrue(svg.startswith("<svg") and svg.rstrip().endswith("</svg>"))
        before = (self.folder / "r/dense/metrics.jsonl").stat().st_mtime_ns
        self.train(recipe)  # nothing is left to do
        self.assertEqual((self.folder / "r/dense/metrics.jsonl").stat().st_mtime_ns, before)

    def test_both_contrastive_losses(self):
        recipe = self.write(TOKENIZER, contrastive("sigmoid", "sigmoid"), train_keys(4),
                            contrastive("softmax", "softmax"), train_keys(4),
                            contrastive("softmax", "alone"), train_keys(2, batch=1))
        self.train(recipe)
        sigmoid, softmax = self.losses("r", "sigmoid"), self.losses("r", "softmax")
        self.assertEqual([len(sigmoid), len(softmax)], [4, 4])
        def softplus(x):
            return math.log1p(math.exp(x))

        # Scale 10 and bias -10: each logit begins between -20 and 0, and their differences between -20 and 20.
        self.assertTrue(softplus(0) < sigmoid[1] < softplus(20) + softplus(0), sigmoid)
        self.assertTrue(0 < softmax[1] < softplus(20), softmax)
        self.assertLess(sigmoid[4], sigmoid[1] / 2)
        self.assertNotAlmostEqual(sigmoid[1], softmax[1], places=3)
        self.assertEqual(self.losses("r", "alone"), {1: 0.0, 2: 0.0})  # nothing to choose from

    def test_names_and_their_evaluation(self):
        data = DATA.replace("max_objects = 2", "max_objects = 1, further_objects = true")
        stage = contrastive("sigmoid", "names").replace('"contrastive"\nloss = "sigmoid"', '"names"\nfurther_texts = 3')
        stage = stage.replace(DATA, data).replace("[stage.objective]", PROCESSOR + "[stage.objective]")
        exam = f'[evaluation]\nkind = "names"\nscenes = 6\nbatch = 4\ndata = {data}\n'
        tokenizer = TOKENIZER + "further_objects = true\nattention_mask = false\n"
        recipe = self.write(exam, tokenizer, stage, train_keys(3))
        self.train(recipe)
        self.assertEqual(list(self.losses("r", "names")), [1, 2, 3])
        result = json.loads(self.succeeds("eval", recipe, "--json"))
        self.assertGreaterEqual(result["objects"], 300)
        for language in ("english", "korean"):
            self.assertEqual(result[language]["asked"], 6)
        self.assertIn("names", self.succeeds("eval", recipe))
        recipe = self.write(exam, tokenizer, stage.replace("max_objects = 1", "max_objects = 2"), train_keys(3), name="b")
        self.fails(1, ["train", recipe], "max_objects")

    def test_stages_of_a_conversation_model(self):
        start = '[[stage.start]]\nfrom = "dense"\nas = "vision_tower."\n'
        again = '[[stage.start]]\nfrom = "connector"\n'
        recipe = self.write(
            f'export = "{self.folder}/model"\n', "[evaluation]\nscenes = 2\nbatch = 8\n", f"data = {DATA}\n", EXAM,
            TOKENIZER, DENSE, train_keys(3), multimodal("connector", ALIGN, start, '["vision_tower.*", "language_model.*"]'),
            train_keys(3), multimodal("both", TALK + "pointing = true\n" + FILMS, again, '["vision_tower.*"]'),
            train_keys(3, batch=4, accumulate=2, autocast="bfloat16"))
        self.train(recipe)
        for line in self.metrics("r", "connector"):
            self.assertAlmostEqual(line["loss"], line["patch_naming"] + line["place_steps"] + line["length"], delta=1e-3)
        _, dense = self.checkpoint("r", "dense")
        _, connector = self.checkpoint("r", "connector")
        _, both = self.checkpoint("r", "both")
        for name, (_, _, values) in both.items():
            part = name.split(".")[0]
            with self.subTest(name):
                if part == "vision_tower":  # frozen in both stages
                    self.assertEqual(values, dense[name.removeprefix("vision_tower.")][2])
                    self.assertEqual(values, connector[name][2])
                else:
                    self.assertNotEqual(values, connector[name][2])
        # The exported folder is a model for all other verbs.
        model = self.folder / "model"
        self.assertEqual(harness.read_json(model / "config.json")["dtype"], "bfloat16")
        picture = harness.write_png(self.folder / "a.png")
        answer = self.succeeds_json("ask", model, "What is here?", "-i", picture, "--max-tokens", "5", "--json")
        self.assertLessEqual(answer["tokens"]["completion"], 5)
        result = self.succeeds_json("eval", recipe, "--json")
        self.assertEqual((result["scenes"], result["films"]), (2, 2))
        self.assertGreaterEqual(result["objects"], 250)
        first = self.metrics("r", "both")[0]
        self.assertGreater(first["films"], first["answers"] + 0.1)  # the frames' numbers are learned beside the answers
        self.assertTrue(0 <= first["numbered"] <= 1)
        for language in ("english", "korean"):
            for task in result[language].values():
                self.assertEqual(set(task) - {"items_found", "items_expected"}, {"right", "asked", "share"})
            self.assertEqual(result[language]["moving"]["asked"], 2)
            # Two or three boxes a question.
            tracking = result[language]["tracking"]
            self.assertTrue(2 * tracking["asked"] <= tracking["items_expected"] <= 3 * tracking["asked"])
        kept = self.folder / "kept"
        self.assertIn("English", self.succeeds("eval", recipe, "--model", model, "--save", kept))
        answers = [json.loads(line) for line in (kept / "answers.jsonl").read_text().splitlines()]
        self.assertEqual(len(answers), sum(task["asked"] for language in ("english", "korean")
                                           for task in result[language].values()))
        self.assertEqual({answer["picture"] for answer in answers},
                         {"00000.png", "00001.png", "film-00000", "film-00001"})
        self.assertEqual(harness.png_size(kept / "film-00001-2.png"), harness.png_size(kept / "00000.png"))
        self.assertEqual(harness.png_size(kept / "00001.png"), harness.png_size(kept / "00000.png"))

    def test_conversations_with_the_same_seed_are_the_same(self):
        for run, objective in (("one", TALK), ("two", TALK), ("pointing", TALK + "pointing = true\n")):
            self.train(self.write(TOKENIZER, multimodal("talk", objective), train_keys(3, batch=1), name=run))
        self.assertEqual(self.losses("one", "talk"), self.losses("two", "talk"))
        self.assertNotEqual(self.losses("one", "talk"), self.losses("pointing", "talk"))
        self.assertEqual((self.folder / "one/tokenizer/tokenizer.json").read_bytes(),
                         (self.folder / "two/tokenizer/tokenizer.json").read_bytes())

    def test_heads_go_on_from_an_earlier_stage(self):
        again = DENSE.replace('name = "dense"', 'name = "again"\n[[stage.start]]\nfrom = "dense"')
        self.train(self.write(DENSE, train_keys(3), again, train_keys(1, learning_rate=1e-12)))
        def heads(stage):
            tensors = harness.read_safetensors(self.checkpoint("r", stage)[0] / "training.safetensors")
            return tensors["objective.classify.weight"][2][:8]
        for before, after in zip(heads("dense"), heads("again")):
            self.assertAlmostEqual(before, after, delta=1e-6)

    def test_weights_that_start_smaller(self):
        again = DENSE.replace('name = "dense"', 'name = "again"\n'
                              'scale = [{by = 0.5, weights = ["*.fc2.*", "*embeddings*"]}, {by = 3, weights = ["*.fc1.*"]}]\n'
                              '[[stage.start]]\nfrom = "dense"')
        self.train(self.write(DENSE, train_keys(1), again, train_keys(1, learning_rate=1e-12)))
        (_, dense), (_, halved) = self.checkpoint("r", "dense"), self.checkpoint("r", "again")
        for name, (_, _, values) in dense.items():
            factor = 0.5 if ".fc2." in name or "embeddings" in name else 3 if ".fc1." in name else 1
            with self.subTest(name):
                for before, after in zip(values, halved[name][2]):
                    self.assertAlmostEqual(before * factor, after, delta=1e-7)
        wrong = again.replace("fc2", "fc3")
        self.fails(2, ["train", self.write(DENSE, train_keys(1), wrong, train_keys(1), name="wrong")], "*.fc3.*",
                   "fits no parameter")

    def test_muon(self):
        self.train(self.write(DENSE, train_keys(3, muon=["*.layers.*"])))
        self.train(self.write(DENSE, train_keys(3), name="adamw"))
        state = harness.read_safetensors(self.checkpoint("r")[0] / "training.safetensors")
        matrix = next(name for name in state if name.endswith("fc1.weight.first")).removesuffix(".first")
        self.assertNotIn(f"{matrix}.second", state)
        self.assertIn("objective.classify.weight.second", state)
        self.assertNotEqual(self.checkpoint("r")[1][matrix], self.checkpoint("adamw")[1][matrix])


class Ended(Training):
    STEPS = 16

    def test_killed_at_any_moment(self):
        self.train(self.write(DENSE, train_keys(self.STEPS, save_every=3), name="whole"))
        expected = self.losses("whole")
        recipe = self.write(DENSE, train_keys(self.STEPS, save_every=3))
        rng = random.Random(os.getpid())
        for kill in range(3):
            program = self.start(recipe)
            self.wait_for_step(program, min(self.STEPS, max(self.losses("r"), default=0) + rng.randint(1, 5)))
            time.sleep(rng.random() * 0.05)
            program.kill()
            program.communicate()
        # What is cut belongs to a run that has steps to go.
        shutil.rmtree(self.folder / f"r/dense/step-{self.STEPS:08}", ignore_errors=True)
        # Cut in the middle of a line, as a full disk or a lost machine may leave it.
        with open(self.folder / "r/dense/metrics.jsonl", "a") as file:
            file.write('{"step": 99, "lo')
        (self.folder / "r/dense/.partial").mkdir(exist_ok=True)
        self.train(recipe)
        self.assertEqual(self.losses("r"), expected)
        self.assertEqual(self.checkpoint("r")[1], self.checkpoint("whole")[1])
        self.assertEqual([name for name in self.names_in(self.folder / "r/dense") if "part" in name], [])

    def test_interrupted(self):
        steps = 4 * self.STEPS  # more than pass before the signal comes on a busy machine
        self.train(self.write(DENSE, train_keys(steps), name="whole"))
        recipe = self.write(DENSE, train_keys(steps))
        program = self.start(recipe)
        self.wait_for_step(program, 3)
        program.send_signal(signal.SIGINT)
        output, error = program.communicate(timeout=harness.PATIENCE)
        self.check_complaint(program.returncode, 130, error, "interrupted")
        self.assertEqual(output, b"")
        folder, _ = self.checkpoint("r")
        self.assertEqual(harness.read_json(folder / "training.json")["step"], max(self.losses("r")))
        self.assertTrue((self.folder / "r/dense/loss.svg").exists())
        self.train(recipe)
        self.assertEqual(self.losses("r"), self.losses("whole"))

    def test_interrupted_evaluation(self):
        model = harness.make_parrot(self.folder / "model")
        recipe = self.write("[evaluation]\nscenes = 100000\n", DENSE, train_keys(1))
        program = subprocess.Popen([harness.BINARY, "eval", recipe, "--model", model, "--json"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(3)
        program.send_signal(signal.SIGINT)
        output, error = program.communicate(timeout=harness.PATIENCE)
        self.assertEqual(output, b"")
        if program.returncode != -signal.SIGINT:  # came before the program listened
            self.check_complaint(program.returncode, 130, error, "interrupted")

    def test_two_at_once(self):
        recipe = self.write(DENSE, train_keys(100000))
        program = self.start(recipe)
        self.wait_for_step(program, 1)
        self.fails(2, ["train", recipe], "another")
        program.kill()
        program.communicate()

    def test_a_full_disk(self):
        place = self.folder / "place"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "nuri-e2e", place]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("only root may mount a small file system, and not everywhere")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        recipe = self.write(DENSE, train_keys(2), output=place / "run")
        self.fails(1, ["train", recipe], "No space left")
        self.assertEqual([name for name in os.listdir(place / "run/dense") if "part" in name or "step" in name], [])


class Recipes(Training):
    def refused(self, code, text, *words):
        recipe = self.folder / "bad.toml"
        recipe.write_text(text)
        self.fails(code, ["train", recipe], "bad.toml", *words, cwd=self.folder)
        self.assertFalse(list(self.folder.glob("**/step-*")))

    def test_unknown_keys_name_the_nearest(self):
        whole = 'name = "x"\n' + DENSE + train_keys(2)
        self.refused(2, whole.replace("learning_rate", "learnig_rate") + "learning_rate = 1\n", "learnig_rate",
                     "did you mean learning_rate?")
        self.refused(2, "sed = 3\n" + whole, "sed", "did you mean seed?")
        self.refused(2, whole.replace('kind = "dense"', 'kind = "dense"\nkinds = 1'), "kinds", "did you mean kind?")
        self.refused(2, whole.replace("max_objects", "most_objects"), "most_objects")
        self.refused(2, whole.replace("[stage.model]", "modle = 1\n[stage.model]"), "modle", "did you mean model?")

    def test_missing_and_wrong_values(self):
        whole = 'name = "x"\n' + DENSE + train_keys(2)
        self.refused(1, whole.replace("steps = 2\n", ""), "steps")
        for key, value in (("steps", "0"), ("batch", "-1"), ("learning_rate", "-0.1"), ("learning_rate", '"x"'),
                           ("log_every", "0"), ("save_every", "0"), ("warmup", "-1")):
            changed = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", whole)
            with self.subTest(key=key, value=value):
                self.refused(1, changed, key)
        self.refused(1, whole.replace('name = "dense"', 'name = "../dense"'), "name")
        self.refused(1, whole + DENSE + train_keys(2), "name")
        self.refused(1, whole.replace('kind = "dense"', 'kind = "guess"'), "guess", "contrastive")
        self.refused(2, whole + 'freeze = ["visoin*"]\n', "visoin*")
        self.refused(2, whole + 'freeze = ["*"]\n', "frozen")
        for code, scale, word in ((1, "3", "scale"), (1, "[{by = 0, weights = []}]", "by"), (1, "[{by = 2}]", "weights"),
                                  (2, "[{by = 2, weights = [], of = 1}]", "of")):
            with self.subTest(scale):
                self.refused(code, whole.replace("[stage.model]", f"scale = {scale}\n[stage.model]"), "scale", word)
        self.refused(1, whole.replace("place_step = 5", "place_step = -5"), "place_step", "-5")
        self.refused(2, whole + 'muon = ["*.layer.*"]\n', "*.layer.*", "fits no matrix")
        self.refused(2, whole + 'freeze = ["' + "*a" * 40 + '*b"]\n', "fits no parameter")
        self.refused(1, whole + "adamw_share = -1\n", "adamw_share", "-1")
        self.refused(1, whole.replace("SiglipVisionModel", "ResNet"), "ResNet", "SiglipVisionModel")
        self.refused(2, 'name = "x"\n', "stage")

    def test_wrong_objectives_of_multimodal_models(self):
        def refuse(objective, *words):
            self.refused(1, 'name = "x"\n' + TOKENIZER + multimodal("talk", objective) + train_keys(1), *words)

        refuse(ALIGN.replace("place_step = 5", "place_step = 0"), "place_step", "0")
        refuse(ALIGN.replace("place_step = 5", ""), "place_step")
        refuse(TALK + 'show = "sounds"\n', "show", "sounds")
        refuse(TALK + "films = {share = 2}\n", "films", "share", "2")
        refuse(TALK + "films = {objects = -1}\n", "films", "objects", "-1")
        refuse(TALK + "films = {data = {max_frames = 0}}\n", "films", "max_frames", "0")
        refuse(TALK + "films = {pointings = -1}\n", "films", "pointings", "-1")
        refuse(TALK + "films = {numbered_behind = 9}\n", "films", "numbered_behind", "9", "0 to ")
        for kind in ("alignment", "conversation"):
            dense = TOKENIZER + DENSE.replace('kind = "dense"\nplace_step = 5', f'kind = "{kind}"') + train_keys(1)
            with self.subTest(kind):
                self.refused(1, 'name = "x"\n' + dense, "architectures", "SiglipVisionModel")

    def test_sizes_that_do_not_fit_together(self):
        def complains(text, *words):
            recipe = self.folder / "bad.toml"
            recipe.write_text(text)
            done = harness.run("train", recipe, cwd=self.folder)
            self.assertIn(done.returncode, (1, 2))
            self.check_complaint(done.returncode, done.returncode, done.stderr, *words)

        whole = 'name = "x"\n' + DENSE + train_keys(2)
        complains(whole.replace("size = 32, min", "size = 64, min"), "pixel_values")
        complains(whole.replace("size = 32, min", "size = 31, min"), "size")
        complains(whole.replace("min_objects = 1", "min_objects = 5"), "objects")
        complains(whole.replace("smallest = 0.3", "smallest = 0.9"))
        complains('name = "x"\n' + contrastive("sigmoid") + train_keys(2), "tokenizer.json")
        complains('name = "x"\n' + TOKENIZER + contrastive("hinge") + train_keys(2), "hinge", "softmax")
        complains('name = "x"\n' + TOKENIZER.replace("600", "100") + contrastive("sigmoid") + train_keys(2), "vocabulary")
        complains('name = "x"\n' + TOKENIZER + contrastive("sigmoid").replace("vocab_size = 600", "vocab_size = 300") +
                  train_keys(2), "expected ids")
        complains('name = "x"\n' + multimodal("talk") + train_keys(2), "tokenizer.json")
        complains(whole.replace('"dense"\nplace_step = 5\ndata', '"conversation"\ndata'), "architectures",
                  "SiglipVisionModel")

    def test_starts(self):
        text = 'name = "x"\n' + TOKENIZER + DENSE + train_keys(1) + multimodal("talk", start="{}") + train_keys(1)
        for start, words in (('from = "nowhere"', "nowhere"), ('from = "dense"\ntake = "visoin."', "visoin."),
                             ('from = "talk"', "no checkpoint")):
            with self.subTest(start):
                recipe = self.folder / "bad.toml"
                recipe.write_text(text.replace("{}\n", f"[[stage.start]]\n{start}\n"))
                self.fails(2, ["train", recipe], words, cwd=self.folder)

    def test_files_that_are_no_recipes(self):
        self.refused(1, "name = ", "bad.toml")
        self.refused(1, "", "name")
        self.refused(1, "name = 3\n", "name")
        self.refused(1, "\x00\x01", "bad.toml")
        self.refused(1, "a = " + "[" * 100000, "bad.toml")
        for verb in ("train", "eval"):
            self.fails(2, [verb, self.folder / "none.toml"], "none.toml")
            self.fails(2, [verb, self.folder], self.folder)
            self.fails(2, [verb, self.write(DENSE, train_keys(1)), "--threads", "0"], "--threads")

    def test_outputs_that_cannot_be(self):
        (self.folder / "file").write_text("x")
        for output in (self.folder / "file", self.folder / "file/run", "/proc/run"):
            recipe = self.write(DENSE, train_keys(1), output=output)
            done = harness.run("train", recipe)
            self.assertIn(done.returncode, (1, 2))
            self.check_complaint(done.returncode, done.returncode, done.stderr, output)
        (self.folder / "r").mkdir()
        (self.folder / "r/dense").write_text("x")
        done = harness.run("train", self.write(DENSE, train_keys(1)))
        self.check_complaint(done.returncode, 2, done.stderr, "r/dense")

    def test_spoilt_runs(self):
        recipe = self.write(DENSE, train_keys(4, save_every=2))
        self.train(recipe)
        stage = self.folder / "r/dense"
        for name in ("step-", "step-x", "step-99999999999999999999999"):
            (stage / name).mkdir()
        self.train(recipe)
        self.write(DENSE, train_keys(6, save_every=2))
        for path, contents in (("metrics.jsonl", "3\n"), ("metrics.jsonl", "{\n"),
                               ("step-00000004/training.safetensors", "x"), ("step-00000004/model.safetensors", "x"),
                               ("step-00000004/config.json", "")):
            before = (stage / path).read_bytes()
            (stage / path).write_text(contents)
            with self.subTest(path=path, contents=contents):
                self.fails(1, ["train", recipe], path)
            (stage / path).write_bytes(before)
        for path, lost in (("step-00000004/model.safetensors", ""),
                           ("step-00000004/training.safetensors", "objective.")):
            whole = (stage / path).read_bytes()
            tensors = harness.read_safetensors(stage / path)
            name = next(name for name in tensors if name.startswith(lost))
            for changed in ({key: value for key, value in tensors.items() if key != name},
                            tensors | {name: ("F32", [1], [0.5])}):
                harness.write_safetensors(stage / path, changed)
                with self.subTest(path=path, tensor=name, there=name in changed):
                    self.fails(1, ["train", recipe], "step-00000004", name)
            (stage / path).write_bytes(whole)
        self.write(DENSE.replace("hidden_size = 16", "hidden_size = 24"), train_keys(6))
        self.fails(1, ["train", recipe], "[16", "[24")

    def test_evaluation_complaints(self):
        recipe = self.write(DENSE, train_keys(1))
        self.fails(2, ["eval", recipe], "[evaluation]")
        recipe = self.write("[evaluation]\nscenes = 1\n", DENSE, train_keys(1))
        self.fails(2, ["eval", recipe], "no trained model")
        self.fails(2, ["eval", recipe, "--model", "no-such-model"], "no-such-model")
        self.fails(2, ["eval", recipe, "--model", harness.GOLDEN / "siglip"], "siglip")
        recipe = self.write("[evaluation]\nscnes = 1\n", DENSE, train_keys(1))
        self.fails(2, ["eval", recipe, "--model", "x"], "did you mean scenes?")
        recipe = self.write("[evaluation]\nscenes = 0\n", DENSE, train_keys(1))
        self.fails(1, ["eval", recipe, "--model", "x"], "scenes")
        recipe = self.write("[evaluation]\nfilms = {count = -1}\n", DENSE, train_keys(1))
        self.fails(1, ["eval", recipe, "--model", "x"], "films", "count", "-1")
        recipe = self.write("[evaluation]\nfilms = {cuont = 1}\n", DENSE, train_keys(1))
        self.fails(2, ["eval", recipe, "--model", "x"], "did you mean count?")


if __name__ == "__main__":
    harness.main()
