"""The numbers in src/text/jinja/codepoints_test.cpp: hashes of Python's character classes and case mappings.

Over the code points up to 0xFFFF without surrogates and the two that Unicode 15 added there; for Python 3.11 or 3.12.
"""

LATER = {0x0CF3, 0x0ECE}


def fnv(parts):
    value = 0xCBF29CE484222325
    for part in parts:
        for byte in part:
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


points = [chr(c) for c in range(0x10000) if not 0xD800 <= c < 0xE000 and c not in LATER]
for name in ("upper", "lower", "title", "capitalize", "swapcase", "casefold"):
    print(name, hex(fnv(getattr(c, name)().encode() + b"\0" for c in points)))
for name in ("space", "alpha", "decimal", "digit", "numeric", "alnum", "upper", "lower", "printable"):
    print("is" + name, hex(fnv(bytes([getattr(c, "is" + name)()]) for c in points)))
