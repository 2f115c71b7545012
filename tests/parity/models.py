"""Tiny random checkpoints made by transformers, and what transformers computes with them.

    python tests/parity/models.py golden [NAME...]   writes tests/parity/golden/models/, or the cases named so
    python tests/parity/models.py check BINARY [N [FAMILY...]]   compares `nuri forward` with N random cases of every
                                                                 family, or of those named

What is made of a family, and which goldens, is in tests/parity/families/. Needs torch, transformers and safetensors;
Nuri itself does not.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers as t
from safetensors.torch import load_file, save_file

from families import FAMILIES, GOLDENS

GOLDEN = pathlib.Path(__file__).parent / "golden" / "models"
OUTPUTS = ("logits", "last_hidden_state", "pooler_output", "logits_per_text", "logits_per_image", "text_embeds",
           "image_embeds", "image_hidden_states")


def forget_generation_config(model):
    """The reference would write what it takes from the config, and generate() would heed it."""
    language = getattr(model, "language_model", model)
    start = getattr(getattr(language, "config", None), "decoder_start_token_id", None)
    for part in (model, language):
        if hasattr(part, "generation_config"):
            part.generation_config = t.GenerationConfig(decoder_start_token_id=start)


def make(family, seed, folder, config=None):
    """Writes the checkpoint, inputs and the reference's outputs into `folder`."""
    torch.manual_seed(seed)
    r = random.Random(seed)
    config = (config or family.build)(r)
    model = family.cls(config).eval()
    if family.prepare:
        family.prepare(model)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            family.vary(key, parameter)
    forget_generation_config(model)
    family.save(model, folder, seed)
    inputs = family.inputs(config, r)
    with torch.no_grad():
        out = model(**inputs)
        found = {name: output_named(out, name) for name in OUTPUTS + family.outputs}
        outputs = {name: value.float().contiguous().clone() for name, value in found.items() if value is not None}
        if family.features:
            outputs |= family.features(model, inputs)
        if family.generated and "logits" in outputs and "input_ids" in inputs:
            outputs["sequences"] = greedy(model, inputs, family.generated)
    save_file(inputs, folder / "inputs.safetensors")
    save_file(outputs, folder / "outputs.safetensors")
    return outputs


def output_named(out, name):
    """ "vision_outputs.last_hidden_state" lies in what "vision_outputs" is."""
    for part in name.split("."):
        if out is None or part not in out:
            return None
        out = out[part]
    return out


def greedy(model, inputs, count):
    # Without a mask, generate() would take ids that equal the padding for padding.
    inputs = {"attention_mask": torch.ones_like(inputs["input_ids"])} | inputs
    inputs = {k: v for k, v in inputs.items() if k != "labels" and not k.startswith("decoder_")}
    eos = {"eos_token_id": None, "pad_token_id": 0}
    return model.generate(**inputs, do_sample=False, max_new_tokens=count, min_new_tokens=count, **eos).contiguous()


def golden(names):
    for name, (family, seed, config) in GOLDENS.items():
        if names and name not in names:
            continue
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        (GOLDEN / name).mkdir(parents=True)
        make(FAMILIES[family], seed, GOLDEN / name, config)
        (GOLDEN / name / "generation_config.json").unlink(missing_ok=True)
        shutil.rmtree(GOLDEN / name / "reference", ignore_errors=True)
        print(name, sum(f.stat().st_size for f in (GOLDEN / name).iterdir()) // 1024, "KiB")


def difference(expected, found):
    """The largest difference relative to the largest value."""
    return ((expected - found).abs().max() / expected.abs().max()).item()


def near_tie(family, folder, inputs, row, ids):
    """Whether the reference's two best logits behind `ids` are closer than twice the tolerance."""
    reference = folder / "reference"
    try:
        model = family.cls.from_pretrained(reference if reference.exists() else folder).eval()
    except RuntimeError:  # a reference that was rebuilt after it was made
        return False
    given = family.resume(model.config, inputs, row, ids)
    if given is None:
        return False
    with torch.no_grad():
        logits = model(**given).logits[0, -1]
    best = logits.topk(2).values
    return (best[0] - best[1]).item() < 2e-4 * logits.abs().max().item()


def forward(binary, folder, generated):
    """What `nuri forward` finds, or its complaint."""
    command = [binary, "forward", folder, folder / "inputs.safetensors", "-o", folder / "found.safetensors",
               "--dtype", "float32"]
    if generated:
        command += ["--generate", str(generated)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return load_file(folder / "found.safetensors"), None


def rows_that_differ(family, folder, expected, found):
    """(row, position) of every sequence that differs, but for near ties."""
    inputs = load_file(folder / "inputs.safetensors")
    for row in range(expected.shape[0]):
        differs = (expected[row] != found[row]).nonzero()
        if len(differs) and not near_tie(family, folder, inputs, row, expected[row, : differs[0].item()]):
            yield row, differs[0].item()


def check(binary, count, names):
    worst, failures = {}, 0
    for name in names or FAMILIES:
        family = FAMILIES[name]
        for seed in range(1000, 1000 + count):
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                expected = make(family, seed, folder)
                found, complaint = forward(binary, folder, "sequences" in expected and family.generated)
                if found is None:
                    print(name, seed, "failed:", complaint)
                    failures += 1
                    continue
                for key, value in expected.items():
                    if key == "sequences":
                        for row, position in rows_that_differ(family, folder, value, found[key]):
                            print(name, seed, "sequences differ in row", row, "from", position)
                            failures += 1
                        continue
                    relative = difference(value, found[key].float())
                    worst[name, key] = max(worst.get((name, key), 0), relative)
                    if not relative < 1e-4:
                        print(name, seed, key, "differs by", relative, json.load(open(folder / "config.json")))
                        failures += 1
    for key, value in worst.items():
        print(*key, f"{value:.2e}")
    print(f"{failures} failures")
    return failures


if __name__ == "__main__":
    if sys.argv[1:2] == ["golden"]:
        golden(sys.argv[2:])
    elif len(sys.argv) > 2 and sys.argv[1] == "check":
        sys.exit(check(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5, sys.argv[4:]) > 0)
    else:
        sys.exit(__doc__)
