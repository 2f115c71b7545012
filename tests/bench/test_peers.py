"""bench/peers without its peers: the order of turns, medians, ratios, goals, and what the report says."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/peers"))

import contest
import goals
import protocol
import report
from contest import LOAD, MEMORY, Cell, Samples
from kept import Kept

PREFILL = Cell("prefill 512", "prefill", {"tokens": 512})
DECODE = Cell("decode at 0", "decode", {"depth": 0, "tokens": 32, "sequences": 1})
PICTURE = Cell("picture", "encode", {"width": 8, "height": 8}, "encode_s")
LIMITS = {"threads": 2, "fp32": {"set": "AVX-512", "one": 250, "all": 500},
          "bf16": {"set": "AMX", "one": 1, "all": 1000}, "int8": {"set": "AMX", "one": 1000, "all": 2000},
          "read": {"one": 40, "all": 50}}
WORK = {"flops": 2e9, "bytes": 2e9, "position_bytes": 1e6, "picture_flops": 1e12}
CONDITIONS = {"date": "yesterday", "revision": "abc", "program": "123", "processor": "P", "threads": "2", "turns": "3"}


def samples(**figures):
    """By the names of cells with underscores."""
    return Samples({name.replace("_", " "): values for name, values in figures.items()})


class Scripted:
    """A runner whose answers are given."""

    def __init__(self, answers):
        self.answers, self.calls = answers, []

    def call(self, do, **arguments):
        self.calls.append((do, arguments))
        return self.answers[do]


class Turns(unittest.TestCase):
    def test_contestants_alternate(self):
        self.assertEqual([name for _, name in contest.turns(["a", "b", "c"], 2)], list("abcabc"))
        self.assertEqual([repetition for repetition, _ in contest.turns(["a", "b"], 3)], [0, 0, 1, 1, 2, 2])

    def test_a_turn_measures_every_cell(self):
        runner = Scripted({"load": {"load_s": 2.0}, "prefill": {"tokens_per_s": 7}, "memory": {"peak_rss_bytes": 5},
                           "encode": {"unsupported": "no eyes"}, "decode": {"error": "broken"}})
        found = Samples()
        for _ in range(2):
            contest.take_turn(runner, {"model": "m"}, [PREFILL, MEMORY, DECODE, PICTURE], found)
        self.assertEqual(found.figures, {"load": [2, 2], "prefill 512": [7, 7], "peak memory": [5, 5]})
        self.assertEqual(found.reasons, {"decode at 0": "broken", "picture": "no eyes"})
        # What failed once is not tried again.
        self.assertEqual([do for do, _ in runner.calls],
                         ["load", "prefill", "memory", "decode", "encode", "load", "prefill", "memory"])
        self.assertEqual(runner.calls[1], ("prefill", {"tokens": 512}))

    def test_without_a_load_nothing_is_measured(self):
        runner, found = Scripted({"load": {"error": "no file"}}), Samples()
        contest.take_turn(runner, {}, [PREFILL], found)
        self.assertEqual((found.figures, found.reasons), ({}, {"load": "no file", "prefill 512": "no file"}))

    def test_cells(self):
        names = [cell.name for cell in contest.cells_of("qwen2.5-vl-3b", "bf16", False)]
        for name in ("prefill 128", "prefill 512", "prefill 2048", "decode at 0", "decode at 512", "decode at 4096",
                     "decode of 4", "decode of 16", "picture", "peak memory"):
            self.assertIn(name, names)
        self.assertLess(names.index("prefill 512"), names.index("peak memory"))
        self.assertLess(names.index("peak memory"), names.index("prefill 2048"))
        self.assertNotIn("picture", [cell.name for cell in contest.cells_of("qwen2.5-vl-3b", "int8", False)])
        self.assertEqual([cell.name for cell in contest.cells_of("siglip-so400m", "bf16", False)],
                         ["load", "picture", "peak memory"])

    def test_programs(self):
        self.assertEqual(contest.programs_of("llama-3.2-1b", "bf16", ["llama.cpp", "openvino"]),
                         {"nuri": "bf12", "llama.cpp": "BF16"})
        self.assertEqual(contest.programs_of("siglip-so400m", "bf16", ["openvino"]),
                         {"nuri": "native", "openvino": "bf16"})


class Figures(unittest.TestCase):
    def test_medians_and_ratios(self):
        self.assertEqual(samples(a=[3, 1, 2]).median("a"), 2)
        self.assertEqual(samples(a=[4, 1, 2, 3]).median("a"), 2.5)
        self.assertIsNone(samples().median("a"))
        self.assertEqual(contest.faster(DECODE, 30, 20), 1.5)
        self.assertEqual(contest.faster(PICTURE, 2, 3), 1.5)
        self.assertEqual(contest.faster(LOAD, 2, 1), 0.5)
        self.assertEqual(report.shown(DECODE, [10.2, 30.9, 20.4], 3), "20.4 (10.2 - 30.9)")
        self.assertEqual(report.shown(DECODE, [10.2, 30.9], 3), "20.5 (10.2 - 30.9), 2 of 3 turns")
        self.assertEqual(report.shown(MEMORY, [2_500_000_000], 1), "2.5")

    def test_shares_of_the_limit(self):
        share = lambda *arguments: goals.share_of_limit(*arguments, WORK, LIMITS)
        decode = lambda depth, sequences: Cell("decode", "decode", {"depth": depth, "sequences": sequences})
        self.assertAlmostEqual(share(PREFILL, "bf16", 250), 0.5)  # 250 x 2e9 of 1000e9
        self.assertAlmostEqual(share(PREFILL, "int8", 250), 0.25)
        self.assertAlmostEqual(share(decode(0, 1), "bf16", 20), 0.8)  # 20 x 2e9 bytes of 50e9
        self.assertAlmostEqual(share(decode(500, 1), "int4", 20), 1)  # and 500 positions of 1e6 bytes
        self.assertAlmostEqual(share(PICTURE, "bf16", 2), 0.5)
        self.assertIsNone(share(decode(0, 4), "bf16", 20))
        without = LIMITS | {"bf16": {"set": "none", "one": 0, "all": 0}}
        self.assertAlmostEqual(goals.share_of_limit(PREFILL, "bf16", 250, WORK, without), 1)  # float32's peak

    def test_limits_are_the_best_of_several_probes(self):
        slow = {kind: LIMITS[kind] | {"one": 9, "all": 10} for kind in ("fp32", "bf16", "int8", "read")}
        slow["threads"] = 2
        best = goals.best_of([slow, LIMITS | {"read": {"one": 40, "all": 8}}, slow])
        self.assertEqual(best, LIMITS | {"bf16": {"set": "AMX", "one": 9, "all": 1000}, "read": {"one": 40, "all": 40}})
        self.assertTrue(goals.doubtful(slow))
        self.assertFalse(goals.doubtful(slow | {"threads": 1}))
        self.assertFalse(goals.doubtful(LIMITS))

    def test_random_ids(self):
        ids = protocol.random_ids(300, 500, 1)
        self.assertEqual(ids, protocol.random_ids(300, 500, 1))
        self.assertNotEqual(ids, protocol.random_ids(300, 500, 2))
        self.assertTrue(all(2 <= one < 500 for one in ids))
        self.assertGreater(len(set(ids)), 150)


class Report(unittest.TestCase):
    def contest(self):
        found = {"nuri": samples(prefill_512=[300, 310, 290], decode_at_0=[24, 25, 26], load=[0.05]),
                 "llama.cpp": samples(prefill_512=[100, 100, 100], decode_at_0=[25, 25, 25], load=[1])}
        found["llama.cpp"].reasons["picture"] = "this model has no mmproj.gguf"
        return report.Contest("model <x>", "bf16", [LOAD, PREFILL, DECODE, PICTURE], found, WORK, LIMITS,
                              CONDITIONS, {"decode at 0": [[71.5, "few_rows_product"]]})

    def test_what_is_missed(self):
        missed = {cell.name: words for cell, words in self.contest().missed()}
        self.assertEqual(set(missed), {"decode at 0", "prefill 512"})
        self.assertIn("1.00x of llama.cpp, wanted 1.08x", missed["decode at 0"])
        self.assertIn("60 % of the machine's limit, wanted 85 %", missed["prefill 512"])

    def test_what_is_told_is_what_is_compared(self):
        one = self.contest()
        one.samples["llama.cpp"].figures["prefill 512"] = [187.6]  # 1.599x is told as 1.60x
        self.assertEqual([words for cell, words in one.missed() if cell == PREFILL],
                         ["60 % of the machine's limit, wanted 85 %"])

    def test_doubts(self):
        one = self.contest()
        self.assertEqual(one.doubts(), [])
        one.samples["nuri"].figures["decode at 0"] = [26]  # 52 of 50 GB a second
        self.assertIn("Above 100 %: decode at 0. What the probe saw is no upper limit", one.doubts()[0])
        one.limits = LIMITS | {"int8": {"set": "AMX", "one": 1000, "all": 1001}}
        self.assertIn("less than 1.5 times", one.doubts()[0])
        self.assertIn((PREFILL, "60 % of a doubtful limit, wanted 85 %"), one.missed())

    def test_markdown(self):
        rows = [{"model": "trained", "trained": True, "program": "nuri", "weights": "int8", "kl": 1.5e-4,
                     "kl_99": 2e-3, "equal_top": 0.995, "relative_error": 0.01},
                    {"model": "random", "trained": False, "program": "openvino", "weights": "int4",
                     "error": "it broke"}]
        other = self.contest()
        other.model, other.conditions = "other", CONDITIONS | {"date": "today", "revision": "def"}
        other.samples["nuri"].figures["load"] = [0.05] * 3
        accuracy = [report.Accuracy("trained", "int8", rows, CONDITIONS)]
        text = report.markdown([self.contest(), other], accuracy, ["m, int8", "accuracy of n: int4"])
        for words in ("| prefill 512, tokens/s | 300 (290 - 310) | 100 (100 - 100): 3.00x | 60 % |",
                      "| load, s | 0.05, 1 of 3 turns | 1, 1 of 3 turns: 20.00x |  |",
                      "- processor: P\n", "- threads: 2\n",
                      "Measured yesterday, revision abc, program 123.\n",
                      "Measured today, revision def, program 123. Unlike most of the others: revision def.\n",
                      "- Measured yesterday, revision abc, program 123. (trained, int8)\n",
                      "of the whole process", "- picture: llama.cpp: this model has no mmproj.gguf",
                      "1.50e-04 (99 %: 2.00e-03)", "99.50 %", "it broke", "71.5 %  few_rows_product",
                      "- m, int8\n- accuracy of n: int4\n",
                      "| reading memory |  | 40.0 | 50.0 | GB/s |"):
            self.assertIn(words, text)
        for line in re.findall(r"(?m)^\|.*$", text):  # whole tables
            self.assertTrue(line.endswith("|"), line)

    def test_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            kept = Kept(pathlib.Path(folder))
            self.assertIsNone(kept.contest("model <x>", "bf16"))
            self.assertIsNone(kept.accuracy("model <x>", "bf16"))
            rows = report.Accuracy("model <x>", "bf16", [{"kl": 1}], CONDITIONS)
            kept.keep(rows)
            kept.keep(self.contest())
            self.assertEqual(kept.contest("model <x>", "bf16"), self.contest())
            self.assertEqual(kept.accuracy("model <x>", "bf16"), rows)
            self.assertIsNone(kept.accuracy("model <x>", "int8"))

    def test_plot(self):
        root = xml.etree.ElementTree.fromstring(report.plot([self.contest()]))
        texts = [element.text for element in root.iter() if element.tag.endswith("text")]
        self.assertIn("model <x>, bf16: prefill 512, llama.cpp", texts)
        self.assertIn("20.00x", texts)
        xml.etree.ElementTree.fromstring(report.plot([]))


class Protocol(unittest.TestCase):
    SCRIPT = ("import sys; sys.path.insert(0, {path!r})\nfrom protocol import Runner, serve\n"
              "class One(Runner):\n    def load(self, model, threads, precision): print('loud')\n"
              "    def prefill(self, tokens): pass\n    def begin(self, depth, sequences): raise ValueError('deep')\n"
              "serve(One())\n")

    def test_a_process_answers(self):
        process = protocol.Process([sys.executable, "-c", self.SCRIPT.format(path=str(ROOT / "bench/peers"))],
                                   subprocess.DEVNULL)
        self.assertGreaterEqual(process.call("load", model="m", threads=1, precision="p")["load_s"], 0)
        self.assertGreater(process.call("prefill", tokens=4)["tokens_per_s"], 0)
        self.assertEqual(process.call("decode", depth=1, tokens=1, sequences=1), {"error": "ValueError: deep"})
        self.assertIn("unsupported", process.call("encode", width=1, height=1))
        self.assertGreater(process.call("memory")["peak_rss_bytes"], 0)
        process.close()
        self.assertEqual(process.process.returncode, 0)
        process.process.stdout.close()

    def test_one_that_ends(self):
        process = protocol.Process([sys.executable, "-c", "raise SystemExit(3)"], subprocess.DEVNULL)
        self.assertIn("ended with code 3", json.dumps(process.call("load")))
        process.close()
        process.process.stdout.close()


if __name__ == "__main__":
    unittest.main()
