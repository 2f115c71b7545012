"""What the processors of Qwen2-VL and Qwen2.5-VL in transformers make of pictures, videos and texts.

    python tests/parity/qwen2_vl.py        writes tests/parity/golden/qwen2_vl/

Needs Pillow, numpy, torch, tokenizers and transformers. Pictures are made by a formula (`scene`), so that only what comes
out is kept: the grids, the CRC-32 of the values, for videos that of the pixels behind them and some values. The processor
of videos wants torchvision; where there is none, the four functions that it calls are made here from torch's own.
"""

import importlib.util
import json
import pathlib
import shutil
import sys
import types
import zlib

import numpy as np
import torch
from PIL import Image

GOLDEN = pathlib.Path(__file__).parent / "golden" / "qwen2_vl"


def stand_in_for_torchvision():
    """torchvision.transforms.v2.functional, as far as the processor of videos needs it (torchvision 0.28)."""
    import enum

    class InterpolationMode(enum.Enum):
        NEAREST, NEAREST_EXACT, BILINEAR, BICUBIC = "nearest", "nearest-exact", "bilinear", "bicubic"
        BOX, HAMMING, LANCZOS = "box", "hamming", "lanczos"

    def resize(image, size, interpolation=InterpolationMode.BILINEAR, antialias=True):
        flat = image.reshape(-1, *image.shape[-3:])
        if list(size) != list(flat.shape[-2:]):
            flat = torch.nn.functional.interpolate(flat, list(size), mode=interpolation.value, antialias=antialias)
        return flat.reshape(*image.shape[:-3], *flat.shape[-3:])

    def normalize(image, mean, std, inplace=False):
        mean, std = (torch.as_tensor(x, dtype=image.dtype).view(-1, 1, 1) for x in (mean, std))
        return (image - mean) / std

    names = ["torchvision", "torchvision.io", "torchvision.transforms", "torchvision.transforms.functional",
             "torchvision.transforms.v2", "torchvision.transforms.v2.functional"]
    for name in names:
        module = types.ModuleType(name)
        module.__path__, module.__version__ = [], "0.28.0"
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        module.InterpolationMode, module.pil_to_tensor = InterpolationMode, None
        module.resize, module.normalize, module.grayscale_to_rgb = resize, normalize, lambda image: image
        sys.modules[name] = module
        if "." in name:
            setattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2], module)


if importlib.util.find_spec("torchvision") is None:
    stand_in_for_torchvision()

import tokenizers  # noqa: E402
import transformers as t  # noqa: E402
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil  # noqa: E402
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor  # noqa: E402
from transformers.video_utils import VideoMetadata  # noqa: E402


