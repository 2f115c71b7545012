"""bench/peers without its peers: what is measured and what is taken, of what files are made, what a token reads."""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/peers"))

import accuracy_run
import conditions
import measuring
from contest import CALIBRATED, LOAD, Samples, programs_of
from decoder_folder import write_decoder_folder
from environments import PEERS
from files import Files
from kept import Kept
from model_work import bytes_of_a_token, work_of
from report import Accuracy, Contest
from tensors import read_header, write_header

spec = importlib.util.spec_from_file_location("peers_main", ROOT / "bench/peers/__main__.py")
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)

NOW = {"date": "today", "revision": "abc", "program": "123", "processor": "P", "threads": "2", "turns": "5",
       "quick": "no"}
WORK = {"flops": 2e9, "bytes": 2e9, "position_bytes": 0, "picture_flops": None}
LIMITS = {"threads": 2} | {kind: {"one": 1, "all": 2} for kind in ("fp32", "bf16", "int8", "read")}


def write_tensors(file, tensors):
    """{name: bytes}, as rows of one byte each."""
    header, end = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [end, end + len(data)]}
        end += len(data)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "wb") as output:
        write_header(output, header)
        output.write(b"".join(tensors.values()))


def script(file, text):
    file.write_text(f"#!{sys.executable}\n{text}")
    file.chmod(0o755)
    return file


class InFolder(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)
        silence = contextlib.redirect_stderr(io.StringIO())
        self.told = silence.__enter__()
        self.addCleanup(silence.__exit__, None, None, None)

    def options(self, **changes):
        usual = {"models": ["llama-3.2-1b"], "weights": ["int8"], "peers": list(PEERS), "cells": None, "keep": True,
                 "report_only": False, "quick": False, "repetitions": 5, "usual_repetitions": 5, "threads": 2,
                 "no_profile": False, "no_accuracy": False, "work": self.folder, "nuri": self.folder / "nuri",
                 "probe": self.folder / "probe"}
        return argparse.Namespace(**usual | changes)


class Contests(InFolder):
    def run_all(self, now=NOW, **changes):
        """-> titles of what was measured, contests and what is missing."""
        measured = []

        def measure(model, precision, cells, files, options, peers, now):
            measured.append(f"{model}, {precision}")
            samples = {name: Samples({cell.name: [1.0] for cell in cells})
                       for name in programs_of(model, precision, peers)}
            return Contest(model, precision, cells, samples, WORK, LIMITS, now)

        options = self.options(**changes)
        with mock.patch("measuring.measure", measure):
            return measured, *measuring.all_contests(None, options, dict.fromkeys(options.peers), now)

    def test_what_was_kept_whole_is_taken(self):
        self.assertEqual(self.run_all()[0], ["llama-3.2-1b, int8"])
        measured, contests, missing = self.run_all(NOW | {"date": "later", "revision": "def", "program": "456"})
        self.assertEqual((measured, missing), ([], []))
        self.assertEqual(contests[0].conditions, NOW)
        self.assertEqual(self.run_all(keep=False)[0], ["llama-3.2-1b, int8"])

    def test_what_was_kept_under_other_conditions_is_measured_anew(self):
        for name, value in (("threads", "1"), ("turns", "3"), ("processor", "Q"), ("quick", "yes"),
                            ("llama.cpp", "a new one")):
            Kept(self.folder).keep(self.run_all(keep=False)[1][0])
            self.assertEqual(self.run_all(NOW | {name: value})[0], ["llama-3.2-1b, int8"], name)
        Kept(self.folder).keep(self.run_all(keep=False)[1][0])
        self.assertEqual(self.run_all(peers=["llama.cpp"])[0], ["llama-3.2-1b, int8"])
        self.assertIn("llama.cpp was not there, is a new one", self.told.getvalue())

    def test_what_lacks_figures_is_measured_anew(self):
        contest = self.run_all()[1][0]
        del contest.samples["llama.cpp"].figures["load"]
        Kept(self.folder).keep(contest)
        measured, contests, missing = self.run_all(report_only=True)
        self.assertEqual((measured, len(contests), missing), ([], 1, ["llama-3.2-1b, int8: llama.cpp (load)"]))
        self.assertEqual(self.run_all()[0], ["llama-3.2-1b, int8"])
        contest.samples["llama.cpp"].reasons["load"] = "it cannot"
        Kept(self.folder).keep(contest)
        self.assertEqual(self.run_all()[0], [])
        contest.cells = contest.cells[::-1]
        Kept(self.folder).keep(contest)
        self.assertEqual(self.run_all()[0], ["llama-3.2-1b, int8"])

    def test_a_partial_run_is_not_kept(self):
        for change in ({"peers": ["llama.cpp"]}, {"cells": ["load"]}, {"repetitions": 3}, {"no_profile": True}):
            self.assertEqual(len(self.run_all(**change)[1]), 1)
            self.assertIsNone(Kept(self.folder).contest("llama-3.2-1b", "int8"), change)

    def test_encoders_are_contested_in_bf16_alone(self):
        self.assertEqual(self.run_all(models=["siglip-so400m"], weights=["bf16", "int8", "int4"])[0],
                         ["siglip-so400m, bf16"])

    def test_what_is_missing(self):
        self.assertEqual(self.run_all(report_only=True), ([], [], ["llama-3.2-1b, int8"]))


