#!/usr/bin/env python3
"""Writes src/text/unicode_exceptions.cpp: where the Unicode tables inside the `tokenizers` library differ from
Unicode 14 (the tables of this Python, 3.11), found by asking the library about every assigned code point.

usage: unicode_exceptions.py > src/text/unicode_exceptions.cpp
"""
import sys
import unicodedata

from tokenizers import normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", "run with Python 3.11, whose tables are those of Unicode 14"
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
CATEGORY = {c: unicodedata.category(chr(c)) for c in CODES}


def ranges(codes):
    out = []
    for code in sorted(codes):
        if out and code == out[-1][1] + 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def split_at(pre_tokenizer):
    return {c for c in CODES if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) != 1}


def removed_by(normalizer):
    return {c for c in CODES if normalizer.normalize_str("a" + chr(c) + "a") == "aa"}


def of(*categories):
    return {c for c in CODES if CATEGORY[c].startswith(categories)}


def main():
    tables = {}

    def compare(name, reference, ours):
        tables["not_" + name] = ours - reference
        tables["also_" + name] = reference - ours

    compare("punctuation", split_at(pre_tokenizers.Punctuation()), of("P") | set(b"$+<=>^`|~"))
    compare("control_or_format", removed_by(normalizers.BertNormalizer(True, False, False, False)) | set(b"\t\n\r"),
            of("Cc", "Cf", "Co") | {0xFFFD})
    compare("nonspacing_mark", removed_by(normalizers.BertNormalizer(False, False, True, False)), of("Mn"))
    compare("combining_mark", removed_by(normalizers.StripAccents()), of("M"))
    assert not tables.pop("also_control_or_format")

    forms = {form: getattr(normalizers, form)().normalize_str for form in ("NFD", "NFKD")}
    tables["no_decomposition"] = {c for c in CODES for form, normalize in forms.items()
                                  if normalize(chr(c)) != unicodedata.normalize(form, chr(c))}
    assert all(normalize(chr(c)) == chr(c) for c in tables["no_decomposition"] for normalize in forms.values())
    tables["no_combining_class"] = {
        c for c in CODES if unicodedata.combining(chr(c)) and any(
            forms["NFD"](text) != unicodedata.normalize("NFD", text)
            for text in ("a" + chr(c) + mark for mark in "\u0334\u0316\u0301\u0345\u0591\u3099"))}

    scripts = pre_tokenizers.UnicodeScripts()
    tables["no_script"] = {c for c in CODES if all(
        [piece for piece, _ in scripts.pre_tokenize_str(a + chr(c) + b)] == [a + chr(c), b] for a, b in ("a가", "가a"))}

    print('#include "text/unicode_exceptions.h"\n\nnamespace nuri {')
    for name, codes in tables.items():
        items = ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(codes))
        print(f"\nstd::span<const CodeRange> {name}() {{\n  static constexpr CodeRange kRanges[] = {{{items}}};\n"
              "  return kRanges;\n}")
    print("\n}  // namespace nuri")


if __name__ == "__main__":
    sys.exit(main())