def scene(width, height, seed):
    k = np.arange(width * height * 3, dtype=np.int64)
    return ((k * 37 + k // 91 + (k // 1000) * seed) % 256).astype(np.uint8).reshape(height, width, 3)


def crc(values):
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


CONFIGS = {
    "default": {},
    "bounded": {"size": {"shortest_edge": 12 * 12 * 4, "longest_edge": 12 * 12 * 40}, "patch_size": 6},
    "older": {"min_pixels": 16 * 9, "max_pixels": 16 * 100, "patch_size": 4, "merge_size": 1, "temporal_patch_size": 1},
    "plain": {"do_resize": False, "do_normalize": False, "patch_size": 5, "merge_size": 3},
    "grey_mean": {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.4, 0.3], "resample": 2, "patch_size": 7},
}
SIZES = [[1, 1], [3, 200], [199, 1], [28, 28], [57, 91], [301, 17], [64, 640], [640, 481]]


def picture_cases():
    for name, config in CONFIGS.items():
        groups = [[[15, 30], [45, 15]]] if name == "plain" else [[size] for size in SIZES] + [SIZES]
        for sizes in groups:
            made = Qwen2VLImageProcessorPil(**config)([Image.fromarray(scene(w, h, 1 + i)) for i, (w, h) in enumerate(sizes)])
            values = np.asarray(made["pixel_values"], dtype=np.float32)
            yield {"config": config, "sizes": sizes, "shape": list(values.shape), "crc": crc(values),
                   "grid": np.asarray(made["image_grid_thw"]).flatten().tolist()}


def video_cases():
    videos = [[[40, 60, 4]], [[91, 57, 3], [56, 84, 1]], [[301, 17, 2]], [[60, 40, 5]], [[33, 290, 2]]]
    configs = [CONFIGS["bounded"], CONFIGS["older"], CONFIGS["grey_mean"] | {"size": {"shortest_edge": 784, "longest_edge": 4000}},
               CONFIGS["bounded"] | {"cap_pixels_per_frame": True, "max_video_tokens": 30}]
    for config in configs:
        processor = Qwen2VLVideoProcessor(**config)
        for sizes in videos:
            frames = [np.stack([scene(w, h, 1 + i + k) for k in range(n)]) for i, (w, h, n) in enumerate(sizes)]
            made = processor(frames, return_tensors="pt", do_sample_frames=False, input_data_format="channels_last")
            values = made["pixel_values_videos"].float()
            mean, std = (torch.tensor(x).view(1, 3, 1) for x in (processor.image_mean, processor.image_std))
            bytes_ = ((values.view(len(values), 3, -1) * std + mean) * 255).round().to(torch.uint8)
            yield {"config": config, "sizes": sizes, "shape": list(values.shape), "crc_of_bytes": crc(bytes_.numpy()),
                   "grid": made["video_grid_thw"].flatten().tolist(), "some": values.flatten()[:: values.numel() // 23].tolist()}


SPECIAL = ["<unk>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
WORDS = "what is on the left of it and why ?".split()


def tokenizer():
    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(SPECIAL)
    return t.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def text_cases(folder):
    """The processor of Qwen2.5-VL on texts with media between them."""
    images, videos = Qwen2VLImageProcessorPil(**CONFIGS["bounded"]), Qwen2VLVideoProcessor(**CONFIGS["bounded"])
    processor = t.Qwen2_5_VLProcessor.__new__(t.Qwen2_5_VLProcessor)
    try:
        processor.__init__(images, tokenizer(), videos)
    except TypeError as error:  # it asks for the class of torchvision's processor of pictures
        raise SystemExit(f"cannot make the processor: {error}")
    processor.save_pretrained(folder)
    text = dict(model_type="qwen2_5_vl_text", vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                num_attention_heads=2, num_key_value_heads=2,
                rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[1, 2, 1]))
    vision = dict(model_type="qwen2_5_vl_vision", depth=1, num_heads=2, hidden_size=16, intermediate_size=24,
                  out_hidden_size=16, patch_size=6, window_size=24, fullatt_block_indexes=[0])
    config = dict(architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl", text_config=text,
                  vision_config=vision, image_token_id=1, video_token_id=2, vision_start_token_id=3, vision_end_token_id=4)
    (folder / "config.json").write_text(json.dumps(config))
    picture, video = ("<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>")
    for parts, sizes, films in [(["what is it ?"], [], []), (["what", picture, "is on the left ?"], [[57, 91]], []),
                                ([picture, "and", picture, "why ?"], [[28, 28], [301, 17]], []),
                                ([video, "what is it", picture], [[64, 64]], [[40, 60, 4, 2.0]]),
                                ([video, video, "?"], [], [[40, 60, 5, 0.5], [60, 40, 2, 24.0]])]:
        frames = [np.stack([scene(w, h, 1 + i + k) for k in range(n)]) for i, (w, h, n, _) in enumerate(films)]
        about = [VideoMetadata(total_num_frames=n, fps=fps, frames_indices=list(range(n))) for *_, n, fps in films]
        media = {"images": [Image.fromarray(scene(w, h, 1 + i)) for i, (w, h) in enumerate(sizes)]} if sizes else {}
        if films:
            media |= {"videos": frames, "videos_kwargs": {"video_metadata": about, "do_sample_frames": False}}
        out = processor(text=" ".join(parts), **media)
        case = {"text": " ".join(parts), "sizes": sizes, "films": films, "ids": [int(i) for i in out["input_ids"][0]],
                "types": [int(i) for i in out["mm_token_type_ids"][0]]}
        for name in ("image_grid_thw", "video_grid_thw", "second_per_grid_ts"):
            if name in out:
                case[name] = np.asarray(out[name]).flatten().tolist()
        yield case


def main():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    cases = {"pictures": list(picture_cases()), "videos": list(video_cases()), "texts": list(text_cases(GOLDEN))}
    (GOLDEN / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(sum(f.stat().st_size for f in GOLDEN.iterdir()) // 1024, "KiB")


if __name__ == "__main__":
    main()