class AccuracyKept(InFolder):
    def run_all(self, now=NOW, **changes):
        measured = []

        def measure(model, precisions, options, files, peers, reference):
            measured.append((model, precisions))
            return {precision: [{"weights": precision}] for precision in precisions}

        with mock.patch("measuring.measure_accuracy", measure):
            return measured, *measuring.all_accuracy(None, self.options(**changes), {}, None, now)

    def test_rows_of_other_weights_stay(self):
        both = [accuracy_run.DECODER, "llama-3.2-1b"]
        self.assertEqual(self.run_all()[0], [(model, ["int8"]) for model in both])
        measured, accuracy, missing = self.run_all(NOW | {"turns": "9"}, weights=["bf16", "int8"])
        self.assertEqual(measured, [(model, ["bf16"]) for model in both])
        self.assertEqual([one.title() for one in accuracy], [f"{model}, {precision}" for model in both
                                                             for precision in ("bf16", "int8")])
        self.assertEqual(self.run_all(NOW | {"threads": "1"})[0], [(model, ["int8"]) for model in both])
        missing = self.run_all(report_only=True, weights=["int8", "int4"])[2]
        self.assertEqual(missing, [f"accuracy of {model}: int4" for model in both])

    def test_a_partial_run_is_not_kept(self):
        self.run_all(peers=["openvino"])
        self.assertIsNone(Kept(self.folder).accuracy("llama-3.2-1b", "int8"))


class Turns(InFolder):
    def test_limits_are_probed_in_between_and_what_failed_to_load_is_left(self):
        calls, probes = [], []

        class Runner:
            def __init__(self, name):
                self.name = name

            def call(self, do, **arguments):
                calls.append((self.name, do))
                return {"error": "no"} if self.name == "openvino" else {"load_s": 1.0}

            def close(self):
                pass

        def probe(options):
            probes.append(len(calls))
            return LIMITS | {"read": {"one": 1, "all": [0, 5, 9, 7, 6][len(probes)]}}

        samples = {name: Samples() for name in ("nuri", "openvino")}
        with mock.patch("measuring.runner_of", lambda name, *rest: Runner(name)), \
                mock.patch("measuring.limits_of", probe):
            limits = measuring.take_turns("m", {"nuri": "int8", "openvino": "int8"}, [LOAD], samples,
                                          mock.Mock(), self.options(repetitions=3), {})
        self.assertEqual(calls, [("nuri", "load"), ("openvino", "load"), ("nuri", "load"), ("nuri", "load")])
        self.assertEqual(probes, [0, 2, 3, 4])
        self.assertEqual(limits["read"]["all"], 9)
        self.assertEqual(samples["nuri"].figures, {"load": [1.0] * 3})


