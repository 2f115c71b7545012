"""Hugging Face folders as OpenVINO's files: `python write_openvino.py MODEL OUT PRECISION...` writes
OUT/PRECISION/openvino_model.xml with optimum-intel and NNCF (int8: a scale a row; int4: symmetric, in groups of 32); of
Qwen2.5-VL the language model alone; of a SigLIP encoder openvino_vision.xml in float16, whatever the precision."""

import json
import sys
import tempfile
from pathlib import Path

import openvino
from decoder_folder import write_decoder_folder


def write_decoder(model: Path, out: Path, precision: str) -> None:
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    settings = {"int8": {"bits": 8, "sym": True}, "int4": {"bits": 4, "sym": True, "group_size": 32, "ratio": 1.0}}
    chosen = OVWeightQuantizationConfig(**settings[precision]) if precision in settings else None
    exported = OVModelForCausalLM.from_pretrained(model, export=True, compile=False, use_cache=True, stateful=True,
                                                  load_in_8bit=False, quantization_config=chosen)
    exported.save_pretrained(out)


def write_siglip(model: Path, out: Path) -> None:
    import torch
    from transformers import LlavaForConditionalGeneration

    llava = LlavaForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tower, self.projector = llava.model.vision_tower, llava.model.multi_modal_projector

        def forward(self, pixel_values):
            return self.projector(self.tower(pixel_values).last_hidden_state)

    side = llava.config.vision_config.image_size
    with torch.no_grad():
        converted = openvino.convert_model(Encoder(), example_input=torch.zeros(1, 3, side, side),
                                           input=[1, 3, side, side])
    openvino.save_model(converted, out / "openvino_vision.xml")


def main() -> None:
    model, out = Path(sys.argv[1]), Path(sys.argv[2])
    kind = json.loads((model / "config.json").read_text())["model_type"]
    for precision in sys.argv[3:]:
        folder = out / precision
        if (folder / "whole").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "llava":
            write_siglip(model, folder)
        elif kind == "qwen2_5_vl":
            # optimum-intel cuts the whole into pieces of its own, of which none reads ids.
            with tempfile.TemporaryDirectory(dir=out) as decoder:
                write_decoder_folder(model, Path(decoder), "", without=("visual.",))
                write_decoder(Path(decoder), folder, precision)
        else:
            write_decoder(model, folder, precision)
        (folder / "whole").touch()


if __name__ == "__main__":
    main()
