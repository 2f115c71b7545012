"""Goldens of chat templates: what transformers renders, for src/text/chat_template_test.cpp.

    python tests/parity/chat_templates.py                  writes the goldens (a sample)
    python tests/parity/chat_templates.py --full OUT.jsonl [--random N] [--seed S]
        writes a full run; compare it with
        NURI_CHAT_TEMPLATE_CASES=OUT.jsonl build/release/nuri_plain_tests --gtest_filter='*FullRun'

Each line is {"template", "source" or "file"}, {"conversation", "variables"} or {"use": [template, conversation], "text"},
where the text is null when the reference fails. Needs transformers 5.
"""

import argparse
import datetime
import json
import random
import re
import warnings
from pathlib import Path

from chat_template_cases import CONVERSATIONS, FEATURES
from chat_template_random import RandomTemplates, random_conversation

warnings.filterwarnings("ignore")
import transformers.utils.chat_template_utils as reference  # noqa: E402
from transformers.processing_utils import ProcessorMixin  # noqa: E402

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "chat_templates"


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 14, 30, 5)


reference.datetime = FixedTime


def render(source, variables):
    """The reference's text, or None where it fails."""
    variables = json.loads(json.dumps(variables))
    try:
        messages = variables.pop("messages")
        conversations, _ = ProcessorMixin._normalize_conversations(None, messages)
        texts, _ = reference.render_jinja_template(conversations=conversations, chat_template=source, **variables)
        texts[0].encode("utf-8")
        return texts[0]
    except Exception:  # templates fail with anything; endless recursion is a failure on both sides too
        return None


def comparable(text):
    """Leaves out texts with addresses of objects, and integers beyond 64 bits, which are refused."""
    return text is None or not (re.search(r" at 0x|<generator|<function|_iterator object|\d{19}", text) or len(text) > 20000)


class Writer:
    def __init__(self, path, text_limit=None):
        self.path, self.lines, self.known, self.count, self.failures = path, [], set(), 0, 0
        self.text_limit = text_limit

    def use(self, name, source, conversation, variables, file=None):
        text = render(source, variables)
        if not comparable(text) or (self.text_limit and len((text or "") + (source if not file else "")) > self.text_limit):
            return
        for key, line in (
            (("t", name), {"template": name, "file": file} if file else {"template": name, "source": source}),
            (("c", conversation), {"conversation": conversation, "variables": variables}),
        ):
            if key not in self.known:
                self.known.add(key)
                self.lines.append(line)
        self.lines.append({"use": [name, conversation], "text": text})
        self.count += 1
        self.failures += text is None

    def close(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "w", encoding="utf-8") as file:
            for line in self.lines:
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        print(f"{self.path}: {self.count} texts ({self.failures} failures), {self.path.stat().st_size} bytes")


def published():
    for path in sorted((HERE / "chat_templates").glob("*.jinja")):
        yield path.stem, path.read_text(encoding="utf-8")


def write_published(writer, conversations, keep=1.0):
    chance = random.Random(7)
    for name, source in published():
        for conversation, variables in conversations.items():
            if chance.random() < keep:
                writer.use(name, source, conversation, variables, f"tests/parity/chat_templates/{name}.jinja")


def write_features(writer, conversations=("plain",)):
    for i, source in enumerate(FEATURES):
        for conversation in conversations:
            writer.use(f"feature {i}", source, conversation, CONVERSATIONS[conversation])


def write_random(writer, count, seed):
    for i in range(count):
        templates = RandomTemplates(random.Random(f"{seed} {i}"))
        writer.use(f"random {seed} {i}", templates.template(), "data", CONVERSATIONS["data"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=Path)
    parser.add_argument("--random", type=int, default=20000)
    parser.add_argument("--conversations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.full:
        writer = Writer(args.full)
        chance = random.Random(args.seed)
        more = {f"random {i}": random_conversation(chance) for i in range(args.conversations)}
        write_published(writer, CONVERSATIONS | more)
        write_features(writer, CONVERSATIONS)
        write_random(writer, args.random, args.seed)
        writer.close()
        return
    for name, limit, fill in (
        ("published", 1500, lambda writer: write_published(writer, CONVERSATIONS, keep=0.2)),
        ("features", 3000, write_features),
        ("random", 500, lambda writer: write_random(writer, 350, 0)),
    ):
        writer = Writer(GOLDEN / f"{name}.jsonl", text_limit=limit)
        fill(writer)
        writer.close()


if __name__ == "__main__":
    main()