class Options(InFolder):
    def output(self, *arguments):
        return program.read_options(["--report-only", "--work", str(self.folder), *arguments]).output

    def report(self, *arguments):
        absent = str(self.folder / "absent")
        arguments = ["--report-only", "--work", str(self.folder), "--nuri", absent, "--probe", absent, *arguments]
        with mock.patch("sys.argv", ["peers", *arguments]), mock.patch.object(program, "install", None):
            program.main()

    def test_only_a_whole_run_replaces_what_is_committed(self):
        self.assertEqual(self.output(), ROOT / "bench")
        for limited in (["--models", "llama-3.2-1b"], ["--weights", "int4"], ["--peers", "llama.cpp"], ["-r", "3"],
                        ["--cells", "load"], ["--no-accuracy"], ["--no-profile"]):
            self.assertEqual(self.output(*limited), self.folder, limited)
        self.assertEqual(self.output("--quick"), self.folder / "quick")
        self.assertEqual(self.output("--quick", "-o", "here"), pathlib.Path("here"))

    def test_a_report_of_nothing(self):
        with self.assertRaisesRegex(SystemExit, "found nothing to report"):
            self.report()
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_report_of_what_is_kept(self):
        Kept(self.folder).keep(Accuracy("llama-3.2-1b", "int8", [{"model": "m", "trained": False, "program": "nuri",
                                                                  "weights": "int8", "error": "why"}], NOW))
        self.report("-o", str(self.folder))
        self.assertIn("| m | nuri | int8 | - | - | why |", (self.folder / "results.md").read_text())


class Texts(InFolder):
    def write(self, english, korean):
        for language, text in (("english", english), ("korean", korean)):
            (self.folder / "emoji-text").mkdir(exist_ok=True)
            (self.folder / f"emoji-text/{language}.txt").write_text(text)

    def test_what_calibrates_is_not_measured(self):
        self.write("a" * 40000 + "b" * 90000, "c" * 40000 + "d" * 5)
        self.assertEqual(accuracy_run.text_of(self.options(), "korean"), ("c" * 40000, "d" * 5))
        self.assertEqual(accuracy_run.calibration(self.options()).read_text(), "b" * 80000 + "d" * 5)

    def test_without_a_text_to_calibrate_with(self):
        self.write("a" * 50000, "c" * 40000)
        with self.assertRaisesRegex(SystemExit, "korean.txt: found no text behind what is measured"):
            accuracy_run.calibration(self.options())


class Made(InFolder):
    """By a program that writes down what it was asked."""

    def setUp(self):
        super().setUp()
        self.source = self.folder / "models/m"
        write_tensors(self.source / "model.safetensors", {"a": b"1"})
        (self.source / "config.json").write_text("{}")
        self.program("first")

    def program(self, name, code=0):
        script(self.folder / "program", "import pathlib, sys\nfolder = pathlib.Path(sys.argv[4])\nfolder.mkdir()\n"
               f"(folder / 'by').write_text('{name} ' + ' '.join(sys.argv[5:7]))\nsys.exit({code})\n")

    def make(self, weights="int8", texts=None):
        files = Files(self.folder, {}, None, self.folder / "program")
        files.calibration = texts
        return files.make("nuri", "m", weights) or (files.folder("nuri", "m", weights) / "by").read_text()

    def test_what_another_program_made_is_made_anew(self):
        self.assertEqual(self.make(), "first --weights int8")
        self.program("second")
        self.assertEqual(self.make(), "second --weights int8")
        self.assertEqual(self.told.getvalue().count("is removed"), 1)

    def test_what_is_there_stays(self):
        self.make()
        (self.folder / "nuri/m-int8/by").write_text("as it was")
        (self.folder / "program").touch()
        self.assertEqual(self.make(), "as it was")

    def test_another_source(self):
        self.make()
        (self.folder / "nuri/m-int8/by").write_text("as it was")
        write_tensors(self.source / "model.safetensors", {"a": b"12"})
        self.assertEqual(self.make(), "first --weights int8")

    def test_what_was_made_by_halves(self):
        self.program("broken", 1)
        self.assertIn("nuri quantize failed", self.make())
        self.program("first")
        self.assertEqual(self.make(), "first --weights int8")

    def test_other_texts(self):
        texts = self.folder / "texts"
        texts.write_text("one")
        self.assertEqual(self.make(CALIBRATED, texts), "first --weights int4")
        (self.folder / "nuri/m-int4-gptq/by").write_text("as it was")
        self.assertEqual(self.make(CALIBRATED, texts), "as it was")
        texts.write_text("two")
        self.assertEqual(self.make(CALIBRATED, texts), "first --weights int4")

    def test_an_identity_is_of_the_libraries_too(self):
        before = conditions.identity(self.folder / "program")
        (self.folder / "libnuri.so").write_text("library")
        self.assertNotEqual(conditions.identity(self.folder / "program"), before)


