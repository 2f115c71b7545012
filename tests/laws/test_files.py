"""What is committed: nothing of one machine, nothing large, and C++ formatted as .clang-format says."""

import concurrent.futures
import os
import re
import subprocess
import unittest

import tree

# Bundled models are large; pictures for people and the fuzzers' corpora are small files in any case.
LARGE_LIMIT = 300 * 1024
MAY_BE_LARGE = ("models/",)
# The bundled tokenizers and model cards are text too, but nobody writes paths there by hand.
MACHINE_PATH = re.compile(rb"(?<![\w.])/(w[o]rk|root|home/[a-z]\w*|Users/[A-Za-z]\w*|mnt/[a-z]\w*)/[\w.]")


class Files(unittest.TestCase):
    def test_no_path_of_a_machine(self):
        found = []
        for path in tree.committed():
            data = (tree.ROOT / path).read_bytes()
            if b"\0" in data[:4096] or path.parts[0] == "models" or path.match("tests/fuzz/corpus/*/*"):
                continue
            for number, line in enumerate(data.split(b"\n"), 1):
                if MACHINE_PATH.search(line):
                    found.append(f"{path}:{number}: {line[:100].decode(errors='replace')}")
        self.assertEqual(found, [])

    def test_the_pattern_finds_one(self):
        for line in (b'open("/home/' + b'someone/x.txt")', b"cd /wo" + b"rk/main", b"/ro" + b"ot/.cache"):
            self.assertTrue(MACHINE_PATH.search(line), line)
        for line in (b"https://example.org/home/page", b"/usr/share/fonts", b"a/home/x/y", b"/path/to/model"):
            self.assertFalse(MACHINE_PATH.search(line), line)

    def test_no_large_file(self):
        large = {str(path): size for path in tree.committed() if not str(path).startswith(MAY_BE_LARGE)
                 if (size := (tree.ROOT / path).stat().st_size) > LARGE_LIMIT}
        self.assertEqual(large, {})

    def test_a_temporary_folder_is_of_one_test(self):
        """CTest runs tests beside each other, and two that shared a folder failed once in a while."""
        found = [str(path) for path in tree.cpp_files("src", "tests")
                 if path.name != "test_support.h"
                 and re.search(r"TempDir\(|temp_directory_path\(|mkdtemp\(", (tree.ROOT / path).read_text())]
        self.assertEqual(found, [], "TestFolder of src/base/test_support.h makes one")

    def test_cpp_is_formatted(self):
        files = [str(path) for path in tree.cpp_files("src", "tests", "bench", "cmake")]
        pieces = [files[start::16] for start in range(16) if files[start::16]]

        def check(piece):
            return subprocess.run(["clang-format-16", "--dry-run", "--ferror-limit=1", *piece], cwd=tree.ROOT,
                                  capture_output=True, text=True).stderr

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            complaints = "".join(pool.map(check, pieces))
        unformatted = sorted(set(re.findall(r"^(\S+?):\d+:\d+: ", complaints, re.MULTILINE)))
        self.assertEqual(unformatted, [], "run `make format`\n" + complaints[:2000])


if __name__ == "__main__":
    unittest.main()
