"""Checkpoints of random weights, as save_pretrained writes them; needs torch and transformers."""

from pathlib import Path

from shapes import Shape


def make_checkpoint(folder: Path, shape: Shape) -> None:
    """Writes what save_pretrained writes: normal weights of deviation 0.02, norms of 1, biases of 0."""
    import torch

    config = shape.build()
    config.dtype = "bfloat16"
    with torch.device("meta"):
        model = shape.cls(config).to(torch.bfloat16)
    model.to_empty(device="cpu")  # without the reference's own slow initialisation
    model.tie_weights()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.dim() > 1:
                tensor.normal_(0.0, 0.02, generator=generator)
            else:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)
    scratch = folder / "being-made"
    model.save_pretrained(scratch)
    for path in sorted(scratch.iterdir(), key=lambda path: path.name == "config.json"):
        path.rename(folder / path.name)  # config.json last: its presence means that the folder is whole
    scratch.rmdir()
