"""The law of the floors (CONTRIBUTING.md): a folder includes folders below it only, never beside or above."""

import pathlib
import re
import unittest

import tree

# Folder under src/, and the floors it may include. Its own floor's number comes first: within a floor a folder sees
# itself and `base` only. The longest folder that is a prefix of a path counts.
FLOORS = {
    "main.cpp": (11, {10}),
    "cli": (10, {9}),
    "serve": (10, {9}),
    "tasks": (9, {3, 4, 5, 6, 7, 8}),
    "train": (8, {3, 4, 5, 6, 7}),
    "reason": (8, {3, 4, 5, 6, 7}),
    "generate": (7, {3, 4, 5}),
    "models": (6, {3, 4, 5}),
    "models/parts": (5, {3, 4}),
    "nn": (4, {3}),
    "ops": (3, {2}),
    "weights": (3, {2}),
    "text": (3, {2}),
    "media": (3, {2}),
    "cluster": (3, {2}),
    "kernels": (2, set()),
    "formats": (2, set()),
    "base": (1, set()),
}
# `generate` knows the models by this header alone; its tests drive a real one.
GENERATE_KNOWS = {"models/parts/interface.h"}
FREE_OF_TORCH = re.compile(
    r"(base|formats|kernels|text|media|train/emoji_world)/|models/(.*/)?([a-z0-9_]+_)?(config|processor)(_test)?\.\w+$")
TORCH_HEADER = re.compile(r"(ATen|torch|c10|caffe2)/")
TORCH_FLOORS = re.compile(r"(ops|weights|nn|cluster|generate|reason|tasks|serve|cli)/")
PRIVATE_HEADER = re.compile(r"(ATen|torch|c10|fmt|spdlog|nlohmann|toml\+\+|pugixml)(/|\.|$)")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def floor_of(path):
    """(folder, floor, floors that it may include) of a path under src/."""
    parts = pathlib.PurePosixPath(path).parts
    for length in range(len(parts), 0, -1):
        folder = "/".join(parts[:length])
        if folder in FLOORS:
            return (folder, *FLOORS[folder])
    return None


def family_of(path):
    """models/<family>/..., the folders that see themselves and models/parts only; the registry sees every family."""
    parts = pathlib.PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "models" else None


def breaches_of_quoted(path, target):
    where, there = floor_of(path), floor_of(target)
    if there is None:
        yield f"{target} is on no floor"
        return
    folder, floor, allowed = where
    other, other_floor, _ = there
    if other == "base":
        return
    if folder == other:
        families = family_of(path), family_of(target)
        if folder == "models" and families[0] and families[1] and families[0] != families[1]:
            yield f"family {families[0]} includes family {families[1]}"
        if folder == "models" and families[0] and not families[1]:
            yield f"family {families[0]} includes {target}, which stands above the families"
    elif other_floor not in allowed:
        yield f"floor {floor} ({folder}) includes {target} of floor {other_floor}"
    knows_too_much = folder == "generate" and other == "models/parts" and target not in GENERATE_KNOWS
    if knows_too_much and not path.endswith(("_test.cpp", "test_support.h")):
        yield f"generate includes {target}, and may know models/parts/interface.h only"


def is_public(path, text):
    """As cmake/install.cmake sees it."""
    return re.fullmatch(r"tasks/\w+\.h", path) and "// Not installed" not in text


def breaches(files):
    """`files`: path under src/ -> text. Yields one line a breach."""
    for path, text in files.items():
        if floor_of(path) is None:
            yield f"src/{path}: lies on no floor"
            continue
        free = FREE_OF_TORCH.match(path)
        public = is_public(path, text)
        for quoted, bracketed in INCLUDE.findall(text):
            name = quoted or bracketed
            if bracketed:
                if free and TORCH_HEADER.match(name):
                    yield f"src/{path}: is free of torch, includes <{name}>"
                if public and PRIVATE_HEADER.match(name):
                    yield f"src/{path}: is a public header, includes <{name}>"
                continue
            sibling = str(pathlib.PurePosixPath(path).parent / name)
            target = name if name in files or sibling not in files else sibling
            if target not in files:
                yield f'src/{path}: includes "{name}", which is not in src/'
                continue
            if public and name != "base/error.h" and (target == name or not is_public(target, files[target])):
                yield (f'src/{path}: is a public header, includes "{name}"; installed are base/error.h and the public'
                       " headers, which name each other without a folder")
            if free and (TORCH_FLOORS.match(target) or re.match("models/", target) and not FREE_OF_TORCH.match(target)):
                yield f"src/{path}: is free of torch, includes {target}"
            for breach in breaches_of_quoted(path, target):
                yield f"src/{path}: {breach}"


