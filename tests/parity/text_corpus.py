"""Strings to try tokenizers and templates on: Korean, English, emoji, digits, code, combining marks, white space,
broken bytes decoded with replacement, and any code point assigned in Unicode 14."""
import random
import unicodedata

assert unicodedata.unidata_version == "14.0.0", "run with Python 3.11, whose tables are those of Unicode 14"

KOREAN = ("그림에 무엇이 있나요 고양이가 소파 위에서 자고 있습니다 빨간 자동차 세 대와 자전거 한 대가 보여요 왼쪽 오른쪽 "
          "가장 가까운 물체는 안녕하세요 대한민국 서울특별시 값 없다 읽다 밟히다 뷁 쀍 ㅋㅋㅋ ㅠㅠ 학교에서 공부했습니다").split()
ENGLISH = ("the quick brown fox jumps over the lazy dog what is in this picture I'll we've don't can't she's he'd "
           "they're THEY'RE It'S O'Reilly naïve café résumé coöperate running tokenization unbelievable world Hello "
           "HELLO hello iPhone XMLHttpRequest snake_case camelCase state-of-the-art e.g. U.S.A. Mr. Smith's").split()
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇰🇷", "🏳️‍🌈", "❤️", "☃", "1️⃣", "🤷🏻‍♀️", "🧑‍🚀", "🫠", "🐈‍⬛", "⌚", "🪐"]
DIGITS = ["0", "7", "42", "1234567890", "3.14159", "1,000,000", "٣٤٥", "१२३", "²³", "½", "Ⅷ", "①②", "০১২", "1e-5", "0x1F",
          "2024-06-01", "12:34:56", "９８７", "㊿", "𝟘𝟙"]
CODE = ["def f(x):\n\treturn x ** 2\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }", "{\"key\": [1, 2.5, null]}",
        "SELECT * FROM t WHERE a != 'b';", "<div class=\"x\">&amp;</div>", "#include <vector>\r\n", "a && b || !c",
        "https://example.com/a?b=c#d", "C:\\path\\file.txt", "$x = @{$y};", "// comment\n\n\n    x", "_ _ __init__",
        "\\frac{1}{2}", "a\tb\t\tc", "[^abc]+", "```python\nprint('hi')\n```"]
MARKS = ["e\u0301", "a\u0323\u0302", "q\u0307\u0323", "\u1112\u1161\u11ab", "\u1100\u1161", "ガ\u3099", "ा", "क्षि", "ที่", "שָׁלוֹם",
         "\u0345", "o\u0308\u0304", "Å", "\u212b", "ﬁ", "ﷺ", "ｶﾞ", "㌔", "ℌ", "Ǆ", "İ", "ß", "ẞ", "ſ", "K", "ς", "\u0130\u0307",
         "\u0f73", "\u0344", "\u2126", "각\u11a8", "\u09cb", "\U0001d15e", "各", "豈", "\uf900"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\u2009", "\u180e", "\ufeff",
          "\u2028", "\x0b", "\x85", "\u200d", "\u2060", "\u1680", "     "]
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "—", "“", "”", "’", "¿", "、", "。", "「", "…", "·", "™", "€", "₩",
                                                            "§", "▁", "▁▁", "Ġ", "##", "</w>", "<0x41>", "��", "\x00", "\x07"]
CHINESE = ["中文", "你好世界", "日本語テキスト", "東京タワー", "漢字かな混じり文", "𠮷野家", "ーー", "ﾊﾝｶｸ"]
OTHER = ["Привет, мир", "Ελληνικά", "العربية", "हिन्दी भाषा", "ภาษาไทย", "தமிழ்", "አማርኛ", "ქართული", "Việt Nam", "עברית", "𐍈𐌰", "ꯃꯩꯇꯩ"]

ASSIGNED = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
# Most assigned code points are ideographs, syllables or private: the others get their share.
RARE = [c for c in ASSIGNED if unicodedata.category(chr(c)) != "Co"
        and not unicodedata.name(chr(c), "").startswith(("CJK UNIFIED", "HANGUL SYL", "TANGUT", "CJK COMPAT", "EGYPTIAN"))]
COMBINING = [c for c in ASSIGNED if unicodedata.category(chr(c)).startswith("M")]


def broken_bytes(rng):
    kind = rng.random()
    if kind < 0.4:
        data = rng.randbytes(rng.randint(1, 12))
    elif kind < 0.7:
        data = bytes(rng.choice(b"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x80\xbf\xffa ") for _ in range(rng.randint(1, 12)))
    else:
        data = bytearray("한글 emoji 😀 é".encode())
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = bytes(data)
    text = data.decode("utf-8", "replace")
    return "".join(c for c in text if unicodedata.category(c) != "Cn")


def part(rng, tokens):
    kind = rng.random()
    if kind < 0.16:
        return rng.choice(KOREAN)
    if kind < 0.34:
        return rng.choice(ENGLISH)
    if kind < 0.40:
        return rng.choice(EMOJI)
    if kind < 0.46:
        return rng.choice(DIGITS)
    if kind < 0.50:
        return rng.choice(CODE)
    if kind < 0.56:
        return rng.choice(MARKS)
    if kind < 0.60:
        return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 3)))
    if kind < 0.68:
        return rng.choice(PUNCTUATION)
    if kind < 0.72:
        return rng.choice(CHINESE + OTHER)
    if kind < 0.77:
        return broken_bytes(rng)
    if kind < 0.84:
        return "".join(chr(rng.choice(RARE)) for _ in range(rng.randint(1, 4)))
    if kind < 0.87:
        return chr(rng.choice(ASSIGNED))
    if kind < 0.91:
        return rng.choice("aeoㅏक가") + "".join(chr(rng.choice(COMBINING)) for _ in range(rng.randint(1, 4)))
    if kind < 0.94:
        return "".join(rng.choice("abcdeABCDE'ſßİ") for _ in range(rng.randint(1, 30)))
    if kind < 0.97 and tokens:
        token = rng.choice(tokens)
        return rng.choice([token, " " + token, token + " ", "  " + token + "  ", "a" + token, token + "b", token[:-1],
                           token.upper(), token + token, "\n" + token + "\t"])
    return str(rng.randrange(10 ** rng.randint(1, 12)))


def strings(seed, count, tokens=()):
    """`count` strings; `tokens` are strewn in (the added tokens of a tokenizer)."""
    rng = random.Random(seed)
    fixed = ["", " ", "  ", "\n", "a", " a", "a ", "\u0301", "\ufffd", "가", "\u200d"] + list(tokens)
    out = fixed[:count]
    while len(out) < count:
        text = ""
        for _ in range(min(rng.randint(1, 12), rng.randint(1, 40))):
            text += part(rng, tokens)
            if rng.random() < 0.6:
                text += " "
        out.append(text)
    return out
