"""What a model's tokens and pictures take, for the shares of the machine's limit. Needs no more than python3 itself."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tensors import read_header

EYES = ("visual.", "vision_tower.", "multi_modal_projector.")


def text_config(folder: Path) -> dict:
    config = json.loads((folder / "config.json").read_text())
    return config.get("text_config", config)


def bytes_of_a_token(folder: Path) -> int:
    """Weights that decoding one token reads, as they lie in the files: of the experts those at work, and the table of
    words only where it is the head too, for else one row of it is read."""
    if not folder.exists():  # it could not be made
        return 0
    sizes = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, told in read_header(file)[0].items():
            begin, end = told["data_offsets"]
            sizes[name.removeprefix("model.").removeprefix("language_model.")] = end - begin
    config = text_config(folder)
    active = config.get("num_experts_per_tok", 1) / config.get("num_local_experts", 1)
    has_head = any("lm_head" in name for name in sizes)
    total = 0
    for name, size in sizes.items():
        if name.startswith(EYES) or (has_head and "embed_tokens" in name):
            continue
        total += size * active if re.search(r"\.experts\.\d+\.", name) else size
    return round(total)


def work_of(nuri: Path, checkpoint: Path, folder: Path, picture: tuple[int, int] | None) -> dict:
    """Of a model's checkpoint, and of the folder that Nuri runs in its place: "flops" of a token in a prefill, which
    makes the logits of the last position alone, "bytes" that decoding one token reads of the weights and
    "position_bytes" of each position in the cache, "picture_flops" of a picture of that width and height."""
    size = ["--image", "{}x{}".format(*picture)] if picture else []
    done = subprocess.run([str(nuri), "inspect", str(checkpoint), "--json", *size], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    told, text = json.loads(done.stdout), text_config(checkpoint)
    # A weight takes part in one multiplication and one addition a token.
    head = 2 * text["vocab_size"] * text["hidden_size"]
    return {"flops": told["flops_per_token"] - head, "bytes": bytes_of_a_token(folder),
            "position_bytes": told["kv_bytes_per_token"], "picture_flops": told.get("flops_per_picture")}
