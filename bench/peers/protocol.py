"""What bench/peers and a runner say to each other: one JSON object a line. A call is {"do": NAME, ...}, its answer an
object of figures, or {"unsupported": why} or {"error": what}. Needs no more than python3 itself."""

import json
import os
import resource
import subprocess
import sys
import time


class Unsupported(Exception):
    """This program does not do that."""


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def random_ids(count: int, vocabulary: int, seed: int) -> list[int]:
    """Token ids without the first two, which may be special; the same for the same seed everywhere."""
    state, ids = seed + 1, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        ids.append(2 + (state >> 33) % (min(vocabulary, 1000) - 2))
    return ids


class Runner:
    """Of one peer; what it does not define is unsupported. `do_load` comes first."""

    def do_load(self, model: str, threads: int, precision: str) -> dict:
        start = time.perf_counter()
        self.load(model, threads, precision)
        return {"load_s": time.perf_counter() - start}

    def do_prefill(self, tokens: int) -> dict:
        """Once without the clock, as in llama-bench: first runs allocate."""
        self.prefill(tokens)
        return {"tokens_per_s": tokens / seconds(lambda: self.prefill(tokens))}

    def do_decode(self, depth: int, tokens: int, sequences: int) -> dict:
        """`tokens` further tokens of each sequence, behind `depth` that the cache holds."""
        self.begin(depth, sequences)
        self.step()
        return {"tokens_per_s": tokens * sequences / seconds(lambda: [self.step() for _ in range(tokens)])}

    def do_encode(self, width: int, height: int) -> dict:
        self.open_picture(width, height)
        self.encode()
        return {"encode_s": seconds(self.encode)}

    def do_memory(self) -> dict:
        return {"peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}

    def do_logits(self, ids: list[int], file: str) -> dict:
        """Writes the logits of all positions, float32, row after row."""
        rows = self.logits(ids)
        with open(file, "wb") as output:
            output.write(rows.tobytes())
        return {"rows": len(ids)}

    def __getattr__(self, name):
        if name in ("load", "prefill", "begin", "step", "open_picture", "encode", "logits"):
            raise Unsupported(f"{type(self).__name__} has no {name}")
        raise AttributeError(name)


def serve(runner: Runner) -> None:
    """Answers calls from standard input until it ends. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            answer = getattr(runner, "do_" + call.pop("do"))(**call)
        except Unsupported as reason:
            answer = {"unsupported": str(reason)}
        except Exception as reason:  # whatever a peer's library throws is its answer
            answer = {"error": f"{type(reason).__name__}: {reason}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


class Process:
    """A runner in a process of its own."""

    def __init__(self, command: list[str], log):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)

    def call(self, do: str, **arguments) -> dict:
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": f"the runner ended with code {self.process.wait()}"}

    def close(self) -> None:
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
