"""Models in codes: written, interrupted, refused, and used by the other verbs."""

import json
import os
import shutil
import signal
import subprocess
import time

import harness

SCENE = harness.ROOT / "docs/scene.png"


class Quantize(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def quantized(self, model, *flags):
        return self.succeeds_json("quantize", model, "-o", self.out, "--json", *flags)

    def test_the_bundled_model(self):
        for weights in ("int8", "int4", "bf12"):
            with self.subTest(weights):
                told = self.quantized("emoji-world", "--weights", weights)
                self.assertLess(told["bytes"], told["source_bytes"])
                self.assertFalse((self.folder / "out.partial").exists())
                self.assertEqual(self.names_in(self.out), [name for name in self.names_in(harness.BUNDLED)
                                                           if name != "README.md"])
                asked = ["Where is the dolphin?", "-i", SCENE, "--json", "--greedy"]
                file, load = (self.succeeds_json("ask", *model, *asked)
                              for model in ((self.out,), ("emoji-world", "--weights", weights)))
                self.assertEqual(file["text"], load["text"])
                self.assertEqual(file["boxes"], load["boxes"])
                shown = self.succeeds_json("inspect", self.out, "--json")
                whole = self.succeeds_json("inspect", "emoji-world", "--json")
                for key in ("parameters", "flops_per_token", "flops_per_picture", "dtype"):
                    self.assertEqual(shown[key], whole[key])
                self.assertEqual(shown["memory"]["weights"], told["bytes"])
                self.assertEqual(sum(sum_["parameters"] for sum_ in shown["codes"].values()),
                                 told["parameters_in_codes"])
                self.assertIn("parameters of", self.succeeds("inspect", self.out))
                self.succeeds("bench", self.out, "-p", "8", "-n", "2", "-r", "1")
                shutil.rmtree(self.out)

    def test_twelve_bits_are_the_same_numbers(self):
        told = self.quantized("emoji-world", "--weights", "bf12")
        self.assertEqual(told["matrices_that_do_not_fit"], 0)
        (coding,) = self.succeeds_json("inspect", self.out, "--json")["codes"].items()
        self.assertEqual(coding[0], "bfloat12")
        self.assertEqual(coding[1]["matrices"], told["matrices"])
        self.assertLess(coding[1]["bytes"] / coding[1]["parameters"], 1.6)
        self.assertIn("are bfloat12", self.succeeds("inspect", self.out))
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        self.succeeds("preprocess", "emoji-world", "--text", "<image>What is here?", "-i", SCENE, "-o", inputs)

        def logits(model, *flags):
            self.succeeds("forward", model, inputs, "-o", outputs, "--dtype", "float32", *flags)
            return harness.read_safetensors(outputs)["logits"][2]

        exact, found = logits("emoji-world"), logits(self.out)
        self.assertLess(max(abs(a - b) for a, b in zip(exact, found)) / max(map(abs, exact)), 1e-5)
        self.assertEqual(found, logits("emoji-world", "--weights", "bf12"))

    def test_what_is_said_without_json(self):
        said = self.succeeds("quantize", harness.GOLDEN / "llama3", "-o", self.out, "--weights", "int4", "--keep",
                             "*.mlp.*=bf16")
        self.assertRegex(said, r"\A\S+out: \d+ of \d+ parameters in codes \(\d+ matrices\), [^\n]+\n\Z")

    def test_killed_and_called_again(self):
        call = ["quantize", "emoji-world", "-o", self.out, "--weights", "int8", "--shard-size", "1"]
        program = subprocess.Popen([harness.BINARY, *map(str, call)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        partial = self.folder / "out.partial"
        for _ in range(20000):
            written = list(partial.glob("model-0000[23]*"))
            if written or program.poll() is not None:
                break
            time.sleep(0.002)
        program.kill()
        program.communicate()
        there = len(list(partial.glob("model-*"))) if partial.exists() else 0
        if self.out.exists():  # it was quicker than the signal
            shutil.rmtree(self.out)
        told = self.succeeds_json(*call, "--json")
        self.assertEqual(told["files_there_before"], there)
        self.assertGreater(told["files"], 5)
        self.assertFalse(partial.exists())
        self.assertIn("model.safetensors.index.json", self.names_in(self.out))
        self.succeeds("ask", self.out, "What is here?", "-i", SCENE)

    def test_interrupted(self):
        program = subprocess.Popen([harness.BINARY, "quantize", "emoji-world", "-o", self.out, "--weights", "int4"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while program.poll() is None and not (self.folder / "out.partial").exists():
            time.sleep(0.002)
        program.send_signal(signal.SIGINT)
        said, error = program.communicate(timeout=harness.PATIENCE)
        if program.returncode == 0:  # the last weight was done
            self.assertTrue(self.out.exists())
        else:
            self.check_complaint(program.returncode, 130, error, "interrupted")
            self.assertFalse(self.out.exists())

    def test_what_it_refuses(self):
        model = harness.make_parrot(self.folder / "model")
        call = ["quantize", model, "-o", self.out]
        self.fails(2, call, "--weights")
        self.fails(2, [*call, "--weights", "native"], "native", "int8, int4 or bf12")
        self.fails(2, [*call, "--weights", "int4", "--keep", "x=bf16"], "--keep", "x=bf16")
        self.fails(2, [*call, "--weights", "int4", "--keep", "lm_head.weight"], "PATTERN=bf16")
        self.fails(2, ["quantize", self.folder / "none", "-o", self.out, "--weights", "int4"], "none")
        self.fails(2, [*call, "--weights", "int4", "--keep", "*=bf16"], "no matrix")
        self.fails(2, ["quantize", model, "-o", model, "--weights", "int4"], "already")
        self.fails(2, ["quantize", model, "-o", model / "config.json" / "x", "--weights", "int4"], "config.json")
        self.fails(2, ["quantize", model, "-o", "", "--weights", "int4"], "expected")
        self.fails(2, [*call, "--weights", "int4", "--method", "gptq"], "--calibrate")
        self.fails(2, [*call, "--weights", "int4", "--method", "best"], "best")
        self.fails(2, [*call, "--weights", "int8", "--calibrate", model / "config.json"], "int4")
        self.fails(2, [*call, "--weights", "bf12", "--calibrate", model / "config.json"], "bf12", "int4", "as it is")
        self.fails(2, [*call, "--weights", "bf12"], model, "no matrix that fits 12 bits", "0 in bfloat16")
        self.fails(2, [*call, "--weights", "int4", "--calibrate", self.folder / "none.txt"], "none.txt")
        self.assertEqual([name for name in self.names_in(self.folder) if not name.endswith(".partial")], ["model"])
        self.succeeds(*call, "--weights", "int8")
        self.fails(2, [*call, "--weights", "int8"], "out", "already")
        self.fails(2, ["ask", self.out, "Hi", "--weights", "int8"], "in codes already", "native")
        self.assertEqual(self.succeeds("ask", self.out, "Hi"), "Hello world\n")

    def test_a_full_file_system(self):
        model = harness.make_parrot(self.folder / "model")
        place = self.folder / "place"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "nuri-e2e", place]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("only root may mount a small file system, and not everywhere")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        self.fails(1, ["quantize", model, "-o", place / "out", "--weights", "int8"], "on disk", "free")
        self.assertFalse((place / "out").exists())

    def test_a_spoilt_folder(self):
        model = harness.make_parrot(self.folder / "model")
        self.quantized(model, "--weights", "int8")
        config = harness.read_json(self.out / "config.json")
        spoilt = json.loads(json.dumps(config))
        spoilt["quantization_config"]["version"] = 9
        harness.write_json(self.out / "config.json", spoilt)
        self.fails(1, ["ask", self.out, "Hi"], "config.json", "version", "9")
        spoilt = json.loads(json.dumps(config))
        shapes = spoilt["quantization_config"]["matrices"][0]["shapes"]
        shapes[next(iter(shapes))][0] += 16
        harness.write_json(self.out / "config.json", spoilt)
        self.fails(1, ["ask", self.out, "Hi"], "model.safetensors", "expected U8")

    def test_calibrated(self):
        texts = self.folder / "texts.jsonl"
        questions = ("What is in the picture?", "Where is the dolphin?", "그림에 무엇이 있어?")
        shutil.copy(SCENE, self.folder / "scene.png")
        texts.write_text("\n".join(json.dumps({
            "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
                         {"role": "assistant", "content": "A dolphin, a gem and a cookie."}],
            "images": ["scene.png"]}) for question in questions))
        for method in ("gptq", "awq"):
            with self.subTest(method):
                self.quantized("emoji-world", "--weights", "int4", "--calibrate", texts, "--method", method)
                answer = self.succeeds_json("ask", self.out, "Where is the dolphin?", "-i", SCENE, "--json", "--greedy")
                self.assertEqual(answer["boxes"][0]["label"], "dolphin")
                shutil.rmtree(self.out)


if __name__ == "__main__":
    harness.main()
