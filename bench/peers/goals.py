"""What the project wants of each figure. Needs no more than python3 itself."""

from dataclasses import dataclass

from contest import Cell


@dataclass(frozen=True)
class Goal:
    cells: str  # what the names of its cells begin with
    precision: str
    against: dict[str, float]  # peer -> how many times faster
    of_limit: float = 0  # share of what the machine can do; 0: none is set


GOALS = (
    Goal("decode at", "int4", {"llama.cpp": 1.2, "openvino": 1.6}, 0.90),
    Goal("decode at", "int8", {"llama.cpp": 1.1, "openvino": 1.0}, 0.90),
    Goal("decode at", "bf16", {"llama.cpp": 1.08, "transformers": 2.5}, 0.92),
    Goal("prefill", "int8", {"llama.cpp": 5, "openvino": 1.4}, 0.65),
    Goal("prefill", "int4", {"llama.cpp": 2.6, "openvino": 1.4}, 0.65),
    Goal("prefill", "bf16", {"llama.cpp": 1.6, "transformers": 1.5}, 0.85),
    Goal("picture", "bf16", {"llama.cpp": 2.4, "transformers": 1.45, "openvino": 1.1}, 0.75),
    Goal("load", "bf16", {"llama.cpp": 10, "transformers": 50}),
    Goal("load", "int8", {"llama.cpp": 10, "openvino": 5}),
    Goal("load", "int4", {"llama.cpp": 10, "openvino": 5}),
)


def goal_of(cell: str, precision: str) -> Goal | None:
    return next((goal for goal in GOALS if cell.startswith(goal.cells) and goal.precision == precision), None)


def share_of_limit(cell: Cell, precision: str, figure: float, work: dict, limits: dict) -> float | None:
    """What part of the machine's measured limit a figure is. `work` is what model_work.work_of tells, `limits` what
    bench/probe.cpp prints. Prefill and pictures are held against products (int8's for smaller weights), decoding of one
    sequence against reading the weights and the cache from memory."""
    peak = limits["bf16" if precision == "bf16" else "int8"]["all"] or limits["fp32"]["all"]
    if cell.do == "prefill":
        return figure * work["flops"] / (peak * 1e9)
    if cell.do == "encode" and work["picture_flops"]:
        return work["picture_flops"] / figure / (peak * 1e9)
    if cell.do == "decode" and cell.arguments["sequences"] == 1:
        read = work["bytes"] + cell.arguments["depth"] * work["position_bytes"]
        return figure * read / (limits["read"]["all"] * 1e9)
    return None


def best_of(probes: list[dict]) -> dict:
    """A limit is the best that was seen: whoever else is on the machine only takes from it."""
    best = dict(probes[0])
    for kind in ("fp32", "bf16", "int8", "read"):
        one, all_ = (max(probe[kind][threads] for probe in probes) for threads in ("one", "all"))
        best[kind] = best[kind] | {"one": one, "all": max(one, all_)}
    return best


def doubtful(limits: dict) -> bool:
    """Whether all threads multiplied little more than one of them."""
    return limits["threads"] > 1 and any(limits[kind]["all"] < 1.5 * limits[kind]["one"]
                                         for kind in ("fp32", "bf16", "int8"))
