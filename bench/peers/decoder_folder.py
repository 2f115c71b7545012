"""The language model of a vision-language model as a folder of its own. Needs no more than python3 itself."""

import json
import shutil
from pathlib import Path

from tensors import read_header, write_header

PIECE = 1 << 24


def write_decoder_folder(source: Path, folder: Path, prefix: str, without: tuple[str, ...] = ()) -> None:
    """A Qwen2ForCausalLM of the tensors of `source` (one file) whose names begin with `prefix`, which they lose, but for
    those that begin with one of `without`. Its rotary positions are those of a text alone, so its logits are too."""
    config = json.loads((source / "config.json").read_text())
    text = config["text_config"] | {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"],
                                    "dtype": config["dtype"]}
    if "rope_parameters" in text:
        text["rope_parameters"] = {key: value for key, value in text["rope_parameters"].items()
                                   if key != "mrope_section"}
    folder.mkdir(parents=True, exist_ok=True)
    header, data = read_header(source / "model.safetensors")
    kept, places, end = {}, [], 0
    for name, told in header.items():
        if not name.startswith(prefix) or name.startswith(without):
            continue
        begin, size = told["data_offsets"][0], told["data_offsets"][1] - told["data_offsets"][0]
        kept[name.removeprefix(prefix)] = told | {"data_offsets": [end, end + size]}
        places.append((data + begin, size))
        end += size
    with open(source / "model.safetensors", "rb") as whole, open(folder / "model.safetensors", "wb") as part:
        write_header(part, kept)
        for begin, size in places:
            whole.seek(begin)
            for at in range(0, size, PIECE):
                part.write(whole.read(min(PIECE, size - at)))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            shutil.copy(source / name, folder / name)
    (folder / "config.json").write_text(json.dumps(text, indent=1))
