"""What Pillow and the image processors of transformers make of pictures, for src/media and models/parts.

    python tests/parity/pictures.py                        writes the compact goldens that the unit tests read
    python tests/parity/pictures.py --full DIR --seeds 20  writes many cases into DIR and runs the same tests on them

Needs Pillow, numpy and transformers. A golden is a small file and the CRC-32 of the bytes that must come out.
"""

import argparse
import io
import json
import os
import pathlib
import random
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageOps
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/parity/golden/pictures"
PROCESSORS = {
    "CLIPImageProcessor": CLIPImageProcessorPil,
    "SiglipImageProcessor": SiglipImageProcessorPil,
    "LlavaImageProcessor": LlavaImageProcessorPil,
    "ViTImageProcessor": ViTImageProcessorPil,
    "BitImageProcessor": BitImageProcessorPil,
    "BlipImageProcessor": BlipImageProcessorPil,
}


def scene(rng, width, height, channels):
    """Smooth gradients, hard edges and noise: [height, width, channels] of 16 bits."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        plane = np.sin(x / rng.uniform(2, 20) + rng.uniform(0, 6)) + np.cos(y / rng.uniform(2, 20))
        x0, y0 = rng.randrange(width), rng.randrange(height)
        plane[y0 : y0 + height // 2 + 1, x0 : x0 + width // 2 + 1] = rng.uniform(-2, 2)
        planes.append(plane)
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.choice([0, 0.1, 0.6]), (height, width, channels))
    values = (np.stack(planes, -1) + noise + 2) / 4 * 65535
    return np.clip(values, 0, 65535).astype(np.uint16)


def exif_bytes(orientation, big_endian=False):
    mark = ">" if big_endian else "<"
    head = b"MM\0*" if big_endian else b"II*\0"
    entry = struct.pack(mark + "HHI", 0x0112, 3, 1) + struct.pack(mark + "HH", orientation, 0)
    other = struct.pack(mark + "HHII", 0x0100, 4, 1, 7)
    return head + struct.pack(mark + "IH", 8, 2) + other + entry + struct.pack(mark + "I", 0)


def xmp_bytes(orientation, attribute):
    text = f'tiff:Orientation="{orientation}"' if attribute else f"<tiff:Orientation>{orientation}</tiff:Orientation>"
    return f"<x:xmpmeta><rdf:Description {text}/></x:xmpmeta>".encode()


# ---- PNG: Pillow writes few of its kinds, so here is a writer of all of them

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_row(row, depth):
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = "".join(format(int(value), f"0{depth}b") for value in row.ravel())
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def filter_rows(rows, pixel_bytes, rng):
    out, above = b"", None
    for row in rows:
        current = np.frombuffer(row, np.uint8).astype(int)
        before = np.concatenate([np.zeros(pixel_bytes, int), current])[: len(current)]
        up = np.zeros(len(current), int) if above is None else above
        diagonal = np.concatenate([np.zeros(pixel_bytes, int), up])[: len(current)]
        kind = rng.randrange(5)
        if kind == 4:
            estimate = before + up - diagonal
            distance = np.abs(np.stack([estimate - before, estimate - up, estimate - diagonal]))
            guess = np.choose(distance.argmin(0), [before, up, diagonal])
        else:
            guess = [0 * up, before, up, (before + up) // 2][kind]
        out += bytes([kind]) + ((current - guess) % 256).astype(np.uint8).tobytes()
        above = current
    return out


def write_png(samples, depth, color_type, rng, interlaced=False, before=(), after=()):
    """samples: [height, width, channels], of `depth` bits each."""
    height, width, channels = samples.shape
    pixel_bytes = max(1, channels * depth // 8)
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b""
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size:
            data += filter_rows([pack_row(row, depth) for row in part], pixel_bytes, rng)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    packed = zlib.compress(data)
    half = len(packed) // 2
    body = b"".join(png_chunk(*chunk) for chunk in before)
    body += png_chunk(b"IDAT", packed[:half]) + png_chunk(b"IDAT", packed[half:])
    body += b"".join(png_chunk(*chunk) for chunk in after)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body + png_chunk(b"IEND", b"")


def png_of(rng, width, height, depth, color_type, interlaced, transparent, extra_before=(), extra_after=()):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    samples = scene(rng, width, height, channels) >> (16 - depth)
    before = list(extra_before)
    if color_type == 3:
        count = min(1 << depth, int(samples.max()) + 1)
        before.append((b"PLTE", bytes(rng.randrange(256) for _ in range(3 * count))))
        if transparent:
            before.append((b"tRNS", bytes(rng.randrange(256) for _ in range(rng.randint(1, count)))))
    elif transparent:
        pixel = samples[rng.randrange(height), rng.randrange(width)]
        before.append((b"tRNS", b"".join(struct.pack(">H", int(value)) for value in pixel)))
    return write_png(samples, depth, color_type, rng, interlaced, before, extra_after)


def png_files(rng, size):
    kinds = [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, 3) for d in (1, 2, 4, 8)]
    kinds += [(d, c) for c in (2, 4, 6) for d in (8, 16)]
    names = {0: "grey", 2: "rgb", 3: "palette", 4: "greyalpha", 6: "rgba"}
    for depth, color_type in kinds:
        for interlaced in (False, True):
            # Pillow compares scaled grey with the unscaled transparent grey, so that 2 and 4 bits go wrong.
            right = color_type in (2, 3) or (color_type == 0 and depth in (1, 8))
            transparent = right and depth < 16 and rng.random() < 0.5
            name = f"{names[color_type]}{depth}{'_adam7' if interlaced else ''}{'_trns' if transparent else ''}.png"
            yield name, png_of(rng, *size(), depth, color_type, interlaced, transparent)
    short_palette = [(b"PLTE", bytes(rng.randrange(256) for _ in range(30)))]
    yield "palette_short.png", write_png(scene(rng, *size(), 1) >> 8, 8, 3, rng, False, short_palette)
    turn = lambda: rng.randint(2, 8)
    plain = lambda **chunks: png_of(rng, *size(), 8, 2, False, False, **chunks)
    yield "exif.png", plain(extra_before=[(b"eXIf", exif_bytes(turn()))])
    yield "exif_behind.png", plain(extra_after=[(b"eXIf", exif_bytes(turn(), True))])
    yield "xmp.png", plain(extra_before=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_bytes(turn(), True))])
    packed = zlib.compress(xmp_bytes(turn(), False))
    yield "xmp_packed.png", plain(extra_after=[(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed)])
    raw = b"Exif\0\0" + exif_bytes(turn())
    profile = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    yield "raw_profile.png", plain(extra_before=[(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))])


# ---- JPEG and WebP, by Pillow


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(rng, width, height, mode):
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    samples = (scene(rng, width, height, channels) >> 8).astype(np.uint8)
    return Image.frombuffer(mode, (width, height), samples.tobytes(), "raw", mode, 0, 1)


def jpeg_files(rng, size):
    for sampling, name in ((0, "444"), (1, "422"), (2, "420")):
        for progressive in (False, True):
            options = dict(quality=rng.choice([30, 75, 95, 100]), subsampling=sampling, progressive=progressive)
            yield f"rgb{name}{'_progressive' if progressive else ''}.jpg", saved(picture(rng, *size(), "RGB"), "JPEG", **options)
    yield "grey.jpg", saved(picture(rng, *size(), "L"), "JPEG", quality=rng.choice([20, 90]))
    yield "grey_progressive.jpg", saved(picture(rng, *size(), "L"), "JPEG", progressive=True)
    cmyk = saved(picture(rng, *size(), "CMYK"), "JPEG", quality=90)
    yield "cmyk.jpg", cmyk
    at = cmyk.index(b"Adobe") + 11
    assert cmyk[at] == 0
    yield "ycck.jpg", cmyk[:at] + b"\2" + cmyk[at + 1 :]
    yield "rgb_stored.jpg", saved(picture(rng, *size(), "RGB"), "JPEG", keep_rgb=True)
    yield "restarts.jpg", saved(picture(rng, *size(), "RGB"), "JPEG", restart_marker_blocks=2)
    for orientation in range(1, 9):
        exif = b"Exif\0\0" + exif_bytes(orientation, rng.random() < 0.5)
        yield f"exif{orientation}.jpg", saved(picture(rng, *size(), "RGB"), "JPEG", exif=exif)
    yield "xmp.jpg", saved(picture(rng, *size(), "RGB"), "JPEG", xmp=xmp_bytes(rng.randint(2, 8), rng.random() < 0.5))


def webp_files(rng, size):
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            name = f"{mode.lower()}{'_lossless' if lossless else ''}.webp"
            options = dict(lossless=lossless, quality=rng.choice([10, 60, 95]), method=4, exact=rng.random() < 0.5)
            yield name, saved(picture(rng, *size(), mode), "WEBP", **options)
    width, height = size()
    frames = [picture(rng, width, height, "RGBA") for _ in range(3)]
    yield "animation.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50)
    exif = b"Exif\0\0" + exif_bytes(rng.randint(2, 8))
    yield "exif.webp", saved(picture(rng, *size(), "RGB"), "WEBP", exif=exif)
    yield "xmp.webp", saved(picture(rng, *size(), "RGB"), "WEBP", xmp=xmp_bytes(rng.randint(2, 8), True))


# ---- what the reference makes of them


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def upright(path):
    return ImageOps.exif_transpose(Image.open(path))


def reference_rgb(path):
    image = upright(path)
    if image.mode == "I;16":  # Pillow clips to 255 here; like its 16 bit colours, the high byte is meant
        return Image.fromarray((np.array(image) >> 8).astype(np.uint8)).convert("RGB")
    rgb = image.convert("RGB")
    rgb.info.pop("transparency", None)  # a transparent colour outlives the conversion, unlike alpha and palettes
    return rgb


def has_alpha(image):
    return "A" in image.getbands() or image.info.get("transparency") is not None


def decode_case(path):
    rgb = reference_rgb(path)
    case = {"width": rgb.width, "height": rgb.height, "rgb": crc(np.array(rgb))}
    image = upright(path)
    if has_alpha(image):
        case["rgba"] = crc(np.array(image.convert("RGBA")))
    return case


def resize_case(rng, folder, file, side):
    image = upright(folder / file)
    channels = 4 if has_alpha(image) else rng.choice([1, 3])
    image = image.convert("RGBA") if channels == 4 else reference_rgb(folder / file)
    image = image.getchannel(0) if channels == 1 else image
    width, height = side(), side()
    if rng.random() < 0.2:
        width = image.width
    if rng.random() < 0.2:
        height = image.height
    number = rng.choice([0, 1, 1, 2, 2, 3, 3, 3, 4, 5])
    resized = image.resize((width, height), number)
    return {"file": file, "channels": channels, "width": width, "height": height, "filter": number, "crc": crc(resized)}


def random_config(rng, side):
    config = {"image_processor_type": rng.choice(list(PROCESSORS))}
    kind = config["image_processor_type"]

    def maybe(key, value, chance=0.5):
        if rng.random() < chance:
            config[key] = value

    pair = {"height": side(), "width": side()}
    edge = side()
    sizes = [edge, pair, {"shortest_edge": edge}, {"shortest_edge": edge, "longest_edge": edge + side()}, [side(), side()]]
    config["size"] = rng.choice(sizes + [{"max_height": side(), "max_width": side()}])
    config["crop_size"] = rng.choice([side(), {"height": side(), "width": side()}])
    maybe("do_center_crop", rng.random() < 0.5)
    maybe("resample", rng.randrange(6))
    maybe("do_resize", rng.random() < 0.7, 0.2)
    maybe("do_rescale", rng.random() < 0.5, 0.3)
    maybe("rescale_factor", rng.choice([1 / 255, 1 / 127.5, 0.25]), 0.3)
    maybe("do_normalize", rng.random() < 0.5, 0.3)
    maybe("image_mean", [round(rng.random(), 6) for _ in range(3)], 0.4)
    maybe("image_std", [round(rng.uniform(0.1, 1), 6) for _ in range(3)], 0.4)
    maybe("default_to_square", rng.random() < 0.5, 0.2)
    maybe("do_pad", True, 0.6 if kind == "LlavaImageProcessor" else 0.15)
    return config


def processor_case(rng, folder, files, config):
    processor = PROCESSORS[config["image_processor_type"]](**config)
    alpha = bool(processor.do_convert_rgb) and rng.random() < 0.5
    chosen = rng.sample(files, rng.choice([1, 1, 2, 3]))

    def process(names):
        images = [upright(folder / name) if alpha else reference_rgb(folder / name) for name in names]
        arrays = [np.asarray(a) for a in processor(images)["pixel_values"]]
        if len({a.shape for a in arrays}) > 1:
            return None
        return np.stack(arrays).astype(np.float32)

    values = process(chosen)
    if values is None:
        chosen = chosen[:1]
        values = process(chosen)
    case = {"config": config, "files": chosen, "alpha": alpha, "shape": list(values.shape), "crc": crc(values)}
    return case, values


def published_configs():
    """As they stand in published checkpoints."""
    yield {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336}, "crop_size": 336, "resample": 3}
    yield {"feature_extractor_type": "CLIPFeatureExtractor", "image_processor_type": "CLIPImageProcessor", "size": 224,
           "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3}  # fmt: skip
    yield {"image_processor_type": "SiglipImageProcessor", "size": {"height": 384, "width": 384}, "resample": 3,
           "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098}  # fmt: skip
    yield {"image_processor_type": "LlavaImageProcessor", "do_pad": True, "size": {"shortest_edge": 336},
           "crop_size": {"height": 336, "width": 336}}  # fmt: skip
    yield {"image_processor_type": "ViTImageProcessor", "size": 224}
    yield {"image_processor_type": "BlipImageProcessor", "size": {"height": 224, "width": 224}}
    yield {"image_processor_type": "BlipImageProcessor"}


def write_folder(folder, seeds, size_range, out_range, resizes, processors, keep_values):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    cases = {"decode": {}, "resize": [], "processors": []}
    for seed in seeds:
        rng = random.Random(seed)
        prefix = f"{seed}_" if len(seeds) > 1 else ""
        size = lambda: (rng.randint(*size_range), rng.randint(*size_range))
        if rng.random() < 0.15 and len(seeds) > 1:  # extreme ratios
            size = lambda: rng.choice([(1, rng.randint(1, 3000)), (rng.randint(1, 3000), rng.randint(1, 2)), (7, 1500)])
        side = lambda: rng.randint(*out_range)
        files = []
        for file, data in [*png_files(rng, size), *jpeg_files(rng, size), *webp_files(rng, size)]:
            (folder / (prefix + file)).write_bytes(data)
            cases["decode"][prefix + file] = decode_case(folder / (prefix + file))
            if not file.startswith("grey16"):
                files.append(prefix + file)
        for _ in range(resizes):
            cases["resize"].append(resize_case(rng, folder, rng.choice(files), side))
        configs = [random_config(rng, side) for _ in range(processors)] + list(published_configs())
        for config in configs:
            try:
                case, values = processor_case(rng, folder, files, config)
            except (ValueError, MemoryError, OverflowError) as error:
                print("skipped:", config, error)
                continue
            if values.nbytes > 200e6:
                continue
            if keep_values:
                case["values"] = f"{len(cases['processors'])}.f32"
                (folder / case["values"]).write_bytes(values.tobytes())
            cases["processors"].append(case)
    (folder / "cases.json").write_text(json.dumps(cases, separators=(",", ":")).replace('},"', '},\n"').replace("},{", "},\n{"))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=pathlib.Path, metavar="DIR", help="write many cases there and run the tests on them")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--tests", type=pathlib.Path, default=ROOT / "build/release/nuri_plain_tests")
    arguments = parser.parse_args()
    if arguments.full is None:
        cases = write_folder(GOLDEN, [1], (9, 41), (1, 60), 80, 30, keep_values=False)
        size = sum(file.stat().st_size for file in GOLDEN.iterdir())
        print({key: len(value) for key, value in cases.items()}, f"{size / 1024:.0f} KiB")
        return
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    cases = write_folder(arguments.full, seeds, (1, 230), (1, 260), 40, 20, keep_values=True)
    print({key: len(value) for key, value in cases.items()})
    filters = "PictureParity.*:ImageProcessor.EqualsTheReference"
    environment = dict(os.environ, NURI_PICTURES=str(arguments.full))
    subprocess.run([arguments.tests, f"--gtest_filter={filters}"], check=True, env=environment)


if __name__ == "__main__":
    main()
