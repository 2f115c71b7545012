"""The models in each program's own files, made when first needed and kept. Needs no more than python3 itself."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from conditions import identity
from contest import CALIBRATED
from environments import REQUIREMENTS
from made import clear, is_made_of, mark, stamp
from protocol import Process

HERE = Path(__file__).resolve().parent
SCRIPTS = {"llama.cpp": "runner_llama_cpp.py", "transformers": "runner_transformers.py",
           "openvino": "runner_openvino.py"}
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false",
         "OPENVINO_TELEMETRY": "0"}


class Peer:
    """A peer's python and how its runner starts."""

    def __init__(self, name: str, python: Path):
        self.name, self.python = name, python

    def start(self, shape: str, log: Path) -> Process:
        arguments = [shape] if self.name == "transformers" else []
        os.environ.update(QUIET)
        return Process([str(self.python), str(HERE / SCRIPTS[self.name]), *arguments], open(log, "a"))


class Files:
    """Checkpoints by shape under `work`/models or `checkpoints`, the other programs' files beside them. What was made
    of other checkpoints or by other programs is made anew."""

    def __init__(self, work: Path, python: dict[str, Path], checkpoints: Path | None, nuri: Path):
        self.work, self.python, self.checkpoints, self.nuri = work, python, checkpoints, nuri
        self.calibration: Path | None = None  # texts for CALIBRATED
        self.failures: dict[tuple[str, str, str], str] = {}
        os.environ.update(QUIET)

    def checkpoint(self, model: str) -> Path:
        if self.checkpoints and (self.checkpoints / model / "config.json").exists():
            return self.checkpoints / model
        return self.work / "models" / model

    def folder(self, peer: str, model: str, precision: str) -> Path:
        if peer == "nuri" and precision != "native":
            return self.work / "nuri" / f"{model}-{precision.replace(' ', '-')}"
        return {"llama.cpp": self.work / "gguf" / model, "openvino": self.work / "openvino" / model}.get(
            peer, self.checkpoint(model))

    def make(self, peer: str, model: str, precision: str) -> str:
        """-> why it could not be made, once and for all; empty: it is there."""
        key = (peer, model, precision)
        if key not in self.failures:
            self.failures[key] = self.try_to_make(peer, model, precision)
        return self.failures[key]

    def try_to_make(self, peer: str, model: str, precision: str) -> str:
        if not (self.checkpoint(model) / "config.json").exists():
            self.checkpoint(model).mkdir(parents=True, exist_ok=True)
            if reason := self.run("transformers", "write_checkpoint.py", model, str(self.checkpoint(model))):
                return reason
        folder = self.folder(peer, model, precision)
        if folder == self.checkpoint(model):
            return ""
        made_of = self.made_of(peer, model, precision)
        if not is_made_of(folder, made_of):
            clear(folder)
        elif peer == "nuri":
            return ""
        if reason := self.convert(peer, model, precision, folder):
            return reason
        mark(folder, made_of)
        return ""

    def made_of(self, peer: str, model: str, precision: str) -> dict:
        by = identity(self.nuri) if peer == "nuri" else (REQUIREMENTS / f"{peer}.txt").read_text()
        told = {"by": by, "of": stamp(self.checkpoint(model))}
        if precision == CALIBRATED:
            told["texts"] = hashlib.sha256(self.calibration.read_bytes()).hexdigest()
        return told

    def convert(self, peer: str, model: str, precision: str, folder: Path) -> str:
        if peer == "nuri":
            return self.quantize(model, precision, folder)
        script = {"llama.cpp": "write_gguf.py", "openvino": "write_openvino.py"}[peer]
        return self.run(peer, script, str(self.checkpoint(model)), str(folder), precision)

    def quantize(self, model: str, precision: str, folder: Path) -> str:
        folder.parent.mkdir(parents=True, exist_ok=True)
        calibrated = ["--calibrate", str(self.calibration)] if precision == CALIBRATED else []
        return self.call("nuri quantize", [str(self.nuri), "quantize", str(self.checkpoint(model)), "-o", str(folder),
                                           "--weights", precision.partition(" ")[0], *calibrated])

    def run(self, peer: str, script: str, *arguments: str) -> str:
        return self.call(script, [str(self.python[peer]), str(HERE / script), *arguments])

    def call(self, name: str, command: list[str]) -> str:
        print(f"{name}: {' '.join(command[2:])}", file=sys.stderr, flush=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        with open(self.work / f"{name}.log", "a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode == 0:
            return ""
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"{name} failed: {said[-1][:300]} (log: {name}.log)"
