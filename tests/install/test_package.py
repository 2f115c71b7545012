"""Installs Nuri into an empty folder, and builds and runs the C++ example of README.md against what lies there."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE = os.environ["CMAKE"]
SANITIZED = os.environ["NURI_SANITIZE"] == "1"


def readme_example():
    """The ```cpp block of README.md that begins with the public header."""
    blocks = re.findall(r"^```cpp\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [block for block in blocks if "#include <nuri/" in block and "int main" in block]
    assert len(examples) == 1, f"README.md has {len(examples)} C++ programs, expected one"
    return examples[0]


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="nuri_package_")
        cls.prefix = pathlib.Path(cls.folder.name, "prefix")
        cls.run_command(CMAKE, "--install", os.environ["NURI_BINARY_DIR"], "--prefix", cls.prefix)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_command(cls, *command, **options):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
        assert done.returncode == 0, f"{command[0]}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def test_the_program_runs_from_its_new_place(self):
        # Relative to nothing of the checkout: the working folder is the temporary one.
        help_text = self.run_command(self.prefix / "bin/nuri", "--help", cwd=self.folder.name)
        self.assertIn("ask", help_text)

    def test_every_public_header_stands_alone(self):
        headers = sorted((self.prefix / "include/nuri").glob("*.h"))
        self.assertTrue(headers)
        for header in headers:
            with self.subTest(header=header.name):
                self.run_command(os.environ["CXX"], "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                                 "-x", "c++", "-I", self.prefix / "include", "-",
                                 input=f"#include <nuri/{header.name}>\n")

    def test_the_example_of_the_readme(self):
        project = pathlib.Path(self.folder.name, "consumer")
        shutil.copytree(ROOT / "tests/install/consumer", project)
        (project / "main.cpp").write_text(readme_example())
        flags = "-Wall -Wextra -Werror" + (" -fsanitize=address,undefined" if SANITIZED else "")
        self.run_command(CMAKE, "-G", "Ninja", "-S", project, "-B", project / "build",
                         f"-DCMAKE_CXX_COMPILER={os.environ['CXX']}", f"-DCMAKE_CXX_FLAGS={flags}",
                         f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.run_command(CMAKE, "--build", project / "build")
        if not (ROOT / "models/emoji-world").is_dir():
            self.skipTest("this checkout has no bundled model to ask")
        leaks = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # libtorch's, which our own programs suppress by name
        model, question, picture = "emoji-world", "What is in the picture?", ROOT / "docs/scene.png"
        # Elsewhere than in the checkout, so that the installed model is found.
        answer = self.run_command(project / "build/consumer", model, question, picture, cwd=self.folder.name, env=leaks)
        program = self.run_command(self.prefix / "bin/nuri", "ask", model, question, "-i", picture, cwd=self.folder.name)
        self.assertTrue(program.strip())
        self.assertTrue(answer.startswith(program.strip()), (answer, program))


if __name__ == "__main__":
    unittest.main()
