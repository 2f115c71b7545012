"""setup/install.sh on machines that lack something, played by small programs before the real ones on the PATH."""

import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = [line.split("#")[0].strip() for line in (ROOT / "setup/packages.txt").read_text().splitlines()]
PACKAGES = [name for name in PACKAGES if name]

ALL_INSTALLED = "for name in \"${@:3}\"; do echo \"installed $name\"; done"
NONE_BUT_GIT = "echo 'installed git'; echo 'unknown g++'; exit 1"
GCC_12 = 'echo "#define __GNUC__ 12"'
PIP_INSTALLS = """
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"pip --version") exit 1 ;;
  *"pip install"*)
    torch=.venv/lib/python3.11/site-packages/torch
    mkdir -p $torch/lib $torch/include/ATen && touch $torch/include/ATen/ATen.h && cp /bin/true $torch/lib/libtorch_cpu.so
    echo "$*" >>pip_calls ;;
esac"""


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="nuri_setup_")
        self.addCleanup(self.folder.cleanup)
        self.project = pathlib.Path(self.folder.name, "a project")
        shutil.copytree(ROOT / "setup", self.project / "setup")
        # The machine's own interpreter is named by its path in the script: here it is one of the players too.
        script = self.project / "setup/install.sh"
        script.write_text(script.read_text().replace("/usr/bin/python3", "python3"))
        self.players = pathlib.Path(self.folder.name, "bin")
        self.players.mkdir()
        self.machine(**{"dpkg-query": ALL_INSTALLED, "c++": GCC_12, "id": "echo 0", "apt-get": "echo $* >>apt_calls",
                        "python3": PIP_INSTALLS})

    def machine(self, **programs):
        for name, body in programs.items():
            (self.players / name).unlink(missing_ok=True)
            if body is not None:
                (self.players / name).write_text(f"#!/bin/bash\n{body}\n")
                (self.players / name).chmod(0o755)

    def run_setup(self, **environment):
        return subprocess.run([str(self.project / "setup/install.sh")], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env={"PATH": f"{self.players}:/usr/bin:/bin", **environment})

    def assert_fails(self, *words, **environment):
        done = self.run_setup(**environment)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in ("setup: ", *words):
            self.assertIn(word, done.stderr)

    def test_installs_once_and_then_does_nothing(self):
        first = self.run_setup()
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        pip_calls = (self.project / "pip_calls").read_text()
        self.assertIn("-r setup/requirements.txt --no-deps", pip_calls)
        path = (self.project / "build/torch.path").read_text().strip()
        self.assertEqual(path, f"{self.project}/.venv/lib/python3.11/site-packages/torch")
        stamp = (self.project / "build/torch.path").stat().st_mtime_ns

        start = time.monotonic()
        second = self.run_setup()
        self.assertLess(time.monotonic() - start, 10)  # 0.1 s where nothing else runs
        self.assertEqual((second.returncode, second.stdout, second.stderr), (0, "", ""))
        self.assertEqual((self.project / "pip_calls").read_text(), pip_calls)
        self.assertEqual((self.project / "build/torch.path").stat().st_mtime_ns, stamp)
        self.assertFalse((self.project / "apt_calls").exists())

    def test_another_wheel_is_installed_anew(self):
        self.run_setup()
        (self.project / "setup/requirements.txt").write_text("torch==9.9\n")
        self.assertIn("torch==9.9", self.run_setup().stdout)
        self.assertEqual(self.run_setup().stdout, "")

    def test_installs_the_missing_packages(self):
        self.machine(**{"apt-get": f"""echo $* >>apt_calls
[ $1 = install ] && printf '#!/bin/bash\\n%s\\n' '{ALL_INSTALLED}' >"{self.players}/dpkg-query"; true""",
                        "dpkg-query": NONE_BUT_GIT})
        done = self.run_setup()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        update, install = (self.project / "apt_calls").read_text().splitlines()
        self.assertEqual(update, "update")
        self.assertIn("--no-install-recommends", install)
        self.assertEqual(sorted(set(install.split()) & set(PACKAGES)), sorted(set(PACKAGES) - {"git"}))

    def test_neither_root_nor_sudo(self):
        self.machine(**{"dpkg-query": NONE_BUT_GIT, "id": "echo 1000", "sudo": "exit 127"})
        self.assert_fails("sudo", "g++")

    def test_apt_fails(self):
        self.machine(**{"dpkg-query": NONE_BUT_GIT,
                        "apt-get": "[ $1 = update ] || { echo 'E: Unable to fetch some archives' >&2; exit 100; }"})
        self.assert_fails("Unable to fetch some archives", "build/setup.log")

    def test_apt_leaves_a_package_out(self):
        self.machine(**{"dpkg-query": NONE_BUT_GIT})
        self.assert_fails("g++", "uninstalled")

    def test_old_compilers(self):
        self.machine(**{"c++": 'echo "#define __GNUC__ 11"'})
        self.assert_fails("GCC 12 or Clang 16")
        self.machine(**{"c++": 'printf "#define __GNUC__ 4\\n#define __clang_major__ 15\\n"'})
        self.assert_fails("GCC 12 or Clang 16")
        self.machine(**{"c++": "exit 1"})
        self.assert_fails("does not run")

    def test_another_compiler(self):
        self.machine(**{"c++": "exit 1", "mine": 'printf "#define __GNUC__ 4\\n#define __clang_major__ 16\\n"'})
        self.assertEqual(self.run_setup(CXX="mine").returncode, 0)

    def test_no_venv(self):
        self.machine(python3="echo 'Error: No module named ensurepip'; exit 1")
        self.assert_fails(".venv", "No module named ensurepip")

    def test_no_network_for_pip(self):
        self.machine(python3=PIP_INSTALLS.replace('echo "$*" >>pip_calls', "echo 'ERROR: no matching torch'; exit 1"))
        self.assert_fails("no matching torch", "build/setup.log")
        self.assert_fails("no matching torch", "build/setup.log")  # nothing half-done counts as done

    def test_a_wheel_without_libtorch(self):
        self.machine(python3=PIP_INSTALLS.replace("libtorch_cpu.so", "other.so"))
        self.assert_fails("no libtorch")

    def test_a_wheel_that_needs_its_dependencies(self):
        # As a CUDA build does: its libraries ask for some that other wheels bring.
        for command in ("-o libneeded_by_torch.so -Wl,-soname,libneeded_by_torch.so",
                        "-o libtorch_cpu.so -Wl,--no-as-needed,-rpath,$ORIGIN ./libneeded_by_torch.so"):
            subprocess.run(["/usr/bin/c++", "-shared", "-x", "c++", "/dev/null", "-x", "none", *command.split()],
                           cwd=self.players, check=True)
        brings = PIP_INSTALLS.replace("/bin/true", f'"{self.players}/libtorch_cpu.so"')
        self.machine(python3=brings)
        self.assert_fails("lacks shared libraries")
        self.machine(python3=brings.replace('echo "$*"', f"""[[ "$*" = *--no-deps ]] || cp "{self.players}/libneeded_by_torch.so" $torch/lib
    echo "$*\""""))
        shutil.rmtree(self.project / ".venv")
        done = self.run_setup()
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_another_libtorch(self):
        self.assert_fails("NURI_TORCH=/nowhere", NURI_TORCH="/nowhere")
        self.assertEqual(self.run_setup().returncode, 0)
        torch = self.project / ".venv/lib/python3.11/site-packages/torch"
        shutil.copytree(torch, self.project / "other torch")
        self.assertEqual(self.run_setup(NURI_TORCH=str(self.project / "other torch")).returncode, 0)
        self.assertEqual((self.project / "build/torch.path").read_text(), f"{self.project}/other torch\n")


if __name__ == "__main__":
    unittest.main()
