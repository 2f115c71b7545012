"""Nuri as a contestant: each figure is one `nuri bench`, which loads, warms up and measures by itself. Answers calls as
protocol.py's Process does, without a process that stays."""

import json
import struct
import subprocess
from pathlib import Path

from tensors import read_header, write_header


class Nuri:
    def __init__(self, program: Path, scratch: Path, environment: dict | None = None):
        self.program, self.scratch, self.environment = program, scratch, environment
        self.peak = 0

    def call(self, do: str, **arguments) -> dict:
        return getattr(self, do)(**arguments)

    def close(self) -> None:
        pass

    def run(self, *arguments) -> dict:
        command = [str(self.program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        if done.returncode == 2 and "unknown flag" in done.stderr:
            return {"unsupported": f"this nuri bench has no such flag ({done.stderr.strip()})"}
        if done.returncode != 0:
            return {"error": f"{' '.join(command)}: {done.stderr.strip()}"[:500]}
        return json.loads(done.stdout) if done.stdout else {}

    def bench(self, *arguments) -> dict:
        return self.run("bench", self.model, "-r", 1, *self.flags, *arguments, "--json")

    def arguments_of(self, do: str, tokens=0, depth=0, sequences=1, width=0, height=0) -> list:
        """Of the `nuri bench` that measures this call."""
        if do == "prefill":
            return ["-p", tokens, "-n", 0]
        if do == "encode":
            return ["-p", 1, "-n", 0, "--image", f"{width}x{height}"]
        return ["-p", 1, "-n", tokens, *(["-d", depth] if depth else []),
                *(["--sequences", sequences] if sequences > 1 else [])]

    def load(self, model: str, threads: int, precision: str) -> dict:
        self.model = model
        self.flags = ["--threads", threads]  # the folder's weights have that precision
        return self.bench("-p", 1, "-n", 0)

    def prefill(self, **arguments) -> dict:
        told = self.bench(*self.arguments_of("prefill", **arguments))
        self.peak = max(self.peak, told.get("peak_rss_bytes", 0))
        return self.figure(told, "prefill_tokens_per_s")

    def memory(self) -> dict:
        return {"peak_rss_bytes": self.peak} if self.peak else self.bench("-p", 1, "-n", 0)

    def decode(self, **arguments) -> dict:
        return self.figure(self.bench(*self.arguments_of("decode", **arguments)), "decode_tokens_per_s")

    def encode(self, **arguments) -> dict:
        told = self.bench(*self.arguments_of("encode", **arguments))
        self.peak = max(self.peak, told.get("peak_rss_bytes", 0))
        return told

    def figure(self, told: dict, name: str) -> dict:
        return {"tokens_per_s": told[name]} if name in told else told

    def logits(self, ids: list[int], file: str) -> dict:
        """Through `nuri forward`, whose float32 or bfloat16 output is written as float32."""
        inputs, outputs = self.scratch / "ids.safetensors", self.scratch / "logits.safetensors"
        with open(inputs, "wb") as output:
            write_header(output, {"input_ids": {"dtype": "I64", "shape": [1, len(ids)],
                                                "data_offsets": [0, 8 * len(ids)]}})
            output.write(struct.pack(f"<{len(ids)}q", *ids))
        answer = self.run("forward", self.model, inputs, "-o", outputs, *self.flags)
        if answer:
            return answer
        header, data = read_header(outputs)
        told = header["logits"]
        begin, end = (data + at for at in told["data_offsets"])
        raw = outputs.read_bytes()[begin:end]
        if told["dtype"] == "BF16":  # the upper halves
            whole = bytearray(2 * len(raw))
            whole[2::4], whole[3::4] = raw[0::2], raw[1::2]
            raw = bytes(whole)
        elif told["dtype"] != "F32":
            return {"error": f"nuri forward wrote logits of {told['dtype']}, expected F32 or BF16"}
        Path(file).write_bytes(raw)
        return {"rows": len(ids)}
