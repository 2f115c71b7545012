"""Writes what bench/peers found: bench/results.md and bench/results.svg. Needs no more than python3 itself."""

import math
from dataclasses import dataclass, field
from html import escape

from conditions import usual
from contest import CALIBRATED, Cell, Samples, faster
from goals import doubtful, goal_of, share_of_limit

UNITS = {"tokens_per_s": "tokens/s", "encode_s": "s", "load_s": "s", "peak_rss_bytes": "GB"}
COLOURS = {"nuri": "#1f6f54", "llama.cpp": "#c0653a", "transformers": "#4a6fa5", "openvino": "#8a5a9b"}


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def shown(cell: Cell, values: list[float], turns: int) -> str:
    """Median (least - greatest), and of how many turns where some have no figure."""
    ordered = sorted(value / 1e9 if cell.figure == "peak_rss_bytes" else value for value in values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    spread = f" ({number(ordered[0])} - {number(ordered[-1])})" if len(ordered) > 1 else ""
    return number(median) + spread + (f", {len(values)} of {turns} turns" if len(values) < turns else "")


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


@dataclass
class Contest:
    """One model with one kind of weights."""
    model: str
    precision: str
    cells: list[Cell]
    samples: dict[str, Samples]  # by contestant
    work: dict  # of the model: goals.share_of_limit
    limits: dict  # of the machine, when this was measured
    conditions: dict[str, str]
    profiles: dict[str, list] = field(default_factory=dict)  # of cells that miss a goal: [[percent, symbol]]

    def title(self) -> str:
        return f"{self.model}, {self.precision}"

    def peers(self) -> list[str]:
        return [name for name in self.samples if name != "nuri"]

    def ratio(self, cell: Cell, peer: str) -> float | None:
        ours, theirs = self.samples["nuri"].median(cell.name), self.samples[peer].median(cell.name)
        return None if ours is None or theirs is None else faster(cell, ours, theirs)

    def share(self, cell: Cell) -> float | None:
        ours = self.samples["nuri"].median(cell.name)
        return None if ours is None else share_of_limit(cell, self.precision, ours, self.work, self.limits)

    def rows(self) -> list[list[str]]:
        rows, turns = [], int(self.conditions["turns"])
        for cell in self.cells:
            row = [f"{cell.name}, {UNITS[cell.figure]}"]
            for name, samples in self.samples.items():
                values = samples.figures.get(cell.name)
                ratio = self.ratio(cell, name) if name != "nuri" and values else None
                row.append((shown(cell, values, turns) if values else "-") + (f": {ratio:.2f}x" if ratio else ""))
            share = self.share(cell)
            rows.append(row + [f"{100 * share:.0f} %" if share else ""])
        return rows

    def notes(self) -> list[str]:
        told: dict[str, list[str]] = {}
        for name, samples in self.samples.items():
            for cell, reason in samples.reasons.items():
                told.setdefault(f"{name}: {reason}", []).append(cell)
        return [f"- {', '.join(cells)}: {reason}" for reason, cells in told.items()]

    def doubts(self) -> list[str]:
        """Of the limits, and so of the shares."""
        found = []
        if doubtful(self.limits):
            found.append("With all threads the probe multiplied less than 1.5 times what it did with one. Unless threads "
                         "share a core here, others were on the machine, and the shares of products are too large.")
        if above := [cell.name for cell in self.cells if (self.share(cell) or 0) > 1]:
            found.append(f"Above 100 %: {', '.join(above)}. What the probe saw is no upper limit there (others took "
                         "from it, or a cache gave a part of the weights), so whether its goal is met is not known.")
        return found

    def missed(self) -> list[tuple[Cell, str]]:
        """Cells below a goal, and by how much. What is compared is what is told."""
        found = []
        for cell in self.cells:
            goal = goal_of(cell.name, self.precision)
            if goal is None:
                continue
            for peer, wanted in goal.against.items():
                ratio = self.ratio(cell, peer) if peer in self.samples else None
                if ratio is not None and round(ratio, 2) < wanted:
                    found.append((cell, f"{ratio:.2f}x of {peer}, wanted {wanted:g}x"))
            share = self.share(cell)
            if share and goal.of_limit and round(share, 2) < goal.of_limit:
                limit = "a doubtful limit" if cell.do != "decode" and doubtful(self.limits) else "the machine's limit"
                found.append((cell, f"{100 * share:.0f} % of {limit}, wanted {100 * goal.of_limit:.0f} %"))
        return found


@dataclass
class Accuracy:
    """Of one model with one kind of weights: the rows of accuracy_run.measure_accuracy."""
    model: str
    precision: str
    rows: list[dict]
    conditions: dict[str, str]

    def title(self) -> str:
        return f"{self.model}, {self.precision}"


def accuracy_row(told: dict) -> list[str]:
    row = [told["model"], told["program"], told["weights"]]
    if "kl" not in told:
        return [*row, "-", "-", told.get("error") or told.get("unsupported", "")]
    error = f"{100 * told['relative_error']:.2f} %"
    if not told["trained"]:  # of random weights nothing else means anything
        return [*row, "", "", error]
    return [*row, f"{told['kl']:.2e} (99 %: {told['kl_99']:.2e})", f"{100 * told['equal_top']:.2f} %", error]


def limits_text(limits: dict) -> str:
    rows = [[name, limits[key].get("set", ""), number(limits[key]["one"]), number(limits[key]["all"]), unit]
            for key, name, unit in (("fp32", "float32 products", "GFLOP/s"), ("bf16", "bfloat16 products", "GFLOP/s"),
                                    ("int8", "int8 products", "GOP/s"), ("read", "reading memory", "GB/s"))]
    return table(["", "by", "one thread", f"{limits['threads']} threads", ""], rows)


def measured(conditions: dict[str, str], most: dict[str, str]) -> str:
    line = f"Measured {conditions['date']}, revision {conditions['revision']}, program {conditions['program']}."
    other = [f"{name} {value}" for name, value in conditions.items() if name != "date" and value != most.get(name)]
    return line + (f" Unlike most of the others: {'; '.join(other)}." if other else "")


def machine_text(most: dict[str, str]) -> str:
    told = {name: value for name, value in most.items() if name not in ("date", "revision", "program")}
    return "\n".join(f"- {name}: {value}" for name, value in told.items() if (name, value) != ("quick", "no")) + "\n"


def contest_text(contest: Contest, most: dict[str, str]) -> list[str]:
    parts = [f"### {contest.title()}\n", measured(contest.conditions, most) + "\n",
             table(["", *contest.samples, "of the limit"], contest.rows()), limits_text(contest.limits)]
    parts += [words + "\n" for words in contest.doubts()]
    if notes := contest.notes():
        parts.append("Left out, or ended before the last turn:\n\n" + "\n".join(notes) + "\n")
    return parts


def accuracy_text(accuracy: list[Accuracy], most: dict[str, str]) -> list[str]:
    rows = [accuracy_row(told) for one in accuracy for told in one.rows]
    parts = ["## Accuracy\n",
             "Against the same weights in float32 by transformers. KL divergence and equal top tokens mean "
             "something on trained weights only; on random ones the relative error of the logits stands alone.\n",
             table(["model", "program", "weights", "KL divergence, nats", "equal top tokens",
                    "relative error of the logits"], [list(row) for row in dict.fromkeys(map(tuple, rows))])]
    if any(told["weights"] == CALIBRATED for one in accuracy for told in one.rows):
        parts.append(f"`{CALIBRATED}` was calibrated on texts of the kind that is measured here: other conversations "
                     "of the same generator. No other row has seen such texts.\n")
    lines: dict[str, list[str]] = {}
    for one in accuracy:
        lines.setdefault(measured(one.conditions, most), []).append(one.title())
    return parts + ["\n".join(f"- {line} ({'; '.join(titles)})" for line, titles in lines.items()) + "\n"]


def markdown(contests: list[Contest], accuracy: list[Accuracy], missing: list[str] = ()) -> str:
    most = usual([found.conditions for found in [*contests, *accuracy]])
    parts = ["# Nuri beside its peers\n\nWritten by `make bench-peers`; bench/README.md tells how to read it.\n",
             "## The machine\n", machine_text(most), "## Speed\n",
             "Medians (least - greatest); behind the colon, how many times better Nuri is. The last column is what "
             "part of the machine's limit Nuri reaches; the limits are what `nuri_probe` measured in the same contest. "
             "Pictures are encoded in bf16 alone. Of texts, Nuri's bf16 lies in 12 bits a number, the same numbers "
             "(`nuri quantize --weights bf12`)."
             "\n\n![Nuri's advantage, by model and weights](results.svg)\n"]
    for contest in contests:
        parts += contest_text(contest, most)
    if accuracy:
        parts += accuracy_text(accuracy, most)
    if missing:
        parts.append("## Not measured yet\n\n" + "\n".join(f"- {one}" for one in missing) + "\n")
    return "\n".join([*parts, "## Goals that are missed\n", goals_text(contests)])


def goals_text(contests: list[Contest]) -> str:
    parts = []
    if any(contest.profiles for contest in contests):
        parts.append("Symbols are of the whole process that measured a figure (`perf record`): loading, what fills the "
                     "cache and the first run, which no clock sees, are in it.\n")
    for contest in contests:
        missed = contest.missed()
        for cell in dict.fromkeys(cell.name for cell, _ in missed):
            words = "; ".join(words for other, words in missed if other.name == cell)
            parts.append(f"- {contest.title()}, {cell}: {words}")
            if profile := contest.profiles.get(cell):
                lines = "\n".join(f"      {share:5.1f} %  {symbol}" for share, symbol in profile)
                parts.append(f"  Where the time of the process goes:\n\n{lines}\n")
    return ("\n".join(parts) if parts else "None of those that were measured.") + "\n"


def plot(contests: list[Contest]) -> str:
    """Bars: how many times better Nuri is than each peer, on a scale of powers of two."""
    bars = [(contest, cell, peer, ratio) for contest in contests for cell in contest.cells for peer in contest.peers()
            if cell.figure != "peak_rss_bytes" and (ratio := contest.ratio(cell, peer))]
    left, width, height = 360, 520, 16
    ratios = [ratio for *_, ratio in bars]
    least = math.floor(math.log2(min([0.5, *ratios])))
    most = math.ceil(math.log2(max([2.0, *ratios])))
    unit = width / (most - least)
    one = left - least * unit
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{height * len(bars) + 60}" '
             'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for power in range(least, most + 1):
        x = one + power * unit
        lines.append(f'<line x1="{x:.1f}" y1="30" x2="{x:.1f}" y2="{height * len(bars) + 36}" stroke="#ddd"/>'
                     f'<text x="{x:.1f}" y="22" text-anchor="middle">{2.0 ** power:g}x</text>')
    for row, (contest, cell, peer, ratio) in enumerate(bars):
        y, end = 36 + height * row, one + math.log2(ratio) * unit
        lines.append(f'<text x="{left - 8}" y="{y + 10}" text-anchor="end">'
                     f'{escape(f"{contest.title()}: {cell.name}, {peer}")}</text>'
                     f'<rect x="{min(one, end):.1f}" y="{y + 1}" width="{max(abs(end - one), 1):.1f}" '
                     f'height="{height - 4}" fill="{COLOURS.get(peer, "#888")}"/>'
                     f'<text x="{left + width + 6}" y="{y + 10}">{ratio:.2f}x</text>')
    return "\n".join(lines + ["</svg>\n"])
