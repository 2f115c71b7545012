"""What the linker sees: code of one instruction set stays with it, and BLAS is libtorch's."""

import functools
import os
import pathlib
import re
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["NURI_BINARY_DIR"])


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def strangers(symbols, instruction_set):
    """Weak symbols of `nm -C` outside the set's own namespace. Of several definitions of a weak function the linker
    keeps any one, so such a function, compiled for AVX-512 here, would become the whole program's."""
    return [line for line in symbols.splitlines()
            if (match := re.match(r"[0-9a-f]+ ([WVu]) (.+)", line)) and not match[2].startswith("DW.ref.")
            and not re.search(rf"\b{instruction_set}::", match[2])]


@functools.cache
def defines(library, symbol):
    return re.search(rf" [TWi] {symbol}$", run("nm", "-D", "--defined-only", library), re.MULTILINE)


def providers(libraries, symbol):
    """Those of `libraries`, in the order in which the loader searches them, that define `symbol`."""
    return [library for library in libraries if defines(library, symbol)]


class Symbols(unittest.TestCase):
    def test_instruction_sets_share_no_weak_symbol(self):
        objects = sorted((BUILD / "CMakeFiles/nuri_plain.dir/src/kernels/isa").glob("*.o"))
        for path in objects:
            instruction_set = re.fullmatch(r"\w+_([a-z0-9]+)\.cpp\.o", path.name)[1]
            with self.subTest(object=path.name):
                self.assertEqual(strangers(run("nm", "-C", str(path)), instruction_set), [])

    def test_a_stranger_is_found(self):
        symbols = "\n".join([
            "0000000000000000 T nuri::kernels::avx2::dot(float const*)",
            "0000000000000000 W nuri::kernels::avx2::sum<4>(float const*)",
            "0000000000000000 W std::vector<float, std::allocator<float> >::resize(unsigned long)",
            "                 U memcpy"])
        self.assertEqual(len(strangers(symbols, "avx2")), 1)
        self.assertEqual(len(strangers(symbols, "avx512")), 2)

    def test_blas_is_that_of_libtorch(self):
        for program in (BUILD / "nuri", BUILD / "libnuri.so"):
            with self.subTest(program=program.name):
                # The loader searches breadth first, in the order that ldd prints.
                libraries = re.findall(r"=> (/\S+)", run("ldd", str(program)))
                torch = [library for library in libraries if pathlib.Path(library).name == "libtorch_cpu.so"]
                self.assertEqual(len(torch), 1, libraries)
                folder = pathlib.Path(torch[0]).resolve().parent.parent.parent
                found = providers(libraries, "sgemm_")
                self.assertTrue(found, "no library defines sgemm_")
                self.assertTrue(pathlib.Path(found[0]).resolve().is_relative_to(folder), found)


if __name__ == "__main__":
    unittest.main()