class Work(InFolder):
    CONFIG = {"vocab_size": 5, "hidden_size": 4, "num_local_experts": 4, "num_experts_per_tok": 1}

    def bytes_of(self, tensors, config=CONFIG):
        write_tensors(self.folder / "model.safetensors", tensors)
        (self.folder / "config.json").write_text(json.dumps(config))
        return bytes_of_a_token(self.folder)

    def test_a_token_reads_the_table_of_words_as_the_head(self):
        tied = {"model.embed_tokens.weight": bytes(20), "model.layers.0.q_proj.weight": bytes(7)}
        self.assertEqual(self.bytes_of(tied), 27)
        self.assertEqual(self.bytes_of(tied | {"lm_head.weight": bytes(20)}), 27)
        self.assertEqual(self.bytes_of(tied | {"lm_head.weight": bytes(9)}), 16)

    def test_a_token_reads_no_encoder_and_the_experts_at_work(self):
        tensors = {"visual.a": bytes(50), "model.visual.a": bytes(50), "vision_tower.b": bytes(60),
                   "model.layers.0.router.weight": bytes(2)}
        tensors |= {f"model.layers.0.mlp.experts.{i}.w1.weight": bytes(8) for i in range(4)}
        self.assertEqual(self.bytes_of(tensors), 2 + 8)
        self.assertEqual(self.bytes_of(tensors, {"text_config": self.CONFIG | {"num_experts_per_tok": 2}}), 2 + 16)

    def test_a_model_in_several_files(self):
        write_tensors(self.folder / "model-2.safetensors", {"model.layers.1.q_proj.weight": bytes(3)})
        self.assertEqual(self.bytes_of({"model.layers.0.q_proj.weight": bytes(7)}), 10)

    def test_a_prefill_makes_the_logits_of_one_position(self):
        self.bytes_of({"model.layers.0.q_proj.weight": bytes(7)})
        told = {"flops_per_token": 100, "kv_bytes_per_token": 6, "flops_per_picture": None}
        nuri = script(self.folder / "program", f"print({json.dumps(json.dumps(told))})")
        self.assertEqual(work_of(nuri, self.folder, self.folder, None),
                         {"flops": 100 - 2 * 5 * 4, "bytes": 7, "position_bytes": 6, "picture_flops": None})

    def test_the_picture_that_is_counted_is_the_one_that_is_encoded(self):
        self.bytes_of({})
        told = {"flops_per_token": 100, "kv_bytes_per_token": 6}
        nuri = script(self.folder / "program", "import sys, json\n"
                      f"told = {told!r}\n"
                      "told['flops_per_picture'] = sys.argv[sys.argv.index('--image') + 1]\n"
                      "print(json.dumps(told))")
        self.assertEqual(work_of(nuri, self.folder, self.folder, (896, 448))["picture_flops"], "896x448")

    def test_the_folder_of_a_decoder(self):
        source, decoder = self.folder / "whole", self.folder / "part"
        write_tensors(source / "model.safetensors", {"language_model.a": b"123", "visual.b": b"45",
                                                     "language_model.c": b"6789"})
        (source / "config.json").write_text(json.dumps({
            "dtype": "bfloat16", "text_config": {"hidden_size": 4, "rope_parameters": {"mrope_section": [1], "x": 2}}}))
        write_decoder_folder(source, decoder, "language_model.")
        header, begin = read_header(decoder / "model.safetensors")
        data = (decoder / "model.safetensors").read_bytes()[begin:]
        self.assertEqual({name: data[slice(*told["data_offsets"])] for name, told in header.items()},
                         {"a": b"123", "c": b"6789"})
        self.assertEqual(len(data), 7)
        config = json.loads((decoder / "config.json").read_text())
        self.assertEqual((config["model_type"], config["dtype"], config["hidden_size"], config["rope_parameters"]),
                         ("qwen2", "bfloat16", 4, {"x": 2}))
        write_decoder_folder(source, decoder, "", without=("visual.",))
        self.assertEqual([*read_header(decoder / "model.safetensors")[0]], ["language_model.a", "language_model.c"])


if __name__ == "__main__":
    unittest.main()
