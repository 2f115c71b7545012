"""A conversation in the terminal."""

import os
import pty
import select
import signal
import subprocess
import time

import harness


class Chat(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.model = harness.make_parrot(self.folder / "model", ("안녕".encode(), b" world"))
        self.picture = harness.write_png(self.folder / "a b.png")

    def talk(self, *lines, arguments=(), code=0):
        """-> standard output and the lines of standard error"""
        done = harness.run("chat", self.model, *arguments, input="".join(line + "\n" for line in lines).encode(),
                           cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.decode(), done.stderr.decode().splitlines()

    def test_answers_each_line(self):
        self.assertEqual(self.talk("Hi", "", "Ho"), ("안녕 world\n" * 2, []))
        self.assertEqual(self.talk(), ("", []))
        self.assertEqual(self.talk("Hi", "/exit", "Ho"), ("안녕 world\n", []))

    def test_the_last_line_needs_no_end(self):
        done = harness.run("chat", self.model, input=b"Hi")
        self.assertEqual((done.returncode, done.stdout.decode(), done.stderr), (0, "안녕 world\n", b""))

    def test_saves_the_conversation(self):
        self.talk("/image a b.png", "Hi", "/image a b.png", "/image a b.png", "어디?", "/save talk.json")
        saved = harness.read_json(self.folder / "talk.json")
        self.assertEqual(list(saved), ["messages"])
        self.assertEqual([message["role"] for message in saved["messages"]], ["user", "assistant"] * 2)
        self.assertEqual([part["type"] for part in saved["messages"][2]["content"]], ["image", "image", "text"])
        self.assertEqual(saved["messages"][0]["content"][0]["path"], "a b.png")
        self.assertEqual(saved["messages"][2]["content"][2]["text"], "어디?")
        self.assertEqual(saved["messages"][3]["content"], [{"type": "text", "text": "안녕 world"}])

    def test_reset_begins_anew(self):
        self.talk("/image a b.png", "Hi", "/reset", "Ho", "/save talk.json")
        saved = harness.read_json(self.folder / "talk.json")["messages"]
        self.assertEqual([part["type"] for part in saved[0]["content"]], ["text"])
        self.assertEqual(len(saved), 2)

    def test_pictures_of_the_command_line(self):
        for arguments in (("-i", "a b.png", "a b.png"), ("-i", "a b.png", "-i", "a b.png")):
            self.talk("Hi", "/save talk.json", arguments=arguments)
            content = harness.read_json(self.folder / "talk.json")["messages"][0]["content"]
            self.assertEqual([part["type"] for part in content], ["image", "image", "text"])

    def test_a_mistake_ends_nothing(self):
        mistakes = ("/frobnicate", "/image", "/image ", "/image none.png", "/image " + str(self.model), "/save",
                    "/save   ", "/save none/talk.json", "/save " + str(self.model), "/", "<image>", "x" * 400,
                    "/\x1b[2J")
        for mistake in mistakes:
            with self.subTest(mistake[:20]):
                text, complaints = self.talk(mistake, "Hi")
                self.assertEqual(text, "안녕 world\n")
                self.assertEqual(len(complaints), 1, complaints)
                self.assertRegex(complaints[0], r"^nuri: [^\x00-\x1f]+$")
                self.assertNotIn("internal", complaints[0])
        self.assertEqual(self.names_in(self.folder), ["a b.png", "model"])
        done = harness.run("chat", self.model, input=b"\xff\xfe\nHi\n")
        self.assertEqual((done.returncode, done.stdout.decode()), (0, "안녕 world\n"))
        self.assertIn(b"UTF-8", done.stderr)

    def test_help(self):
        text, complaints = self.talk("/help")
        self.assertEqual(complaints, [])
        for command in ("/image", "/reset", "/save", "/exit"):
            self.assertIn(command, text)

    def test_a_long_conversation_reaches_the_end_of_the_context(self):
        text, complaints = self.talk(*["Hi there"] * 12)
        self.assertTrue(text.startswith("안녕 world\n" * 3))
        self.assertTrue(complaints)
        self.assertIn("context", complaints[-1])

    def test_wrong_pictures_at_the_start(self):
        self.fails(2, ["chat", self.model, "-i", self.folder / "none.png"], "none.png")
        self.fails(2, ["chat", self.model, "-i"], "-i")


class Terminal(harness.TestCase):
    """With a terminal at both ends."""

    def start(self, model, *flags):
        ours, theirs = pty.openpty()
        self.program = subprocess.Popen([harness.BINARY, "chat", str(model), *flags], stdin=theirs, stdout=theirs,
                                        stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.terminal, self.shown = ours, b""
        self.addCleanup(self.stop)

    def stop(self):
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        os.close(self.terminal)

    def read_until(self, wanted):
        deadline = time.monotonic() + harness.PATIENCE
        while wanted not in self.shown:
            self.assertLess(time.monotonic(), deadline, self.shown[-300:])
            if select.select([self.terminal], [], [], 1)[0]:
                try:
                    self.shown += os.read(self.terminal, 4096)
                except OSError:
                    self.fail(f"ended: {self.shown[-300:]}")
        self.shown = self.shown[self.shown.index(wanted) + len(wanted) :]

    def test_a_prompt_and_its_end(self):
        self.start(harness.make_parrot(self.folder / "model"))
        self.read_until(b"> ")
        os.write(self.terminal, b"Hi\n")
        self.read_until(b"Hello world\r\n> ")
        os.write(self.terminal, b"\x04")  # Ctrl-D
        self.assertEqual(self.program.wait(harness.PATIENCE), 0)

    def test_interrupt(self):
        self.start(harness.make_parrot(self.folder / "model", (b"la ", b"li "), endless=True, context=100000),
                   "--max-tokens", "99000")  # an answer that outlasts a busy machine
        self.read_until(b"> ")
        os.write(self.terminal, b"Sing\n")
        self.read_until(b"li la ")
        self.program.send_signal(signal.SIGINT)  # ends the answer, not the conversation
        self.read_until(b"> ")
        os.write(self.terminal, b"/help\n")
        self.read_until(b"/image")
        self.read_until(b"> ")
        self.program.send_signal(signal.SIGINT)  # at the prompt: ends the conversation
        self.assertEqual(self.program.wait(harness.PATIENCE), 130)


if __name__ == "__main__":
    harness.main()
