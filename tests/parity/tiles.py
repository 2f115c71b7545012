"""What the image processor of Llama 4 makes of pictures, for src/models/llama4.

    python tests/parity/tiles.py     writes tests/parity/golden/pictures/tiles.json

Needs torch and transformers. The processor stands on torchvision, of which it uses four functions; they are given here
by what they are in torchvision (on a processor with AVX-512), so that its wheel is not needed.
"""

import importlib.machinery
import json
import pathlib
import sys
import types
import zlib

import numpy as np
import torch

GOLDEN = pathlib.Path(__file__).parent / "golden" / "pictures" / "tiles.json"


def resize(image, size, interpolation=None, antialias=True):
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    wide = torch.nn.functional.interpolate(image.float(), size=list(size), mode="bilinear", align_corners=False,
                                           antialias=antialias)
    return wide.round_().to(image.dtype)


def pad(image, padding, fill=0, padding_mode="constant"):
    left, top, right, bottom = padding
    assert not any(fill if isinstance(fill, (list, tuple)) else [fill])
    return torch.nn.functional.pad(image, [left, right, top, bottom])


def normalize(image, mean, std, inplace=False):
    shape = lambda values: torch.as_tensor(values, dtype=image.dtype).view(-1, 1, 1)
    return image.sub(shape(mean)).div_(shape(std))


def stand_in():
    names = ["torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.transforms.v2",
             "torchvision.transforms.v2.functional", "torchvision.io"]
    for name in names:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__version__ = "0.28.0"
        module.__path__ = []
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    modes = types.SimpleNamespace(**{name: name for name in
                                     ["NEAREST", "NEAREST_EXACT", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS"]})
    sys.modules["torchvision.transforms"].InterpolationMode = modes
    sys.modules["torchvision.transforms.functional"].pil_to_tensor = None
    functional = sys.modules["torchvision.transforms.v2.functional"]
    functional.resize, functional.pad, functional.normalize = resize, pad, normalize
    functional.InterpolationMode = modes
    functional.grayscale_to_rgb = lambda image: image.expand(3, -1, -1) if image.shape[0] == 1 else image


def picture(width, height):
    """A pattern that the test draws too."""
    i = np.arange(width * height * 3, dtype=np.int64)
    return ((i * 37 + i // 91 + (i // 3 // width) * 5) % 256).astype(np.uint8).reshape(height, width, 3)


CONFIGS = [
    dict(size=dict(height=16, width=16)),
    dict(size=dict(height=12, width=12), max_patches=4, resize_to_max_canvas=True),
    dict(size=dict(height=20, width=20), max_patches=7, image_mean=[0.48, 0.45, 0.4], image_std=[0.27, 0.26, 0.28]),
    dict(size=dict(height=14, width=14), max_patches=1, do_normalize=False),
]
# None becomes one pixel wide: of such a column torch's resize makes something else than of two equal ones.
SIZES = [(16, 16), (1, 1), (5, 3), (17, 40), (33, 16), (64, 64), (100, 37), (300, 2), (90, 90), (48, 47)]


def main():
    stand_in()
    from PIL import Image
    from transformers.models.llama4.image_processing_llama4 import Llama4ImageProcessor

    cases = []
    for config in CONFIGS:
        processor = Llama4ImageProcessor(**config)
        for size in SIZES:
            made = processor(images=[Image.fromarray(picture(*size))], return_tensors="pt")
            values = made["pixel_values"].float().contiguous().numpy()
            cases.append(dict(config=config, size=size, shape=values.shape, ratio=made["aspect_ratios"][0].tolist(),
                              crc=zlib.crc32(values.tobytes()), sum=float(values.astype(np.float64).sum())))
    wide = []
    processor = Llama4ImageProcessor()
    from transformers.models.llama4 import image_processing_llama4 as module
    possible = torch.tensor(module.find_supported_resolutions(16, processor.size))
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        height, width = (torch.randint(1, int(torch.randint(2, 4000, (), generator=generator)), (2,),
                                       generator=generator) + 0).tolist()
        best = module.get_best_fit((height, width), possible)
        bound = [min(max(length, 336), canvas) for length, canvas in zip((height, width), best)]
        new = module.get_max_res_without_distortion((height, width), tuple(bound))
        wide.append([width, height, int(best[0]) // 336, int(best[1]) // 336, max(int(new[0]), 1), max(int(new[1]), 1)])
    GOLDEN.write_text(json.dumps(dict(cases=cases, grids=wide)) + "\n")
    print(len(cases), GOLDEN.stat().st_size)


if __name__ == "__main__":
    main()
