"""Greedy continuations of the committed checkpoints are those of the reference."""

import os

import harness


class Continuations(harness.TestCase):
    def test_the_sequences_of_the_reference(self):
        compared = 0
        for folder in sorted(harness.GOLDEN.iterdir()):
            expected = harness.read_safetensors(folder / "outputs.safetensors").get("sequences")
            if not expected:
                continue
            found, given = self.folder / "found.safetensors", folder / "inputs.safetensors"
            self.succeeds("forward", folder, given, "-o", found, "--dtype", "float32", "--generate", "24",
                          "--device", os.environ.get("NURI_TEST_DEVICE", "cpu"))
            with self.subTest(folder.name):
                self.assertEqual(harness.read_safetensors(found)["sequences"], expected)
            compared += 1
        self.assertGreaterEqual(compared, 8)

    def test_an_image_token_that_the_model_makes_is_a_token_like_any_other(self):
        model = harness.GOLDEN / "llava_siglip_qwen2"
        ids = harness.read_safetensors(model / "outputs.safetensors")["sequences"][2]
        prompt = len(harness.read_safetensors(model / "inputs.safetensors")["input_ids"][2])
        self.assertIn(47, ids[prompt:-1])
        self.succeeds("bench", model, "-p", "48", "-n", "8", "-r", "1")


if __name__ == "__main__":
    harness.main()
