"""Under which conditions something was measured: a flat dictionary of texts that is kept beside it. Needs no more than
python3 itself."""

import hashlib
import platform
import subprocess
import time
from collections import Counter
from pathlib import Path

from environments import versions

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = {"llama.cpp": ("llama-cpp-python",), "transformers": ("transformers", "torch"),
            "openvino": ("openvino", "optimum-intel", "nncf")}
MAY_DIFFER = ("date", "revision", "program", "limits")  # of what is kept


def identity(nuri: Path) -> str:
    """Of a program and its libraries, which hold nearly all of it."""
    folder = nuri.resolve().parent
    digest = hashlib.sha256()
    for file in [nuri, *sorted([*folder.glob("libnuri*.so"), *folder.parent.glob("lib/libnuri*.so")])]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def revision() -> str:
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "unknown"


def date_now() -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def machine() -> dict[str, str]:
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    told = {name.strip(): value.strip() for name, _, value in reversed(lines)}  # of the first one
    numbers = [f"{name} {told[key]}" for key, name in (("cpu family", "family"), ("model", "model"),
                                                        ("stepping", "stepping")) if key in told]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {"processor": ", ".join([told.get("model name", platform.processor()), *numbers]),
            "memory": f"{memory / 1e9:.0f} GB"}


def conditions_now(options, python: dict[str, Path]) -> dict[str, str]:
    """The date is to be set when something begins."""
    told = {"date": date_now(), "revision": revision(), "program": identity(options.nuri), **machine(),
            "threads": str(options.threads), "turns": str(options.repetitions),
            "limits": f"the best of {options.repetitions + 1} probes in each contest",
            "quick": "yes" if options.quick else "no"}
    for name in options.peers:
        told[name] = ", ".join(f"{package} {version}"
                               for package, version in versions(python[name], PACKAGES[name]).items())
    return told


def differences(kept: dict[str, str], now: dict[str, str], may_differ: tuple[str, ...] = MAY_DIFFER) -> list[str]:
    return [f"{name} was {kept.get(name, 'not there')}, is {now.get(name, 'not there')}" for name in {**now, **kept}
            if name not in may_differ and kept.get(name) != now.get(name)]


def usual(several: list[dict[str, str]]) -> dict[str, str]:
    """Of each condition what most have."""
    names = dict.fromkeys(name for one in several for name in one)
    return {name: Counter(one[name] for one in several if name in one).most_common(1)[0][0] for name in names}
