#!/usr/bin/env python3
"""Held-out questions about the emoji world, for `nuri compare`: `python3 bench/emoji_text.py FOLDER [--scenes 100]` has
`nuri eval` draw scenes into FOLDER and ask about them, and writes questions.jsonl beside them, and english.txt and
korean.txt, the same conversations as the bundled model reads them, without the pictures."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHAT = "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{expected}<|im_end|>\n"
LANGUAGES = {"en": "english", "ko": "korean"}


def write(folder: Path, nuri: Path, scenes: int, model: str = "emoji-world") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.toml"
    text = (ROOT / "recipes/emoji_world/recipe.toml").read_text()
    head, _, evaluation = text.partition("[evaluation]")
    evaluation = re.sub(r"(?m)^scenes = \d+", f"scenes = {scenes}", evaluation)
    evaluation = re.sub(r"(?m)^films = .*\n", "", evaluation)
    recipe.write_text(head + "[evaluation]" + evaluation)
    done = subprocess.run([str(nuri), "eval", str(recipe), "--model", model, "--save", str(folder), "--json"],
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"nuri eval {recipe}: exit code {done.returncode}")
    asked = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    lines = [{**{key: one[key] for key in ("picture", "task", "question", "expected")},
              "language": LANGUAGES[one["language"]]} for one in asked]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    for language in LANGUAGES.values():
        text = "".join(CHAT.format(**line) for line in lines if line["language"] == language)
        (folder / f"{language}.txt").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--nuri", type=Path, default=ROOT / "build/release/nuri")
    options = parser.parse_args()
    if options.scenes < 1:
        parser.error("--scenes: expected 1 or more")
    write(options.folder, options.nuri, options.scenes)


if __name__ == "__main__":
    main()
