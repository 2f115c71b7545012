"""Where the time of a figure goes, by Linux's `perf`, where it is installed."""

import re
import shutil
import subprocess
from pathlib import Path

from contest import Cell
from runner_nuri import Nuri

MOST = 8  # symbols that are told


class Recorded(Nuri):
    """Runs the same commands under `perf record`."""

    def __init__(self, program: Path, data: Path):
        super().__init__(program, data.parent)
        self.data = data

    def run(self, *arguments) -> dict:
        command = ["perf", "record", "-q", "-o", str(self.data), "--", str(self.program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return {} if done.returncode == 0 else {"error": done.stderr}


def profile(options, model: str, cell: Cell) -> list[list]:
    """[[share in percent, symbol]], the largest first; nothing where perf is missing or may not look."""
    if shutil.which("perf") is None or cell.do not in ("prefill", "decode", "encode"):
        return []
    data = options.work / "perf.data"
    recorded = Recorded(options.nuri, data)
    recorded.model = model
    recorded.flags = ["--threads", options.threads]
    if "error" in recorded.bench(*recorded.arguments_of(cell.do, **cell.arguments)):
        return []
    command = ["perf", "report", "-i", str(data), "--stdio", "--percent-limit", "1", "-F", "overhead,symbol"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    data.unlink(missing_ok=True)
    found = re.findall(r"^\s*(\d+\.\d+)%\s+\[\S\]\s+(.+?)\s*$", told, re.MULTILINE)
    return [[float(share), symbol[:90]] for share, symbol in found[:MOST]]
