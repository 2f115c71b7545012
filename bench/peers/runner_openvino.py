"""OpenVINO as a peer. A model is a folder with PRECISION/openvino_model.xml (a decoder that keeps its own cache) and
PRECISION/openvino_vision.xml, as write_openvino.py makes them."""

from pathlib import Path

import numpy
import openvino
from protocol import Runner, Unsupported, random_ids, serve


class OpenVino(Runner):
    def load(self, model: str, threads: int, precision: str) -> None:
        folder, self.threads, self.request, self.eyes = Path(model) / precision, threads, None, None
        decoder, vision = folder / "openvino_model.xml", folder / "openvino_vision.xml"
        if vision.exists():
            self.eyes = self.compile(vision).create_infer_request()
        if not decoder.exists():
            return
        compiled = self.compile(decoder)
        self.request = compiled.create_infer_request()
        self.inputs = {name for one in compiled.inputs for name in one.get_names()}
        self.vocabulary = compiled.output("logits").get_partial_shape()[2].get_length()

    def compile(self, file: Path):
        # As openvino-genai sets it up for one user at a time.
        return openvino.Core().compile_model(file, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads, "ENABLE_CPU_PINNING": False})

    def run(self, ids, past: int):
        if self.request is None:
            raise Unsupported("no decoder was exported")
        sequences, count = ids.shape
        given = {"input_ids": ids, "attention_mask": numpy.ones((sequences, past + count), "int64"),
                 "position_ids": numpy.tile(numpy.arange(past, past + count), (sequences, 1)),
                 "beam_idx": numpy.arange(sequences, dtype="int32")}
        self.request.infer({name: value for name, value in given.items() if name in self.inputs},
                           share_inputs=True)
        return self.request.get_tensor("logits").data

    def ids(self, count: int, sequences: int = 1):
        return numpy.array([random_ids(count, self.vocabulary, seed) for seed in range(sequences)], "int64")

    def prefill(self, tokens: int) -> None:
        if self.request is None:
            raise Unsupported("no decoder was exported")
        self.request.reset_state()
        self.run(self.ids(tokens), 0)

    def begin(self, depth: int, sequences: int) -> None:
        if self.request is None:
            raise Unsupported("no decoder was exported")
        self.request.reset_state()
        self.length, self.sequences = max(depth, 1), sequences
        self.run(self.ids(self.length, sequences), 0)

    def step(self) -> None:
        self.run(numpy.full((self.sequences, 1), 2 + self.length % 97, "int64"), self.length)
        self.length += 1

    def logits(self, ids: list[int]):
        self.request.reset_state()
        return numpy.array(self.run(numpy.array([ids], "int64"), 0)[0], "float32")

    def open_picture(self, width: int, height: int) -> None:
        if self.eyes is None:
            raise Unsupported("no encoder was exported")
        self.picture = numpy.random.default_rng(1).standard_normal((1, 3, height, width)).astype("float32")

    def encode(self) -> None:
        self.eyes.infer({0: self.picture})


if __name__ == "__main__":
    serve(OpenVino())
