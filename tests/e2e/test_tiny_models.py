"""Verbs on tiny models of random weights: what a video is asked, which experts work, what an answer rests on."""

import harness
import test_video
import tiny_models

SCENE = harness.ROOT / "docs/scene.png"


class Videos(harness.TestCase):
    def video(self, frames=6, rate=2):
        """Stripes that move, two frames a second."""
        path = self.folder / "stripes.avi"
        row = lambda shift: bytes(255 if (x // 3 + shift) % 16 < 8 else 40 for x in range(3 * 48))
        test_video.write_avi(path, 48, 32, [[row(2 * i)] * 32 for i in range(frames)], rate)
        return path

    def test_asking_about_a_video(self):
        for golden in ("qwen2_vl", "qwen2_5_vl"):
            with self.subTest(golden):
                model = tiny_models.qwen2_vl(self.folder / golden, golden)
                ask = ["ask", model, "What moves?", "--greedy", "--max-tokens", "6", "--json"]
                told = self.succeeds_json(*ask, "-v", self.video(), "--frames", "4")
                self.assertEqual(told["tokens"]["completion"], 6)
                more = self.succeeds_json(*ask, "-v", self.video(), "--frames", "6")
                self.assertGreater(more["tokens"]["prompt"], told["tokens"]["prompt"])
                # The tokens of the prompt are those of the text and of (4 / 2) grids of merged patches.
                text = self.succeeds_json(*ask)["tokens"]["prompt"]
                per_grid = (more["tokens"]["prompt"] - told["tokens"]["prompt"])
                self.assertEqual(told["tokens"]["prompt"], text + 2 + 2 * per_grid)
                both = self.succeeds_json(*ask, "-v", self.video(), "--frames", "4", "-i", SCENE)
                self.assertGreater(both["tokens"]["prompt"], told["tokens"]["prompt"])

    def test_moments_are_seconds_of_the_file(self):
        model = tiny_models.qwen2_vl(self.folder / "model", answer=["From 0.5 to 1.25 seconds.", "\n0:01 - 9:00 it stops"])
        drawn = self.folder / "drawn.mp4"
        ground = ["ground", model, "When does it move?", "-v", self.video(), "--greedy"]
        told = self.succeeds_json(*ground, "--json", "--draw", drawn)
        self.assertEqual(told["moments"], [{"label": "", "start_s": 0.5, "end_s": 1.25},
                                           {"label": "it stops", "start_s": 1, "end_s": 3}])  # where the file ends
        self.assertEqual(told["frames"], [])
        self.assertIn("0.50 to     1.25 s", self.succeeds(*ground))
        self.assertTrue(drawn.stat().st_size > 0)

    def test_frames_that_were_counted_are_seconds_too(self):
        model = tiny_models.qwen2_vl(self.folder / "model", answer=["the stripes from frame 2 to frame 4"])
        told = self.succeeds_json("ground", model, "When?", "-v", self.video(), "--frames", "6", "--greedy", "--json")
        self.assertEqual(told["moments"], [{"label": "the stripes", "start_s": 0.5, "end_s": 1.5}])

    def test_where_no_moment_is_named_the_frames_are_asked(self):
        model = tiny_models.qwen2_vl(self.folder / "model", answer=[
            "<|object_ref_start|>", "the stripe", "<|object_ref_end|>", "<|box_start|>", "(250,0),(500,1000)",
            "<|box_end|>"])
        told = self.succeeds_json("ground", model, "Where?", "-v", self.video(), "--frames", "3", "--greedy", "--json")
        self.assertEqual(told["moments"], [])
        self.assertEqual([frame["seconds"] for frame in told["frames"]], [0, 1, 2])
        for frame in told["frames"]:
            (box,) = frame["boxes"]
            self.assertEqual((box["label"], box["track"]), ("the stripe", 0))
            for found, expected in zip(box["box"], (12, 0, 24, 32)):
                self.assertAlmostEqual(found, expected, places=3)

    def test_tags_of_qwen2_vl_in_pixels_of_the_picture(self):
        model = tiny_models.qwen2_vl(self.folder / "model", answer=[
            "<|object_ref_start|>", "the snail", "<|object_ref_end|>", "<|box_start|>", "(100,200),(300,1000)",
            "<|box_end|>"])
        for width, height in ((240, 240), (70, 31), (500, 40)):
            picture = harness.write_png(self.folder / "picture.png", width, height)
            told = self.succeeds_json("ground", model, "Where is it?", "-i", picture, "--greedy", "--json")
            (box,) = told["boxes"]
            self.assertEqual(box["label"], "the snail")
            for found, expected in zip(box["box"], (0.1 * width, 0.2 * height, 0.3 * width, height)):
                self.assertAlmostEqual(found, expected, places=3)


class Experts(harness.TestCase):
    def test_routing(self):
        for chosen in (2, 4):  # of 4: none is idle then
            with self.subTest(chosen):
                model = tiny_models.mixtral(self.folder / str(chosen), chosen)
                out = self.folder / "routing.json"
                told = self.succeeds_json("ask", model, "Which?", "--routing", out, "--greedy", "--max-tokens", "5",
                                          "--json")
                routing = harness.read_json(out)
                rows = told["tokens"]["prompt"] + told["tokens"]["completion"] - 1
                self.assertEqual(len(routing["tokens"]), rows)
                self.assertEqual("".join(routing["tokens"][:6]), "Which?")
                self.assertEqual([layer["layer"] for layer in routing["layers"]], [0, 1])
                for layer in routing["layers"]:
                    self.assertEqual(len(layer["experts"]), rows)
                    for experts, weights in zip(layer["experts"], layer["weights"]):
                        self.assertEqual(len(set(experts)), chosen)
                        self.assertAlmostEqual(sum(weights), 1, places=4)
                    self.assertAlmostEqual(sum(layer["load"].values()), 1, places=6)
                if chosen == 4:
                    self.assertEqual(routing["layers"][0]["load"], {str(i): 0.25 for i in range(4)})

    def test_a_model_without_experts_is_refused(self):
        out = self.folder / "routing.json"
        model = tiny_models.qwen2_vl(self.folder / "model")
        self.fails(1, ["ask", model, "Which?", "--routing", out], "without experts")
        self.assertFalse(out.exists())


class Explain(harness.TestCase):
    """Random weights look at everything a little: what is checked is that every kind of model can be asked."""

    def check(self, model, *pictures):
        out = self.folder / "heat.png"
        flags = [word for picture in pictures for word in ("-i", picture)]
        told = self.succeeds_json("ask", model, "What?", *flags, "--greedy", "--max-tokens", "4", "--dtype", "float32",
                                  "--explain", out, "--explain-measurements", "40", "--json")
        self.assertGreater(min(harness.png_size(out)), 100)
        explained = told["explain"]
        self.assertLess(explained["log_likelihood"], 0)
        self.assertLessEqual(explained["measurements"], 40)
        self.assertEqual({cell["picture"] for cell in explained["cells"]}, set(range(len(pictures))))
        self.assertTrue(any(abs(cell["strength"]) > 1e-6 for cell in explained["cells"]), explained)
        for index, picture in enumerate(pictures):
            width, height = harness.png_size(picture)
            cells = [cell["box"] for cell in explained["cells"] if cell["picture"] == index]
            self.assertEqual(sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in cells), width * height)
        again = self.succeeds_json("ask", model, "What?", *flags, "--greedy", "--max-tokens", "4", "--dtype", "float32",
                                   "--json")
        self.assertEqual(again["text"], told["text"])

    def test_every_kind_of_model(self):
        picture = harness.write_png(self.folder / "noise.png", 50, 34)
        for make in (tiny_models.qwen2_vl, tiny_models.mllama, tiny_models.blip2_t5, tiny_models.llava_next):
            with self.subTest(make.__name__):
                self.check(make(self.folder / make.__name__), picture)

    def test_several_pictures(self):
        model = tiny_models.qwen2_vl(self.folder / "model", "qwen2_5_vl")
        self.check(model, *(harness.write_png(self.folder / f"{i}.png", 30 + 20 * i, 40, seed=i) for i in range(3)))


if __name__ == "__main__":
    harness.main()
