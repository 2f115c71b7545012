"""Transformers as a peer: `python runner_transformers.py SHAPE`, with a shape's name of bench/shapes.py."""

import sys
from pathlib import Path

from protocol import Runner, Unsupported, random_ids, serve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


class Transformers(Runner):
    def __init__(self, shape: str):
        """"-": what AutoModelForCausalLM opens. What Python itself takes to start is not counted as loading."""
        import torch
        import transformers
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.torch, self.shape, self.cls = torch, None, transformers.AutoModelForCausalLM
        if shape != "-":
            from shapes import SHAPES

            self.shape = SHAPES[shape]
            self.cls = self.shape.cls
        torch.set_grad_enabled(False)

    def load(self, model: str, threads: int, precision: str) -> None:
        types = {"bf16": self.torch.bfloat16, "float32": self.torch.float32}
        if precision not in types:
            raise Unsupported(f"transformers has no {precision} weights here")
        self.torch.set_num_threads(threads)
        self.model = self.cls.from_pretrained(model, dtype=types[precision]).eval()
        self.vocabulary = self.model.config.get_text_config().vocab_size

    def run(self, ids, cache=None):
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1:].argmax(-1), output.past_key_values

    def ids(self, count: int, sequences: int = 1):
        return self.torch.tensor([random_ids(count, self.vocabulary, seed) for seed in range(sequences)])

    def prefill(self, tokens: int) -> None:
        self.run(self.ids(tokens))

    def begin(self, depth: int, sequences: int) -> None:
        self.state = self.run(self.ids(max(depth, 1), sequences))

    def step(self) -> None:
        self.state = self.run(*self.state)

    def open_picture(self, width: int, height: int) -> None:
        if self.shape is None or self.shape.image != (width, height):
            raise Unsupported(f"the shape has no picture of {width} x {height}")
        self.picture = {name: tensor.to(self.model.dtype) if tensor.is_floating_point() else tensor
                        for name, tensor in self.shape.inputs(self.torch).items()}

    def encode(self) -> None:
        self.shape.encode(self.model, self.picture)

    def logits(self, ids: list[int]):
        return self.model(input_ids=self.torch.tensor([ids])).logits[0].float().numpy()


if __name__ == "__main__":
    serve(Transformers(sys.argv[1]))
