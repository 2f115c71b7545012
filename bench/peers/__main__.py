"""`make bench-peers`: Nuri beside llama.cpp, transformers and OpenVINO on one machine; figures of one table are of one
run.

Installs each peer into an environment of its own, makes models of random weights in every program's files, and lets
the programs take turns, each turn in a fresh process; the machine's limits are measured in between. Writes
bench/results.md and bench/results.svg. bench/README.md tells more."""

import argparse
import os
import sys
from pathlib import Path

from conditions import conditions_now
from contest import MODELS, PRECISIONS, TINY
from environments import PEERS, install
from files import Files, Peer
from measuring import all_accuracy, all_contests, is_partial, tell
from report import markdown, plot

ROOT = Path(__file__).resolve().parent.parent.parent


def parser() -> argparse.ArgumentParser:
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
                        help="take what an earlier run measured whole on this machine, with as many threads and turns "
                             "and the same peers; without it everything is measured anew")
    parser.add_argument("--report-only", action="store_true", help="of what is kept; nothing is measured or installed")
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench", help="environments, models, logs")
    parser.add_argument("--checkpoints", type=Path, help="folder with Hugging Face folders of random weights, by shape")
    parser.add_argument("--nuri", type=Path, default=ROOT / "build/release/nuri")
    parser.add_argument("--probe", type=Path, default=ROOT / "build/release/nuri_probe")
    parser.add_argument("-o", "--output", type=Path,
                        help="folder of results.md and results.svg; when not given, bench/ for a run of everything, "
                             "and else build/bench/ (with --quick build/bench/quick/)")
    parser.add_argument("--no-accuracy", action="store_true")
    parser.add_argument("--no-profile", action="store_true", help="of the goals that are missed")
    return parser


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parse = parser()
    options = parse.parse_args(arguments)
    options.keep |= options.report_only
    options.environments = options.work / "environments"
    if options.quick:
        options.work /= "quick"
    everything = list(TINY if options.quick else MODELS)
    options.models = options.models or everything
    options.usual_repetitions = 1 if options.quick else 5
    options.repetitions = options.repetitions if options.repetitions is not None else options.usual_repetitions
    if min(options.repetitions, options.threads) < 1:
        parse.error("--repetitions and --threads: expected 1 or more")
    whole = (not options.quick and not is_partial(options) and not options.no_accuracy
             and set(options.models) >= set(everything) and set(options.weights) == set(PRECISIONS))
    options.output = options.output or (ROOT / "bench" if whole else options.work)
    for program in () if options.report_only else (options.nuri, options.probe):
        if not os.access(program, os.X_OK):
            parse.error(f"{program}: found no program; `make bench-peers` builds it")
    return options


def measured(options: argparse.Namespace):
    """-> contests, accuracy and what is missing."""
    python = {}
    if not options.report_only:
        options.work.mkdir(parents=True, exist_ok=True)
        python = {name: install(options.environments, name) for name in dict.fromkeys([*options.peers, "transformers"])}
    peers = {name: Peer(name, python.get(name)) for name in options.peers}
    now = {} if options.report_only else conditions_now(options, python)
    files = Files(options.work, python, options.checkpoints, options.nuri)
    contests, missing = all_contests(files, options, peers, now)
    accuracy, further = all_accuracy(files, options, peers, Peer("transformers", python.get("transformers")), now)
    return contests, accuracy, missing + further


def main() -> None:
    options = read_options()
    contests, accuracy, missing = measured(options)
    if not contests and not accuracy:
        sys.exit(f"{options.work}: found nothing to report, expected contests or accuracy of an earlier run")
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.md").write_text(markdown(contests, accuracy, missing))
    (options.output / "results.svg").write_text(plot(contests))
    tell(f"{options.output / 'results.md'}")


if __name__ == "__main__":
    main()
