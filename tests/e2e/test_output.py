"""Outputs that cannot be written leave nothing behind, and no harm is done to what is there."""

import os
import resource
import stat
import subprocess

import harness


class Workplace(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.place = self.folder / "place"
        self.place.mkdir()
        self.model = harness.make_parrot(self.folder / "model", (b'{"bbox_2d": [1, 2, 9, 9], "label": "x"}',))
        self.picture = harness.write_png(self.folder / "a.png")
        self.inputs = self.folder / "in.safetensors"
        harness.write_safetensors(self.inputs, {"input_ids": ("I64", [1, 3], [72, 105, 10])})

    def writers(self, output):
        return (["forward", self.model, self.inputs, "-o", output],
                ["preprocess", self.model, "--text", "Hi", "-o", output],
                ["ask", self.model, "Hi", "-i", self.picture, "--draw", output])


class Output(Workplace):
    def test_no_such_folder_and_a_folder(self):
        for output in (self.place / "none/out", self.place, self.picture / "out", "", "/proc/out"):
            for arguments in self.writers(output):
                with self.subTest(arguments):
                    self.fails(2, arguments, str(output) or "empty")
        self.assertEqual(self.names_in(self.place), [])

    def test_a_missing_right(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        self.place.chmod(0o500)
        self.addCleanup(self.place.chmod, 0o700)
        for arguments in self.writers(self.place / "out"):
            self.fails(2, arguments, "out")

    def test_a_full_device_stays_a_device(self):
        for arguments in self.writers("/dev/full")[:2]:  # an answer is streamed before it is drawn
            self.fails(1, arguments, "/dev/full", "No space left")
        for arguments in self.writers("/dev/null"):
            done = harness.run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        for device in ("/dev/full", "/dev/null"):
            self.assertTrue(stat.S_ISCHR(os.stat(device).st_mode))

    def test_a_full_file_system(self):
        mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "nuri-e2e", self.place]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("only root may mount a small file system, and not everywhere")
        self.addCleanup(subprocess.run, ["umount", self.place], check=True)
        (self.place / "most").write_bytes(b"\0" * 12288)
        for arguments in self.writers(self.place / "out")[:2]:
            harness.write_safetensors(self.inputs, {"input_ids": ("I64", [1, 200], 72)})
            if arguments[0] == "preprocess":
                arguments[3] = "Hi" * 500
            with self.subTest(arguments[0]):
                self.fails(1, arguments, "No space left")
                self.assertEqual(self.names_in(self.place), ["most"])

    def test_a_limit_on_file_sizes(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256))

        for arguments in self.writers(self.place / "out")[:2]:
            if arguments[0] == "preprocess":
                arguments[3] = "Hi" * 50
            self.fails(1, arguments, "File too large", preexec_fn=limit)
        self.assertEqual(self.names_in(self.place), [])

    def test_what_was_there_stays_when_nothing_comes(self):
        output = self.place / "out"
        output.write_text("before")
        harness.write_safetensors(self.inputs, {"input_ids": ("I64", [1, 3], [72, 105, -1])})
        self.fails(2, self.writers(output)[0], "-1")
        self.fails(2, ["preprocess", self.model, "--text", "<image>", "-o", output], "<image>")
        self.fails(2, ["ask", self.model, "<image>", "-i", self.picture, "--draw", output], "<image>")
        self.assertEqual(output.read_text(), "before")
        self.assertEqual(self.names_in(self.place), ["out"])

    def test_a_link_stays_a_link(self):
        (self.place / "target").write_text("before")
        (self.place / "link").symlink_to("target")
        self.succeeds(*self.writers(self.place / "link")[0])
        self.assertTrue((self.place / "link").is_symlink())
        self.assertIn("logits", harness.read_safetensors(self.place / "target"))
        self.assertEqual(self.names_in(self.place), ["link", "target"])

    def test_nothing_is_left_beside_the_output(self):
        for number, arguments in enumerate(self.writers(self.place / "out")):
            harness.run(*arguments)
            self.assertEqual(self.names_in(self.place), ["out"])
            (self.place / "out").unlink()

    def test_a_pipe_is_written_to(self):
        pipe = self.place / "pipe"
        os.mkfifo(pipe)
        reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
        self.succeeds("preprocess", self.model, "--text", "Hi", "-o", pipe)
        self.assertIn(b"input_ids", reader.communicate(timeout=harness.PATIENCE)[0])
        self.assertTrue(stat.S_ISFIFO(pipe.stat().st_mode))


class StandardOutput(Workplace):
    def printers(self):
        return (["ask", self.model, "Hi"], ["ask", self.model, "Hi", "--json"], ["tokenize", self.model, "--text", "Hi"],
                ["bench", self.model, "-p", "2", "-n", "1", "-r", "1"], ["--help"], ["ask", "--help"], ["--version"])

    def test_full(self):
        for arguments in self.printers():
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                done = harness.run(*arguments, stdout=full)
                self.check_complaint(done.returncode, 1, done.stderr, "standard output", "No space left")

    def test_closed(self):
        for arguments in self.printers():
            with self.subTest(arguments):
                done = harness.run(*arguments, stdout=None, preexec_fn=lambda: os.close(1))
                self.check_complaint(done.returncode, 1, done.stderr, "standard output")

    def test_a_reader_that_leaves(self):
        for arguments in self.printers():
            ours, theirs = os.pipe()
            os.close(ours)
            with self.subTest(arguments):
                done = harness.run(*arguments, stdout=theirs)
                self.check_complaint(done.returncode, 1, done.stderr, "standard output")
            os.close(theirs)

    def test_closed_streams_do_not_end_up_in_files(self):
        output = self.place / "out.json"
        chat = subprocess.run([harness.BINARY, "chat", self.model], input=f"Hi\n/save {output}\n".encode(),
                              stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
        self.check_complaint(chat.returncode, 1, chat.stderr, "standard output")
        self.assertEqual(self.names_in(self.place), [])

        def close_all():
            for stream in range(3):
                os.close(stream)

        done = subprocess.run([harness.BINARY, *map(str, self.writers(self.place / "out")[0])], preexec_fn=close_all)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(list(harness.read_safetensors(self.place / "out")), ["logits"])

    def test_closed_standard_error(self):
        done = harness.run("ask", self.model, "Hi", stderr=None, preexec_fn=lambda: os.close(2))
        self.assertEqual(done.returncode, 0)
        done = harness.run("ask", "no-such-model", "Hi", stderr=None, preexec_fn=lambda: os.close(2))
        self.assertEqual((done.returncode, done.stdout), (2, b""))


if __name__ == "__main__":
    harness.main()
