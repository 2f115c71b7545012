"""`make bench-peers`: Nuri beside llama.cpp, transformers and OpenVINO on one machine, in one run.

Installs each peer into an environment of its own, makes models of random weights in every program's files, measures the
machine's limits, and then lets the programs take turns, each turn in a fresh process. Writes bench/results.md and
bench/results.svg. bench/README.md tells more."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from accuracy_run import DECODER, measure_decoder, measure_random
from contest import LOAD, PRECISIONS, Samples, cells_of, take_turn, turns
from environments import PEERS, install, versions
from files import Files, Peer
from kept import Kept
from profile_run import profile
from report import Contest, markdown, plot
from runner_nuri import Nuri

ROOT = Path(__file__).resolve().parent.parent.parent
# Name of the shape (bench/shapes.py): its picture, and whether its text is worth measuring.
MODELS = {"llama-3.2-1b": (None, True), "qwen2.5-vl-3b": ((896, 896), True), "siglip-so400m": ((384, 384), False),
          "experts-4": (None, True)}
TINY = {"tiny": (None, True), "tiny-qwen2.5-vl": ((224, 224), True), "tiny-siglip": ((112, 112), False),
        "tiny-experts": (None, True)}
PACKAGES = {"llama.cpp": ("llama-cpp-python",), "transformers": ("transformers", "torch"),
            "openvino": ("openvino", "optimum-intel", "nncf")}


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/peers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny models, short measurements, one repetition")
    parser.add_argument("--models", nargs="+", choices=[*MODELS, *TINY])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--weights", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--cells", nargs="+", help="only those whose names begin so, as in: prefill 'decode at 0'")
    parser.add_argument("-r", "--repetitions", type=int)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keep", action="store_true",
                        help="take what an earlier run measured whole; without it everything is measured anew")
    parser.add_argument("--report-only", action="store_true", help="of what is kept; nothing is measured")
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench", help="environments, models, logs")
    parser.add_argument("--checkpoints", type=Path, help="folder with Hugging Face folders of random weights, by shape")
    parser.add_argument("--nuri", type=Path, default=ROOT / "build/release/nuri")
    parser.add_argument("--probe", type=Path, default=ROOT / "build/release/nuri_probe")
    parser.add_argument("-o", "--output", type=Path,
                        help="folder of results.md and results.svg; bench/, with --quick build/bench/, when not given")
    parser.add_argument("--no-accuracy", action="store_true")
    parser.add_argument("--no-profile", action="store_true", help="of the goals that are missed")
    options = parser.parse_args()
    options.keep |= options.report_only
    options.models = options.models or list(TINY if options.quick else MODELS)
    options.output = options.output or (options.work if options.quick else ROOT / "bench")
    options.repetitions = options.repetitions or (1 if options.quick else 5)
    if min(options.repetitions, options.threads) < 1:
        parser.error("--repetitions and --threads: expected 1 or more")
    for program in (options.nuri, options.probe):
        if not os.access(program, os.X_OK):
            parser.error(f"{program}: found no program; `make bench-peers` builds it")
    return options


def machine_of(options: argparse.Namespace, peers: dict[str, Peer]) -> dict[str, str]:
    processor = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                      if line.startswith("model name")), platform.processor())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    told = {"processor": f"{processor}, {options.threads} threads", "memory": f"{memory / 1e9:.0f} GB",
            "turns": f"{options.repetitions}, medians"}
    for name, peer in peers.items():
        told[name] = ", ".join(f"{package} {version}"
                               for package, version in versions(peer.python, PACKAGES[name]).items())
    return told


def work_of(nuri: Path, model: Path) -> dict:
    done = subprocess.run([str(nuri), "inspect", str(model), "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    told = json.loads(done.stdout)
    flops = told["flops_per_token"]
    # A weight takes part in one multiplication and one addition a token.
    return {"flops": flops, "weights": flops / 2, "picture_flops": told.get("flops_per_picture")}


def runner_of(name: str, model: str, options: argparse.Namespace, peers: dict[str, Peer]):
    if name == "nuri":
        return Nuri(options.nuri, options.work)
    return peers[name].start(model, options.work / f"{name}.log")


def measured_now() -> str:
    revision = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True,
                              text=True, check=False).stdout.strip()
    return f"Nuri at {revision or 'an unknown revision'}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC."


def limits_of(options: argparse.Namespace) -> dict:
    tell("measuring the machine")
    done = subprocess.run([str(options.probe), str(options.threads)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def prepare(called: dict[str, str], cells: list, model: str, files: Files) -> dict[str, Samples]:
    samples = {name: Samples() for name in called}
    for name, weights in called.items():
        if reason := files.make(name, model, weights):
            samples[name].reasons |= {cell.name: reason for cell in [LOAD, *cells]}
    return samples


def measure(model: str, precision: str, files: Files, options: argparse.Namespace, peers: dict[str, Peer]) -> Contest:
    picture, text = (MODELS | TINY)[model]
    cells = cells_of(picture, text, options.quick)
    if options.cells:
        cells = [cell for cell in cells if cell.name.startswith(tuple(options.cells))]
    called = {name: PRECISIONS[precision][name] for name in ["nuri", *peers] if PRECISIONS[precision][name]}
    samples = prepare(called, cells, model, files)
    work = work_of(options.nuri, files.folder("nuri", model, "native"))
    contest = Contest(model, precision, [LOAD, *cells], samples, work, limits_of(options), measured_now())
    for repetition, name in turns([name for name in called if not samples[name].reasons], options.repetitions):
        tell(f"{model} {precision}: turn {repetition + 1}/{options.repetitions} of {name}")
        runner = runner_of(name, model, options, peers)
        load = {"model": str(files.folder(name, model, called[name])), "threads": options.threads,
                "precision": called[name]}
        take_turn(runner, load, cells, samples[name])
        runner.close()
    if not options.no_profile:
        folder = str(files.folder("nuri", model, called["nuri"]))
        for cell in {cell for cell, _ in contest.missed()}:
            if found := profile(options, folder, cell):
                contest.profiles[cell.name] = found
    return contest


def measure_all(files: Files, options: argparse.Namespace, peers: dict[str, Peer], reference: Peer):
    """-> contests, rows of accuracy, and the names of contests that are missing; each is kept when it is whole."""
    kept, contests, accuracy, missing = Kept(options.work), [], [], []
    for model in options.models:
        for precision in options.weights:
            contest = kept.contest(model, precision) if options.keep else None
            if contest is None and not options.report_only:
                contest = measure(model, precision, files, options, peers)
                if not options.cells:
                    kept.keep_contest(contest)
            contests += [contest] if contest else []
            missing += [] if contest else [f"{model}, {precision}"]
    texts = [model for model in options.models if (MODELS | TINY)[model][1]]
    for model in [] if options.no_accuracy else [DECODER, *texts]:
        rows = kept.accuracy(model) if options.keep else None
        if rows is None and not options.report_only:
            rows = (measure_decoder(options, files, peers, reference) if model == DECODER else
                    measure_random(model, options, files, peers, reference))
            kept.keep_accuracy(model, rows)
        accuracy += rows or []
    return contests, accuracy, missing


def main() -> None:
    options = read_options()
    environments = options.work / "environments"
    python = {name: install(environments, name) for name in dict.fromkeys([*options.peers, "transformers"])}
    peers = {name: Peer(name, python[name]) for name in options.peers}
    files = Files(options.work, python, options.checkpoints, options.nuri)
    contests, accuracy, missing = measure_all(files, options, peers, Peer("transformers", python["transformers"]))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.md").write_text(markdown(machine_of(options, peers), contests, accuracy, missing))
    (options.output / "results.svg").write_text(plot(contests))
    tell(f"{options.output / 'results.md'}")


if __name__ == "__main__":
    main()