class Floors(unittest.TestCase):
    def test_no_file_breaks_the_law(self):
        files = {str(path.relative_to("src")): (tree.ROOT / path).read_text() for path in tree.cpp_files("src")}
        self.assertGreater(len(files), 20)
        found = list(breaches(files))
        self.assertFalse(found, "\n".join(found))

    def test_seeded_breaches_are_found(self):
        headers = dict.fromkeys(
            ["base/error.h", "formats/dtype.h", "kernels/cpu.h", "text/bpe.h", "media/image.h", "ops/ops.h",
             "nn/rope.h", "models/parts/interface.h", "models/parts/vision.h", "models/llama/model.h", "models/llava/model.h",
             "models/registry.h", "models/llava/config.h", "generate/engine.h", "train/loop.h", "reason/search.h",
             "tasks/ask.h", "tasks/picture.h", "cli/flags.h"], "")
        seeded = [
            ("base/file.cpp", '#include "formats/dtype.h"'),
            ("kernels/gemm.cpp", '#include "formats/dtype.h"'),
            ("text/jinja.cpp", '#include "media/image.h"'),
            ("text/jinja.cpp", "#  include <ATen/ATen.h>"),
            ("media/png.cpp", '#include "ops/ops.h"'),
            ("ops/linear.cpp", '#include "nn/rope.h"'),
            ("nn/layers.cpp", '#include "kernels/cpu.h"'),
            ("nn/layers.cpp", '#include "models/parts/interface.h"'),
            ("models/parts/vision.cpp", '#include "models/llama/model.h"'),
            ("models/llama/model.cpp", '#include "models/llava/model.h"'),
            ("models/llama/model.cpp", '#include "models/registry.h"'),
            ("models/llama/model.cpp", '#include "generate/engine.h"'),
            ("models/llava/config.h", "#include <torch/csrc/autograd/custom_function.h>"),
            ("models/llava/config.h", '#include "models/llama/model.h"'),
            ("models/llava/config.h", '#include "nn/rope.h"'),
            ("generate/engine.cpp", '#include "models/llama/model.h"'),
            ("generate/engine.cpp", '#include "models/parts/vision.h"'),
            ("train/loop.cpp", '#include "reason/search.h"'),
            ("train/loop.cpp", '#include "tasks/ask.h"'),
            ("train/loop.cpp", '#include "kernels/cpu.h"'),
            ("tasks/ask.h", "#include <nlohmann/json.hpp>"),
            ("tasks/ask.h", "#include <fmt/format.h>"),
            ("tasks/ask.h", '#include "media/image.h"'),
            ("tasks/ask.h", '#include "tasks/picture.h"'),
            ("tasks/ask.cpp", '#include "cli/flags.h"'),
            ("cli/ask.cpp", '#include "models/registry.h"'),
            ("main.cpp", '#include "tasks/ask.h"'),
            ("elsewhere/new.cpp", ""),
            ("ops/ops.cpp", '#include "ops/gone.h"'),
        ]
        for path, line in seeded:
            with self.subTest(path=path, line=line):
                self.assertEqual(len(list(breaches(headers | {path: f"// a comment\n{line}\n"}))), 1 + (
                    # a torch-free file that includes a torch family breaks two laws at once
                    path in {"models/llava/config.h", "media/png.cpp"} and '"' in line and "nn/" not in line))

    def test_lawful_includes_pass(self):
        files = {
            "base/error.h": "", "kernels/cpu.h": "", "media/image.h": '#include "base/error.h"',
            "nn/rope.h": "#include <ATen/ATen.h>", "models/parts/interface.h": '#include "nn/rope.h"',
            "models/llama/model.h": '#include "models/parts/interface.h"',
            "models/registry.cpp": '#include "models/llama/model.h"',
            "generate/engine.h": '#include "models/parts/interface.h"',
            "tasks/ask.h": '#include <string>\n#include "base/error.h"\n#include "picture.h"', "tasks/picture.h": "",
            "tasks/ask.cpp": '#include "generate/engine.h"\n#include "media/image.h"\n#include <fmt/format.h>',
            "cli/ask.cpp": '#include "tasks/ask.h"', "main.cpp": '#include "cli/ask.h"', "cli/ask.h": "",
            "ops/linear.cpp": '#include "kernels/cpu.h"',
        }
        self.assertEqual(list(breaches(files)), [])


if __name__ == "__main__":
    unittest.main()
