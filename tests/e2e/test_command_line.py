"""The contract of the command line: verbs, help, exit codes, JSON keys, streams."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import tempfile

import harness
from harness import run

KOREAN = "고양이가 있다".encode()
# Cut inside the Korean characters.
BOX_PIECES = (b"A ", KOREAN[:4], KOREAN[4:8], KOREAN[8:], b' {"bbox_2d": [8, 8, 24, 16], "label": "', KOREAN[:5],
              KOREAN[5:9], b'"}', b" end")
BOX_TEXT = b"".join(BOX_PIECES).decode()


class Verbs(harness.TestCase):
    def test_help_shows_an_example(self):
        for verb in harness.VERBS:
            with self.subTest(verb):
                text = self.succeeds(verb, "--help")
                self.assertRegex(text, rf"Example:\n  nuri {verb} \S+")

    def test_the_program_tells_its_verbs(self):
        text = self.succeeds("--help")
        for verb in harness.VERBS:
            self.assertIn(verb, text)
        self.assertRegex(self.succeeds("--version"), r"^\d+\.\d+\.\d+\n$")

    def test_wrong_verbs_and_flags(self):
        self.fails(2, [], "expected a verb", "ask")
        self.fails(2, ["aks"], "aks", "ask")
        self.fails(2, [""], "expected a verb")
        self.fails(2, ["ask"], "MODEL")
        self.fails(2, ["--what"], "--what")
        for verb in harness.VERBS:
            with self.subTest(verb):
                self.fails(2, [verb, "a", "b", "--no-such-flag"], "--no-such-flag")
                self.fails(2, [verb, "--helo=x"], "--helo", "did you mean --help?")
        self.fails(2, ["ask", "--sed", "3"], "--sed", "did you mean --seed?")
        self.fails(2, ["forward", "a", "b", "-x"], "-x")

    def test_what_stands_in_a_message_cannot_move_the_cursor(self):
        self.fails(2, ["ask", "no\x1b[2Jsuch\nmodel\r", "x"], "such")


class Parrot(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = tempfile.TemporaryDirectory(prefix="nuri-e2e-")
        cls.addClassCleanup(cls.models.cleanup)
        cls.model = harness.make_parrot(cls.models.name + "/parrot", BOX_PIECES)
        cls.endless = harness.make_parrot(cls.models.name + "/endless", (b"la ", b"la\n"), endless=True, context=100000)
        cls.a = harness.write_png(cls.models.name + "/a.png", 40, 30)
        cls.b = harness.write_png(cls.models.name + "/b.png", 64, 48, seed=2)


class Ask(Parrot):
    def test_json_has_the_keys_of_the_contract(self):
        answer = self.succeeds_json("ask", self.model, "What?", "-i", self.a, "--json")
        self.assertEqual(list(answer), ["text", "boxes", "tokens", "timing"])
        self.assertEqual(answer["text"], BOX_TEXT)
        # 32 pixels of the model are 40 x 30 of the picture.
        self.assertEqual(answer["boxes"], [{"label": KOREAN[:9].decode(), "box": [10, 7.5, 30, 15]}])
        self.assertEqual(set(answer["tokens"]), {"prompt", "completion"})
        self.assertEqual(answer["tokens"]["completion"], len(BOX_PIECES) + 1)
        self.assertEqual(set(answer["timing"]), {"load_s", "encode_s", "prefill_s", "decode_s"})

    def test_streams_what_json_tells(self):
        self.assertEqual(self.succeeds("ask", self.model, "What?", "-i", self.a), BOX_TEXT + "\n")
        for length in range(1, len(BOX_PIECES) + 1):
            flags = ["ask", self.model, "What?", "--max-tokens", length]
            streamed = self.succeeds(*flags)
            self.assertEqual(streamed, self.succeeds_json(*flags, "--json")["text"] + "\n")

    def test_no_piece_of_the_stream_ends_inside_a_character(self):
        program = subprocess.Popen([harness.BINARY, "ask", self.model, "What?"], stdout=subprocess.PIPE)
        pieces = []
        while piece := os.read(program.stdout.fileno(), 1 << 16):
            pieces.append(piece)
        program.stdout.close()
        self.assertEqual(program.wait(), 0)
        for piece in pieces:
            piece.decode()
        self.assertEqual(b"".join(pieces).decode(), BOX_TEXT + "\n")

    def test_random_bytes_are_streamed_as_json_tells_them(self):
        flags = ["ask", self.model, "What?", "--temperature", "50", "--top-k", "0", "--max-tokens", "60"]
        for seed in (1, 2, 3):
            streamed = self.succeeds(*flags, "--seed", seed)
            self.assertIn("\ufffd", streamed)
            self.assertEqual(streamed, self.succeeds_json(*flags, "--seed", seed, "--json")["text"] + "\n")
        self.assertNotEqual(self.succeeds(*flags, "--seed", 1), self.succeeds(*flags, "--seed", 2))

    def test_pictures_may_stand_anywhere(self):
        def prompt_tokens(*arguments):
            return self.succeeds_json("ask", "--json", *arguments)["tokens"]["prompt"]

        model, a, b = self.model, self.a, self.b
        none = prompt_tokens(model, "What?")
        two = none + 2 * harness.TOKENS_PER_PICTURE
        self.assertEqual(prompt_tokens(model, "What?", "-i", a), none + harness.TOKENS_PER_PICTURE)
        for arguments in ((model, "What?", "-i", a, "-i", b), (model, "What?", "-i", a, b), (model, "-i", a, b, "What?"),
                          (model, "-i", a, "What?", "-i", b), ("-i", a, "-i", b, model, "What?"),
                          ("-i", a, b, model, "What?"), (model, "-i", a, "--image", b, "What?", "--greedy"),
                          (model, "-i", a, b, "What?", "--greedy"), ("--seed", "3", "-i", a, b, model, "--", "What?"),
                          (model, "-i", a, b, "--", "What?")):
            with self.subTest(arguments):
                self.assertEqual(prompt_tokens(*arguments), two)
        # The last picture is the one that is drawn on and that boxes belong to.
        answer = self.succeeds_json("ask", model, "-i", a, b, "What?", "--json")
        self.assertEqual(answer["boxes"][0]["box"], [16, 12, 48, 24])
        self.fails(2, ["ask", model, "What", "is", "this?"], "is")

    def test_questions_of_any_kind(self):
        for question in ("", "ask", "train", "[a, b]", "한국어로?", "x" * 200):
            with self.subTest(question):
                self.succeeds("ask", self.model, question)
        self.succeeds("ask", self.model, "--", "-5?")

    def test_draws_the_boxes(self):
        out = self.folder / "drawn.png"
        self.succeeds("ask", self.model, "What?", "-i", self.a, "--draw", out)
        width, height = harness.png_size(out)  # small pictures are drawn larger
        self.assertEqual(width * 30, height * 40)
        self.assertNotEqual(out.read_bytes(), open(self.a, "rb").read())
        self.assertEqual(self.names_in(self.folder), ["drawn.png"])

    def test_stop_strings(self):
        for stop, expected in (("있", "A 고양이가 "), ("[8, 8", 'A 고양이가 있다 {"bbox_2d": '), ("[8]", BOX_TEXT)):
            with self.subTest(stop):
                self.assertEqual(self.succeeds("ask", self.model, "What?", "--stop", stop), expected + "\n")

    def test_numbers_out_of_range(self):
        for flag, value in (("--threads", "0"), ("--threads", "-1"), ("--threads", "many"), ("--threads", "99999999999"),
                            ("--temperature", "-1"), ("--temperature", "nan"), ("--top-p", "1.5"), ("--top-p", "-0.1"),
                            ("--min-p", "2"), ("--top-k", "-1"), ("--max-tokens", "0"), ("--max-tokens", "-3"),
                            ("--repetition-penalty", "0"), ("--repetition-penalty", "-1"), ("--seed", "-1"),
                            ("--seed", "x"), ("--max-pixels", "0"), ("--max-pixels", "-5"), ("--stop", ""),
                            ("--dtype", "float8"), ("--device", "tpu"), ("--presence-penalty", "inf")):
            with self.subTest(flag=flag, value=value):
                self.fails(2, ["ask", self.model, "What?", "-i", self.a, flag, value], flag)
        self.fails(2, ["ask", self.model, "What?", "--weights", "int3"], "--weights", "int3", "int8 or int4")
        self.fails(2, ["ask", self.model, "What?", "--draw", "x.png"], "--draw", cwd=self.folder)

    def test_many_threads_are_no_more_than_needed(self):
        self.succeeds("ask", self.model, "What?", "--threads", "3")

    def test_interrupt_ends_the_line(self):
        program = subprocess.Popen([harness.BINARY, "ask", self.endless, "Sing", "--max-tokens", "90000"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = os.read(program.stdout.fileno(), 1 << 16)
        program.send_signal(signal.SIGINT)
        rest, error = program.communicate(timeout=harness.PATIENCE)
        self.check_complaint(program.returncode, 130, error, "interrupted")
        self.assertTrue((first + rest).endswith(b"\n"))


class OtherVerbs(Parrot):
    def test_tokenize(self):
        text = "Hi 고양이 🐈\n"
        self.assertEqual(self.succeeds_json("tokenize", self.model, "--text", text),
                         {"ids": list(text.encode()), "text": text})
        ids = ",".join(str(byte) for byte in text.encode())
        self.assertEqual(self.succeeds_json("tokenize", self.model, "--decode", ids)["text"], text)
        chat = self.folder / "chat.json"
        harness.write_json(chat, [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi"}]}])
        rendered = self.succeeds_json("tokenize", self.model, "--chat", chat)
        self.assertEqual(list(rendered), ["ids", "text"])
        self.assertEqual(rendered["text"], "<|im_start|>user\n<image>Hi<|im_end|>\n<|im_start|>assistant\n")
        lines = self.folder / "lines.jsonl"
        lines.write_text('"a"\n\n"\\ud55c"\n"<image>"')
        answers = [json.loads(line) for line in self.succeeds("tokenize", self.model, "--lines", lines).splitlines()]
        self.assertEqual([answer["text"] for answer in answers], ["a", "한", "<image>"])

    def test_tokenize_complaints(self):
        self.fails(2, ["tokenize", self.model], "--text")
        self.fails(2, ["tokenize", self.model, "--text", "a", "--decode", "1"], "expected one")
        self.fails(2, ["tokenize", self.model, "--decode", "1,x"], "x")
        self.fails(2, ["tokenize", self.model, "--decode", "-1"], "-1")
        self.fails(2, ["tokenize", self.model, "--decode", "99999999999999"], "99999999999999")
        lines = self.folder / "lines.jsonl"
        for broken in ('"a"\n[1]\n', '"a"\n"b\n', '"a"\nx\n', '"a"\n"\xff"\n'):
            lines.write_bytes(broken.encode("latin-1"))
            self.fails(1, ["tokenize", self.model, "--lines", lines], "lines.jsonl:2")
        chat = self.folder / "chat.json"
        for broken in ("", "{", "3", '"x"', "[1]", '[{"content": 1}]', "{}", "[{}]"):
            chat.write_text(broken)
            with self.subTest(broken):
                done = run("tokenize", self.model, "--chat", chat)
                if done.returncode:  # a template may well make something of odd messages
                    self.check_complaint(done.returncode, 1, done.stderr, "/chat")  # the file, or the template

    def test_preprocess_and_forward(self):
        inputs, outputs = self.folder / "in.safetensors", self.folder / "out.safetensors"
        self.succeeds("preprocess", self.model, "--text", "<image>What?<image> ", "-i", self.a, self.b, "-o", inputs)
        made = harness.read_safetensors(inputs)
        self.assertEqual(sorted(made), ["attention_mask", "input_ids", "pixel_values"])
        length = 2 * harness.TOKENS_PER_PICTURE + len("What? ")
        self.assertEqual(made["input_ids"][:2], ("I64", [1, length]))
        self.assertEqual(made["pixel_values"][:2], ("F32", [2, 3, 32, 32]))
        self.succeeds("forward", self.model, inputs, "-o", outputs, "--generate", 5)
        found = harness.read_safetensors(outputs)
        vocabulary = harness.read_json(self.model / "config.json")["text_config"]["vocab_size"]
        self.assertEqual(found["logits"][1], [1, length, vocabulary])
        self.assertEqual(found["sequences"][2], made["input_ids"][2] + [256, 257, 258, 259, 260])
        self.succeeds("preprocess", self.model, "-i", self.a, "-o", inputs)
        self.assertEqual(list(harness.read_safetensors(inputs)), ["pixel_values"])
        self.fails(2, ["preprocess", self.model, "-o", inputs], "--text")

    def test_inspect(self):
        told = self.succeeds_json("inspect", self.model, "--json")
        self.assertEqual(set(told["parameters"]), {"total", "active", "trained", "by_module"})
        tensors = harness.read_safetensors(self.model / "model.safetensors").values()
        self.assertEqual(told["parameters"]["total"], sum(len(values) for _, _, values in tensors))
        self.assertEqual(self.succeeds_json("inspect", self.model / "config.json", "--json")["parameters"],
                         told["parameters"])
        self.assertIn("LlavaForConditionalGeneration", self.succeeds("inspect", self.model))
        self.fails(2, ["inspect", "no-such-model"], "no-such-model")
        self.fails(1, ["inspect", self.a], "a.png")

    def test_bench(self):
        flags = ["bench", self.model, "-p", "4", "-n", "2", "-r", "1", "--image", "32x32"]
        result = self.succeeds_json(*flags, "--json")
        self.assertEqual(list(result), ["prefill_tokens_per_s", "decode_tokens_per_s", "encode_s", "load_s",
                                        "peak_rss_bytes", "decode_depth", "sequences"])
        for value in result.values():
            self.assertGreater(value, 0)
        self.assertEqual((result["decode_depth"], result["sequences"]), (4, 1))
        deep = self.succeeds_json(*flags, "-d", "33", "--sequences", "3", "--cache", "int8", "--json")
        self.assertEqual((deep["decode_depth"], deep["sequences"]), (33, 3))
        self.assertGreater(deep["decode_tokens_per_s"], 0)
        self.assertEqual(self.succeeds_json(*flags, "-d", "0", "--json")["decode_depth"], 0)
        self.assertIn("tokens/s", self.succeeds(*flags))

    def test_bench_complaints(self):
        for flags, words in ((["-p", "0"], "-p"), (["-p", "-1"], "-p"), (["-n", "-1"], "-n"), (["-r", "0"], "-r"),
                             (["--image", "5"], "--image"), (["--image", "0x3"], "--image"),
                             (["--image", "999999x999999"], "--image"), (["-p", "10000000000000"], "-p"),
                             (["-d", "-1"], "-d"), (["--sequences", "0"], "--sequences"), (["--cache", "int4"], "--cache")):
            with self.subTest(flags):
                self.fails(2, ["bench", self.model, *flags], words)
        self.fails(1, ["bench", self.model, "-p", "2000000000"], "available")

    def test_a_progress_bar_for_a_terminal_alone(self):
        flags = ["bench", self.model, "-p", "4", "-n", "2", "-r", "2", "--json"]
        self.assertEqual(run(*flags).stderr, b"")
        ours, theirs = pty.openpty()
        program = subprocess.Popen([harness.BINARY, *map(str, flags)], stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the other end is gone
            pass
        os.close(ours)
        self.assertEqual(list(json.loads(program.communicate()[0]))[0], "prefill_tokens_per_s")
        self.assertRegex(shown, rb"bench \[")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-40:])


class Ground(harness.TestCase):
    def test_each_notation_ends_in_pixels_of_the_picture(self):
        picture = harness.write_png(self.folder / "a.png")  # 40 x 30, which the model sees as 32 x 32
        for number, (answer, boxes, points) in enumerate((
                (b"<ref>cat</ref><box>[[250, 500, 750, 1000]]</box>", [("cat", [10, 15, 30, 30])], []),
                (b"[0.25, 0.5, 0.75, 1.0]", [("", [10, 15, 30, 30])], []),
                (b'{"bbox_2d": [8, 16, 24, 32], "label": "dog"}', [("dog", [10, 15, 30, 30])], []),
                (b'{"point_2d": [8, 16], "label": "ear"}', [], [("ear", [10, 15])]))):
            with self.subTest(answer):
                model = harness.make_parrot(self.folder / str(number), (answer,))
                told = self.succeeds_json("ground", model, "Where?", "-i", picture, "--json")
                self.assertEqual([(b["label"], b["box"]) for b in told["boxes"]], boxes)
                self.assertEqual([(p["label"], p["point"]) for p in told["points"]], points)

    def test_what_lies_outside_is_crossed_or_cut_off(self):
        picture = harness.write_png(self.folder / "a.png")
        whole = '{"bbox_2d": [8, 16, 24, 32], "label": "dog"}'
        for number, (answer, boxes) in enumerate((
                ('{"bbox_2d": [-8, 16, 64, 48], "label": "dog"}', [[0, 15, 40, 30]]),
                ('{"bbox_2d": [40, 40, 60, 60], "label": "dog"}, {"point_2d": [40, 8], "label": "ear"}', []),
                ("<ref>cat</ref><box>[[-900, -900, -250, -250]]</box>", []),
                ('{"bbox_2d": [24, 32, 8, 16], "label": "dog"}', []),
                (f'[{whole}, {{"bbox_2d": [8, 1', [[10, 15, 30, 30]]),
                (f'[{whole[:-6]}', []))):
            with self.subTest(answer):
                model = harness.make_parrot(self.folder / str(number), (answer.encode(),))
                told = self.succeeds_json("ground", model, "Where?", "-i", picture, "--json")
                self.assertEqual([box["box"] for box in told["boxes"]], boxes)
                self.assertEqual(told["points"], [])

    def test_a_video_is_not_drawn_on_a_picture(self):
        picture = harness.write_png(self.folder / "a.png")
        model = harness.make_parrot(self.folder / "model")
        self.fails(2, ["ask", model, "Where?", "-i", picture, "-v", picture, "--draw", self.folder / "o.png"], "--draw")


class Examples(harness.TestCase):
    """The examples of --help work, in the order of a day's work."""

    def test_they_work(self):
        if not harness.BUNDLED.is_dir():
            self.skipTest(f"{harness.BUNDLED} is not there")
        (self.folder / "docs").symlink_to(harness.ROOT / "docs")
        (self.folder / "recipes").symlink_to(harness.ROOT / "recipes")
        # Training and measuring take long, and a conversation waits for its user.
        for verb in ("ask", "ground", "preprocess", "forward", "tokenize", "inspect", "bench", "compare", "match",
                     "embed", "index", "search"):
            example = re.search(r"Example:\n  nuri (.*)", self.succeeds(verb, "--help"))[1]
            with self.subTest(example):
                self.succeeds(*shlex.split(example), cwd=self.folder)


if __name__ == "__main__":
    harness.main()
