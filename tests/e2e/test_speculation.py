"""Speculation: several tokens a step, and the same answers."""

import harness
import tiny_models

SCENE = harness.ROOT / "docs/scene.png"
FAMILIES = {"qwen2_vl": tiny_models.qwen2_vl, "mllama": tiny_models.mllama, "mixtral": tiny_models.mixtral,
            "blip2_t5": tiny_models.blip2_t5, "llava_next": tiny_models.llava_next}


class Answers(harness.TestCase):
    def ask(self, model, question, *more):
        told = self.succeeds_json("ask", model, question, "--json", *more)
        speculation = told.pop("speculation", None)
        del told["timing"]
        return told, speculation

    def check_counts(self, told, counts):
        self.assertEqual(set(counts), {"steps", "proposed", "accepted", "accepted_per_step"})
        self.assertLessEqual(counts["accepted"], counts["proposed"])
        self.assertEqual(counts["steps"] + counts["accepted"] + 1, told["tokens"]["completion"])
        if counts["steps"]:
            self.assertAlmostEqual(counts["accepted_per_step"], counts["accepted"] / counts["steps"])

    def test_of_the_bundled_model_are_the_same(self):
        for question, flags in (("What is in the picture?", ["-i", SCENE, "--greedy"]),
                                ("그림에 무엇이 있어?", ["-i", SCENE, "--temperature", "1.2", "--seed", "3"]),
                                ("Where are a cat, a dog, a cat and a dog?", ["--greedy", "--repetition-penalty", "1.2"])):
            with self.subTest(question):
                expected, none = self.ask("emoji-world", question, *flags, "--speculate", "off")
                self.assertIsNone(none)
                self.assertEqual(self.ask("emoji-world", question, *flags), (expected, None))
                for way in (["--speculate", "lookup"], ["--draft", "emoji-world"]):
                    told, counts = self.ask("emoji-world", question, *flags, *way)
                    self.assertEqual(told, expected)
                    self.check_counts(told, counts)

    def test_of_a_repetition_take_fewer_steps(self):
        model = harness.make_parrot(self.folder / "parrot", (b"la ", b"lu ", b"li "), endless=True)
        for way in (["--speculate", "lookup"], ["--draft", str(model)]):
            told, counts = self.ask(model, "Sing.", "--max-tokens", "60", "--greedy", *way)
            self.assertEqual(told["text"], "la lu li " * 20)
            self.check_counts(told, counts)
            self.assertGreater(counts["accepted"], 3)

    def test_of_every_kind_of_model_are_the_same(self):
        for name, make in FAMILIES.items():
            model = make(self.folder / name)
            pictures = [] if name == "mixtral" else ["-i", SCENE]
            for flags in (["--greedy"], ["--temperature", "0.5", "--seed", "2"]):
                with self.subTest(name, flags=flags):
                    flags = [*pictures, *flags, "--max-tokens", "40", "--dtype", "float32"]
                    expected, _ = self.ask(model, "What is this?", *flags, "--speculate", "off")
                    for way in (["--speculate", "lookup"], ["--draft", str(model)]):
                        told, counts = self.ask(model, "What is this?", *flags, *way)
                        self.assertEqual(told, expected)
                        self.check_counts(told, counts)

    def test_of_a_draft_without_eyes_are_the_same(self):
        model = tiny_models.llava_next(self.folder / "model")
        blind = self.folder / "blind"  # the same tokens, and no pictures
        tiny_models.make(blind, "mixtral", {"<image>": 47}, tiny_models.chat(""), config={"sliding_window": None})
        flags = ["-i", SCENE, "--greedy", "--max-tokens", "30", "--dtype", "float32"]
        expected, _ = self.ask(model, "What is this?", *flags, "--speculate", "off")
        told, counts = self.ask(model, "What is this?", *flags, "--draft", str(blind))
        self.assertEqual(told, expected)
        self.assertGreater(counts["proposed"], 0)


class Complaints(harness.TestCase):
    def test_name_the_flag(self):
        self.fails(2, ["ask", "emoji-world", "x", "--speculate", "yes"], "--speculate", "found yes", "lookup or off")
        self.fails(2, ["ask", "emoji-world", "x", "--speculate", "off", "--draft", "emoji-world"], "--draft", "off")
        self.fails(2, ["ask", "emoji-world", "x", "--draft", self.folder / "none"], "found no such model folder")
        self.fails(2, ["bench", "emoji-world", "--speculate", "x"], "--speculate")
        self.fails(2, ["ask", "emoji-world", "x", "--draft", "emoji-match"], "--draft")
        model = harness.make_parrot(self.folder / "parrot")
        self.fails(2, ["ask", "emoji-world", "x", "--draft", model], "--draft", "found the token", "emoji-world")
        self.fails(2, ["bench", "emoji-world", "-p", "4", "-n", "4", "--draft", model], "--draft", "tokens")


class Bench(harness.TestCase):
    def test_measures_answers_with_and_without(self):
        bench = ["bench", "emoji-world", "-p", "16", "-n", "8", "-r", "1"]
        told = self.succeeds_json(*bench, "--json", "--speculate", "lookup")
        self.assertEqual(set(told["speculation"]), {"steps", "proposed", "accepted", "accepted_per_step",
                                                    "plain_tokens_per_s", "tokens_per_s"})
        self.assertGreater(told["speculation"]["tokens_per_s"], 0)
        self.assertNotIn("speculation", self.succeeds_json(*bench, "--json"))
        self.assertIn("with speculation", self.succeeds(*bench, "--draft", "emoji-world"))


if __name__ == "__main__":
    harness.main()
