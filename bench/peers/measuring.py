"""Takes what is kept and measures what is not. Needs no more than python3 itself."""

import json
import subprocess
import sys

from accuracy_run import DECODER, measure_accuracy
from conditions import MAY_DIFFER, date_now, differences
from contest import LOAD, Cell, Samples, cells_of, has_text, picture_of, programs_of, take_turn, turns
from environments import PEERS
from files import Files, Peer
from goals import best_of
from kept import Kept
from model_work import work_of
from profile_run import profile
from report import Accuracy, Contest
from runner_nuri import Nuri


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def limits_of(options) -> dict:
    done = subprocess.run([str(options.probe), str(options.threads)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def runner_of(name: str, model: str, options, peers: dict[str, Peer]):
    if name == "nuri":
        return Nuri(options.nuri, options.work)
    return peers[name].start(model, options.work / f"{name}.log")


def prepare(programs: dict[str, str], cells: list[Cell], model: str, files: Files) -> dict[str, Samples]:
    samples = {name: Samples() for name in programs}
    for name, weights in programs.items():
        if reason := files.make(name, model, weights):
            samples[name].reasons |= {cell.name: reason for cell in cells}
    return samples


def take_turns(model: str, programs: dict[str, str], cells: list[Cell], samples: dict[str, Samples], files: Files,
               options, peers: dict[str, Peer]) -> dict:
    """-> the machine's limits. What did not load is not tried again."""
    probes = []
    for repetition, name in turns(list(programs), options.repetitions):
        if name == "nuri":
            probes.append(limits_of(options))
        if LOAD.name in samples[name].reasons:
            continue
        tell(f"{model}: turn {repetition + 1}/{options.repetitions} of {name} {programs[name]}")
        runner = runner_of(name, model, options, peers)
        load = {"model": str(files.folder(name, model, programs[name])), "threads": options.threads,
                "precision": programs[name]}
        take_turn(runner, load, cells, samples[name])
        runner.close()
    return best_of([*probes, limits_of(options)])


def measure(model: str, precision: str, cells: list[Cell], files: Files, options, peers: dict[str, Peer],
            now: dict[str, str]) -> Contest:
    programs, now = programs_of(model, precision, peers), now | {"date": date_now()}
    samples = prepare(programs, cells, model, files)
    folder = files.folder("nuri", model, programs["nuri"])
    work = work_of(options.nuri, files.checkpoint(model), folder, picture_of(model))
    limits = take_turns(model, programs, cells, samples, files, options, peers)
    contest = Contest(model, precision, cells, samples, work, limits, now)
    if not options.no_profile:
        for cell in dict.fromkeys(cell for cell, _ in contest.missed()):
            if found := profile(options, str(folder), cell):
                contest.profiles[cell.name] = found
    return contest


def is_partial(options) -> bool:
    """Whether its contests lack something, so that they are not kept."""
    return bool(options.cells or options.no_profile or set(options.peers) != set(PEERS)
                or options.repetitions < options.usual_repetitions)


def chosen_cells(model: str, precision: str, options) -> list[Cell]:
    cells = cells_of(model, precision, options.quick)
    return [cell for cell in cells if cell == LOAD or not options.cells or cell.name.startswith(tuple(options.cells))]


def lacking(contest: Contest, cells: list[Cell], programs) -> list[str]:
    """Figures that a contest should have, and has neither them nor a reason."""
    found = []
    for name in programs:
        samples = contest.samples.get(name, Samples())
        without = [cell.name for cell in cells if cell.name not in samples.figures | samples.reasons]
        if without:
            found.append(f"{name} ({'everything' if len(without) == len(cells) else ', '.join(without)})")
    return found


def unfit(contest: Contest, cells: list[Cell], programs, now: dict[str, str]) -> str:
    """Why a contest that was kept is not what would be measured now; empty: it is."""
    if contest.cells != cells or [*contest.samples] != [*programs]:
        return "it has other cells or programs"
    if lacks := lacking(contest, cells, programs):
        return f"it lacks {'; '.join(lacks)}"
    return "; ".join(differences(contest.conditions, now))


def all_contests(files: Files, options, peers: dict[str, Peer], now: dict[str, str]):
    """-> contests, and what is missing. Whole ones are kept; with --keep those are taken that were kept and fit."""
    kept, contests, missing = Kept(options.work), [], []
    chosen = [(model, precision) for model in options.models for precision in options.weights
              if has_text(model) or precision == "bf16"]
    for model, precision in chosen:
        cells, programs = chosen_cells(model, precision, options), programs_of(model, precision, options.peers)
        contest = kept.contest(model, precision) if options.keep else None
        if not options.report_only:
            if contest and (why := unfit(contest, cells, programs, now)):
                tell(f"{contest.title()} is measured anew: {why}")
                contest = None
            if contest is None:
                contest = measure(model, precision, cells, files, options, peers, now)
                if not is_partial(options):
                    kept.keep(contest)
        contests += [contest] if contest else []
        if contest is None:
            missing.append(f"{model}, {precision}")
        elif lacks := lacking(contest, cells, programs):
            missing.append(f"{contest.title()}: {'; '.join(lacks)}")
    return contests, missing


def kept_accuracy(kept: Kept, model: str, options, now: dict[str, str]) -> dict[str, Accuracy]:
    """By kind of weights."""
    found = {}
    for precision in options.weights:
        one = kept.accuracy(model, precision)
        why = one and not options.report_only and differences(one.conditions, now, (*MAY_DIFFER, "turns"))
        if why:
            tell(f"accuracy of {one.title()} is measured anew: {'; '.join(why)}")
        elif one:
            found[precision] = one
    return found


def all_accuracy(files: Files, options, peers: dict[str, Peer], reference: Peer, now: dict[str, str]):
    """-> accuracy, and what is missing; as all_contests."""
    kept, accuracy, missing = Kept(options.work), [], []
    models = [] if options.no_accuracy else [DECODER, *filter(has_text, options.models)]
    for model in models:
        found = kept_accuracy(kept, model, options, now) if options.keep else {}
        lacks = [precision for precision in options.weights if precision not in found]
        if lacks and not options.report_only:
            begun = now | {"date": date_now()}
            for precision, rows in measure_accuracy(model, lacks, options, files, peers, reference).items():
                found[precision] = Accuracy(model, precision, rows, begun)
                if not is_partial(options):
                    kept.keep(found[precision])
        elif lacks:
            missing.append(f"accuracy of {model}: {', '.join(lacks)}")
        accuracy += [found[precision] for precision in options.weights if precision in found]
    return accuracy, missing
