"""Two models held against each other: perplexity, KL divergence, equal top tokens, equal answers."""

import json
import math
import random
import shutil

import harness
import tiny_models

SCENE = harness.ROOT / "docs/scene.png"
TEXT = "Where is the cat? The cat is left of the dog. 고양이는 어디에 있나요? 고양이는 개의 왼쪽에 있습니다.\n" * 4


def log_softmax(logits):
    most = max(logits)
    total = most + math.log(sum(math.exp(logit - most) for logit in logits))
    return [logit - total for logit in logits]


class Compare(harness.TestCase):
    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def golden(self, name, folder=None):
        """A committed checkpoint without a tokenizer."""
        model = self.folder / (folder or name)
        shutil.copytree(harness.GOLDEN / name, model)
        return model

    def ids(self, rows, vocabulary=48, seed=1):
        rng = random.Random(seed)
        sequences = [[rng.randrange(vocabulary) for _ in range(length)] for length in rows]
        lines = [json.dumps(row if i % 2 else {"ids": row, "text": ""}) for i, row in enumerate(sequences)]
        return sequences, self.write("ids.jsonl", "\n".join(lines) + "\n\n")


class BundledModel(Compare):
    def test_with_itself_there_is_no_difference(self):
        text = self.write("text.txt", TEXT)
        told = self.succeeds_json("compare", "emoji-world", "emoji-world", "--text", text, "-i", SCENE, "--question",
                                  "What is here?", "--max-tokens", 8, "--json")
        (of_text,), (of_questions,) = told["texts"], told["questions"]
        self.assertGreater(of_text["tokens"], 50)
        self.assertEqual(of_text["file"], str(text))
        for found in (of_text, of_questions["answers"]):
            self.assertEqual((found["kl"]["value"], found["kl_most"], found["equal_top"]["value"]), (0, 0, 1))
            self.assertEqual(found["perplexity_a"], found["perplexity_b"])
            self.assertEqual(found["perplexity_ratio"], {"value": 1, "error": 0})
        self.assertEqual(of_questions["equal_answers"], {"value": 1, "error": 0})
        self.assertNotIn("expected", of_questions)

    def test_smaller_weights_stay_within_their_gates(self):
        shutil.copy(SCENE, self.folder / "scene.png")
        lines = [{"picture": "scene.png", "language": language, "question": question, "expected": expected}
                 for language, question, expected in
                 (("en", "What is here?", "a cat"), ("en", "How many things are here?", "3"),
                  ("ko", "무엇이 있나요?", "고양이"))]
        questions = self.write("questions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        arguments = ["--questions", questions, "--by", "language", "--max-tokens", 12, "--json"]
        gates = {("--weights", "int8"): 0.002, ("--weights", "int4"): 0.03,
                 ("--reference-dtype", "float32"): 0.002}
        for flags, gate in gates.items():
            with self.subTest(flags):
                told = self.succeeds_json("compare", "emoji-world", *flags, *arguments)
                self.assertEqual([(group["group"], group["asked"]) for group in told["questions"]],
                                 [("en", 2), ("ko", 1), ("", 3)])
                for group in told["questions"]:
                    for found in (group["answers"], group["expected"]):
                        self.assertTrue(0 < found["kl"]["value"] < gate, found)
                        self.assertTrue(found["kl_median"] <= found["kl_99"] <= found["kl_most"])
                parts, whole = told["questions"][:2], told["questions"][2]
                self.assertEqual(whole["answers"]["tokens"], sum(part["answers"]["tokens"] for part in parts))

    def test_what_it_prints(self):
        text = self.write("text.txt", TEXT)
        printed = self.succeeds("compare", "emoji-world", "--weights", "int8", "--text", text, "--window", 40)
        for words in ("A: emoji-world", "int8 weights", "text.txt: ", "perplexity", "KL divergence", "equal top"):
            self.assertIn(words, printed)


class TokenIds(Compare):
    def logits(self, model, ids):
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        harness.write_safetensors(inputs, {"input_ids": ("I64", [1, len(ids)], ids)})
        self.succeeds("forward", model, inputs, "-o", outputs)
        _, (_, rows, width), values = harness.read_safetensors(outputs)["logits"]
        return [log_softmax(values[width * row : width * (row + 1)]) for row in range(rows)]

    def expected(self, a, b, sequences):
        """What compare should find, by the logits that `forward` gives of whole windows."""
        losses, kls, equal = ([], []), [], []
        for ids in sequences:
            of_a, of_b = self.logits(a, ids), self.logits(b, ids)
            for row_a, row_b, following in zip(of_a, of_b, ids[1:]):
                losses[0].append(-row_a[following])
                losses[1].append(-row_b[following])
                kls.append(sum(math.exp(p) * (p - q) for p, q in zip(row_a, row_b)))
                equal.append(row_a.index(max(row_a)) == row_b.index(max(row_b)))
        mean = lambda values: sum(values) / len(values)
        return {"tokens": len(kls), "perplexity_a": math.exp(mean(losses[0])),
                "perplexity_b": math.exp(mean(losses[1])), "kl": mean(kls), "equal_top": mean(equal)}

    def test_the_figures_are_those_of_the_logits(self):
        model = self.golden("llama3")
        sequences, file = self.ids([40, 25, 33])
        windows = [ids[at : at + 16] for ids in sequences for at in range(0, len(ids), 16)]
        windows = [ids for ids in windows if len(ids) > 1]  # of one token nothing can be weighed
        other = self.golden("llama3", "other")
        tensors = harness.read_safetensors(other / "model.safetensors")
        kind, shape, values = tensors["model.layers.0.mlp.down_proj.weight"]
        tensors["model.layers.0.mlp.down_proj.weight"] = (kind, shape, [1.5 * value for value in values])
        harness.write_safetensors(other / "model.safetensors", tensors)
        told = self.succeeds_json("compare", model, other, "--ids", file, "--window", 16, "--json")
        (found,) = told["texts"]
        expected = self.expected(model, other, windows)
        self.assertEqual(found["tokens"], expected.pop("tokens"))
        self.assertGreater(found["kl"]["value"], 1e-4)
        for name, value in expected.items():
            self.assertAlmostEqual(found[name]["value"] / value, 1, delta=1e-3, msg=name)

    def test_models_of_every_kind_that_give_text(self):
        for name in ("opt", "mixtral", "qwen2_5_vl", "t5"):
            with self.subTest(name):
                model = self.golden(name)
                vocabulary = harness.read_json(model / "config.json")
                vocabulary = vocabulary.get("text_config", vocabulary)["vocab_size"]
                _, file = self.ids([9, 12], vocabulary=min(vocabulary, 40))
                told = self.succeeds_json("compare", model, model, "--ids", file, "--json")
                self.assertEqual((told["texts"][0]["kl_most"], told["texts"][0]["tokens"]), (0, 19))

    def test_files_that_are_no_ids(self):
        model = self.golden("llama3")
        for text, *words in (("[1, 2]\n[1, x]\n", ":2", "JSON"), ("[1, -2]\n", ":1", "-2"), ("{\"id\": [1]}\n", ":1"),
                             ("[1, 2.5]\n", ":1"), ("\n\n", "no line"), ("[1]\n[2]\n", "less than two tokens")):
            with self.subTest(text):
                file = self.write("bad.jsonl", text)
                code = 2 if "two tokens" in str(words) else 1
                self.fails(code, ["compare", model, model, "--ids", file], "bad.jsonl", *words)
        self.fails(2, ["compare", model, model, "--ids", self.write("high.jsonl", "[1, 48]\n")], "48")
        self.fails(2, ["compare", model, model, "--ids", self.folder / "absent"], "absent")


class Refusals(Compare):
    def test_different_vocabularies(self):
        text = self.write("text.txt", TEXT)
        _, file = self.ids([9])
        small, large = self.golden("llama3"), tiny_models.mixtral(self.folder / "large")
        self.fails(2, ["compare", small, large, "--ids", file], "48", large.name, "one vocabulary")
        other = self.folder / "other"
        shutil.copytree(large, other)
        path = other / "tokenizer.json"
        path.write_text(path.read_text().replace('"a": ', '"swapped": '))
        self.fails(2, ["compare", large, other, "--text", text], "swapped", "one vocabulary")

    def test_what_is_missing(self):
        text = self.write("text.txt", TEXT)
        empty = self.write("empty.txt", "")
        question = ["--question", "What?"]
        for words, *arguments in ((["nothing to compare on"], "emoji-world", "emoji-world"),
                                  (["nothing that differs"], "emoji-world", "--text", text),
                                  (["without a question"], "emoji-world", "emoji-world", "-i", SCENE),
                                  (["--by"], "emoji-world", "emoji-world", *question, "--by", "x"),
                                  (["absent.txt"], "emoji-world", "emoji-world", "--text", "absent.txt"),
                                  (["empty.txt", "two tokens"], "emoji-world", "emoji-world", "--text", empty),
                                  (["--window", "1024"], "emoji-world", "emoji-world", "--text", text, "--window",
                                   1025),
                                  (["--window"], "emoji-world", "emoji-world", "--text", text, "--window", 1),
                                  (["--weights", "int3"], "emoji-world", "--weights", "int3", "--text", text),
                                  (["absent.png"], "emoji-world", "emoji-world", "-i", "absent.png", *question)):
            with self.subTest(arguments):
                self.fails(2, ["compare", *arguments], *words)
        self.fails(1, ["compare", "emoji-match", "emoji-match", "--text", text], "no text")
        bare = self.golden("llama3")
        self.fails(2, ["compare", bare, bare, "--text", text], "tokenizer.json")

    def test_broken_questions(self):
        for line, *words in (("{}", "question"), ("{\"question\": 1}", "question"), ("[]", "1"),
                             ("{\"question\": \"a\", \"picture\": 3}", "picture"),
                             ("{\"question\": \"a\", \"expected\": \"\"}", "expected"),
                             ("{\"question\": \"a\"}", "language")):
            with self.subTest(line):
                file = self.write("questions.jsonl", line + "\n")
                self.fails(1, ["compare", "emoji-world", "emoji-world", "--questions", file, "--by", "language"],
                           "questions.jsonl:1", *words)


if __name__ == "__main__":
    harness.main()
