"""One Python environment for each peer, from bench/peers/requirements/PEER.txt. Needs no more than python3 itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
PEERS = ("llama.cpp", "transformers", "openvino")
# What a package brings and nothing here needs: torchvision's own code does not load beside a torch without CUDA, and
# transformers then fails instead of doing without.
REMOVED = {"openvino": ("torchvision",)}

# GCC 12 believes that ldtilecfg reads 8 bytes only and removes the stores of the others, so that llama.cpp's first
# product in AMX ends in SIGSEGV; when dead stores are not removed, it is right.
CORRECT = "-fno-tree-dse -fno-dse"


def installed(folder: Path, peer: str) -> bool:
    mark = folder / peer / "requirements.txt"
    return mark.exists() and mark.read_text() == (REQUIREMENTS / f"{peer}.txt").read_text()


def install(folder: Path, peer: str) -> Path:
    """Makes the environment, unless it is there and whole -> its python. llama.cpp is compiled for this machine, which
    takes minutes; what pip says is in PEER.log."""
    place = folder / peer
    python = place / "bin/python"
    if installed(folder, peer):
        return python
    print(f"installing {peer} into {place} (log: {folder / peer}.log)", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{peer}.log", "w") as log:
        def run(*command: str) -> None:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}: exit code {done.returncode} (log: {log.name})")

        environment = os.environ | {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
                                    "CMAKE_ARGS": "-DGGML_NATIVE=ON " + os.environ.get("CMAKE_ARGS", ""),
                                    "CXXFLAGS": f"{CORRECT} {os.environ.get('CXXFLAGS', '')}"}
        run(sys.executable, "-m", "venv", str(place))
        run(str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
            *(("--no-cache-dir",) if peer == "llama.cpp" else ()),  # a wheel in it may be of another machine
            "-r", str(REQUIREMENTS / f"{peer}.txt"))
        for package in REMOVED.get(peer, ()):
            run(str(python), "-m", "pip", "uninstall", "-y", package)
    (place / "requirements.txt").write_text((REQUIREMENTS / f"{peer}.txt").read_text())  # last: it is whole
    return python


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Of what is installed there."""
    script = ("import importlib.metadata as m, json, sys\n"
              "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))")
    done = subprocess.run([str(python), "-c", script, *packages], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
