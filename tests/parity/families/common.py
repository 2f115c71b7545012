"""What models.py has to know of a family, and what several families share."""

import dataclasses
from collections.abc import Callable

import torch

# Sizes of what goldens are made with: a decoder, and a tower of attention.
SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, vocab_size=48, num_attention_heads=4,
             num_key_value_heads=2)
SMALL_HEADS = SMALL | dict(head_dim=4)
SMALL_TOWER = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)


def noise(parameter, scale=0.2):
    parameter.add_(scale * torch.randn_like(parameter))


def vary(key, parameter):
    """Norms, biases and scales too get values of their own: all ones would hide a mistake."""
    if parameter.dim() < 2:
        noise(parameter)


def save(model, folder, seed):
    model.save_pretrained(folder)


def without_padding(inputs, row, ids):
    """[1, T] the row's ids (its prompt and what follows), so that no mask is needed."""
    if "attention_mask" in inputs:
        keep = inputs["attention_mask"][row].bool()
        ids = torch.cat([ids[: len(keep)][keep], ids[len(keep):]])
    return ids[None]


def resume(config, inputs, row, ids):
    pictures = {k: v for k, v in inputs.items() if k in ("pixel_values", "image_sizes")}
    return {"input_ids": without_padding(inputs, row, ids)} | pictures


@dataclasses.dataclass(frozen=True)
class Family:
    build: Callable  # (random.Random) -> a random config
    cls: type  # the reference's model
    inputs: Callable  # (config, random.Random) -> what the model is given; draws from torch's generator too
    outputs: tuple[str, ...] = ()  # to be compared besides models.OUTPUTS
    features: Callable | None = None  # (model, inputs) -> further outputs, which the model does not return
    prepare: Callable | None = None  # (model): changes it before its parameters vary
    vary: Callable = vary  # (name, parameter): changes it where its initial value says too little
    save: Callable = save  # (model, folder, seed): writes the checkpoint
    generated: int = 24  # greedy tokens; 0: the model continues no text
    resume: Callable = resume  # (config, inputs, row, ids) -> what to give for the logits behind ids, or None


def rope(kind, theta=10000.0):
    if kind == "default":
        return {"rope_type": "default", "rope_theta": theta}
    extra = {"factor": 4.0}
    if kind == "llama3":
        extra |= dict(low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
    return {"rope_type": kind, "rope_theta": theta} | extra


def decoder(r):
    heads, kv = r.choice([(2, 2), (4, 2), (4, 1), (6, 3)])
    head_dim = r.choice([8, 12, 16])
    return dict(
        vocab_size=r.choice([71, 96, 113]),
        hidden_size=heads * head_dim,
        intermediate_size=r.choice([40, 56]),
        num_hidden_layers=r.choice([1, 2, 3]),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=64,
        rms_norm_eps=r.choice([1e-5, 1e-6]),
        initializer_range=0.2,
        tie_word_embeddings=r.random() < 0.4,
    )


def tower(r):
    heads = r.choice([2, 3])
    patch = r.choice([4, 6])
    return dict(
        hidden_size=heads * 8,
        intermediate_size=36,
        num_hidden_layers=r.choice([2, 3]),
        num_attention_heads=heads,
        image_size=patch * r.choice([2, 3]) + r.choice([0, 1]),
        patch_size=patch,
        initializer_range=0.2,
    )


def pixels(config, count):
    return torch.randn(count, 3, config.image_size, config.image_size)


def words(config, r):
    """A batch of ids."""
    batch, length = r.choice([(1, 19), (2, 13), (3, 7)])
    inputs = {"input_ids": torch.randint(0, config.vocab_size, (batch, length))}
    if batch > 1:
        mask = torch.ones(batch, length, dtype=torch.long)
        mask[1, :4] = 0  # padding stands on the left, as for generation
        inputs["attention_mask"] = mask
    return inputs


def prompt(config, counts, r):
    """[1, T] ids with so many image tokens for each picture, and words around them."""
    last = config.text_config.vocab_size - 1
    row = lambda: torch.randint(0, last, (r.randint(1, 4),)).tolist()
    ids = row()
    for count in counts:
        ids += [last] * count + row()
    return torch.tensor([ids])
