"""Random templates and conversations for chat_templates.py. Expressions are mostly well typed."""

WORDS = ["Hello", "world", "안녕", "세상", "the", "cat", "고양이", "🎉", "is", "here", "<b>", "a&b", "x=1", "naïve", "日本", "\t", "\n", "  ", "'q'", '"d"', "{}", "%s", "0", "42"]


class RandomTemplates:
    def __init__(self, chance):
        self.r = chance
        self.depth = 0
        self.loops = 0

    def pick(self, *options):
        return self.r.choice(options)

    # ---- expressions

    def literal_text(self):
        text = self.pick(" ", "").join(self.r.choice(WORDS) for _ in range(self.r.randint(0, 3)))
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'

    def integer(self):
        d = self.depth
        if d > 3 or self.r.random() < 0.35:
            return self.pick("n", "zero", "neg", "big", str(self.r.randint(0, 9)), str(self.r.randint(-5, 120)), "loop.index" if self.loops else "n", "num|int", "yes", "no")
        return self.deeper(lambda: self.pick(
            lambda: f"({self.integer()} {self.pick('+', '-', '*', '//', '%')} {self.integer()})",
            lambda: f"({self.text()})|length", lambda: f"({self.sequence()})|length", lambda: f"({self.number()})|int",
            lambda: f"({self.text()}).{self.pick('find', 'count', 'rfind')}({self.text()})", lambda: f"({self.sequence()}).{self.pick('count', 'index')}({self.any()})",
            lambda: f"({self.integers()})|{self.pick('sum', 'min', 'max', 'first', 'last')}", lambda: f"({self.text()})|wordcount",
            lambda: f"(-{self.integer()})|abs", lambda: f"d.a", lambda: f"people[{self.integer()}].age", lambda: f"({self.text()})|int({self.integer()})",
            lambda: f"({self.mapping()}).get({self.text()}, {self.integer()})")())

    def number(self):
        if self.depth > 3 or self.r.random() < 0.4:
            return self.pick("f", "g", "h", "tiny", "1.5", "0.1", "2e3", self.integer(), "fl|float")
        return self.deeper(lambda: self.pick(
            lambda: f"({self.number()} {self.pick('+', '-', '*', '/', '//', '%')} {self.number()})", lambda: f"({self.number()})|round({self.pick('', '1', '2', '-1', '0')})",
            lambda: f"({self.number()})|float", lambda: f"fs|{self.pick('sum', 'min', 'max')}", lambda: f"({self.number()})|abs",
            lambda: f"({self.number()})|round({self.r.randint(0, 3)}, {self.pick(chr(39) + 'ceil' + chr(39), chr(39) + 'floor' + chr(39))})", self.integer)())

    def text(self):
        if self.depth > 3 or self.r.random() < 0.35:
            return self.pick("s", "k", "e", "sp", "q", "u", "num", "lines", "html", "csv", self.literal_text(), self.literal_text(), "messages[0].content", "messages[-1]['role']", "bos_token")
        method = lambda name, *args: f"({self.text()}).{name}({', '.join(a() for a in args)})"
        return self.deeper(lambda: self.pick(
            lambda: f"({self.text()} + {self.text()})", lambda: f"({self.text()} ~ {self.any()})", lambda: f"({self.text()} * {self.r.randint(-1, 3)})",
            lambda: f"({self.text()})|{self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse', 'e', 'indent', 'tojson', 'center(9)', 'urlencode')}",
            lambda: f"({self.any()})|{self.pick('string', 'tojson', 'tojson(indent=2)', 'tojson(ensure_ascii=true)', 'upper', 'trim', 'tojson(sort_keys=true)')}",
            lambda: f"({self.sequence()})|join({self.text()})", lambda: f"({self.text()})|replace({self.text()}, {self.text()})",
            lambda: method(self.pick("strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize", "swapcase", "casefold")),
            lambda: method(self.pick("strip", "lstrip", "rstrip", "removeprefix", "removesuffix"), self.text), lambda: method("replace", self.text, self.text),
            lambda: f"({self.text()})[{self.slice()}]", lambda: f"({self.text()})[{self.integer()}]", lambda: f"({self.texts()})|{self.pick('first', 'last', 'min', 'max', 'join')}",
            lambda: method(self.pick("ljust", "rjust", "center", "zfill"), lambda: str(self.r.randint(0, 12))), lambda: f"{self.literal_text()}.join({self.texts()})",
            lambda: f"{self.pick('fmt', self.literal_format())} % ({self.any()}, {self.integer()})", lambda: f"{self.literal_brace()}.format({self.any()}, {self.number()})",
            lambda: f"({self.text()})|truncate({self.r.randint(3, 20)}{self.pick('', ', true')})", lambda: f"people[{self.r.randint(0, 2)}].{self.pick('name', 'home.city')}",
            lambda: f"({self.text()} if {self.condition()} else {self.text()})", lambda: f"({self.any()})|default({self.text()}{self.pick('', ', true')})")())

    def literal_format(self):
        return '"' + self.pick("%s|%d", "%r %5d", "%-6s|%x", "%10s%05d", "%.3s %+d", "%s %i", "%a%o", "%s%%%d", "%5.1f %e", "%g-%G") + '"'

    def literal_brace(self):
        return '"' + self.pick("{} {}", "{0}{1}{0}", "{!r}:{:.2f}", "{:>12}|{:<10}", "{:^9}{:+}", "{{{}}}{}", "{:s}{:e}", "{0[0]} {1}", "{:10}|{:010.3f}", "{!s:*<8}{:g}", "{}{:,}", "{}{:%}") + '"'

    def slice(self):
        part = lambda: self.pick("", "", str(self.r.randint(-6, 6)), self.integer())
        return part() + ":" + part() + self.pick("", "", ":" + self.pick("", "-1", "2", "-2", "3"))

    def integers(self):
        return self.pick("xs", "dup", "range(5)", f"range({self.r.randint(-2, 9)})|list", "[4, 2, 8]", "people|map(attribute='age')|list", "xs|sort", "dup|unique|list", "xs|map('string')|map('int')|list")

    def texts(self):
        if self.depth > 3 or self.r.random() < 0.3:
            return self.pick("ys", "ks", "['x', 'y']", "csv.split(',')", "d|list")
        return self.deeper(lambda: self.pick(
            lambda: f"({self.text()}).split({self.pick('', self.text(), repr(','), 'none, 1')})", lambda: f"({self.text()}).splitlines()", lambda: f"({self.text()})|list",
            lambda: f"({self.texts()})|{self.pick('sort', 'sort(reverse=true)', 'unique|list', 'reverse|list', 'sort(case_sensitive=true)')}",
            lambda: f"({self.texts()})|map('{self.pick('upper', 'lower', 'title', 'trim', 'length', 'first', 'tojson', 'capitalize')}')|list",
            lambda: "people|map(attribute='name')|list", lambda: f"({self.texts()})|select('{self.pick('lower', 'upper', 'string', 'in', 'defined')}')|list",
            lambda: f"({self.texts()})|reject('equalto', {self.text()})|list", lambda: f"({self.texts()})[{self.slice()}]", lambda: f"({self.texts()} + {self.texts()})")())

    def sequence(self):
        if self.depth > 3 or self.r.random() < 0.3:
            return self.pick("xs", "ys", "mixed", "empty", "nested", "ks", "fs", "dup", "people", "messages", "[1, 'a', none]", "(1, 2)", "d", "s", "range(4)")
        return self.deeper(lambda: self.pick(
            self.integers, self.texts, lambda: f"[{self.any()}, {self.any()}]", lambda: f"({self.any()}, {self.any()})", lambda: f"({self.sequence()})[{self.slice()}]",
            lambda: f"({self.mapping()}).{self.pick('keys', 'values', 'items')}()|list", lambda: f"({self.mapping()})|{self.pick('items|list', 'dictsort', 'list', 'dictsort(reverse=true)')}",
            lambda: f"({self.sequence()})|{self.pick('list', 'reverse|list', 'unique|list', 'batch(2)|list', 'slice(2)|list', 'sort')}",
            lambda: f"people|{self.pick('selectattr', 'rejectattr')}('{self.pick('age', 'name', 'admin', 'tags', 'home.city')}'{self.pick('', ', ' + repr(self.pick('defined', 'string', 'none', 'true')), ', ' + repr('equalto') + ', ' + self.any())})|list",
            lambda: f"people|groupby('{self.pick('age', 'name', 'admin')}')|list", lambda: f"people|sort(attribute='{self.pick('age', 'name', 'age,name')}')",
            lambda: f"({self.sequence()})|{self.pick('select', 'reject')}('{self.pick('defined', 'string', 'number', 'none', 'odd', 'iterable', 'mapping', 'sequence', 'integer', 'float', 'boolean')}')|list",
            lambda: f"({self.sequence()})|map({self.pick(repr('string'), repr('length'), repr('default') + ', 1', repr('tojson'), repr('list'), 'attribute=0', 'attribute=' + repr('name') + ', default=5')})|list")())

    def mapping(self):
        if self.depth > 3 or self.r.random() < 0.5:
            return self.pick("d", "ed", "dd", "people[0]", "messages[0]", "d.c", "{'k': 1}")
        return self.deeper(lambda: self.pick(
            lambda: f"{{{self.key()}: {self.any()}, {self.key()}: {self.any()}}}", lambda: f"dict(a={self.any()}, b={self.any()})", lambda: f"dict({self.mapping()}, z={self.any()})",
            lambda: f"dict({self.mapping()}|dictsort)")())

    def key(self):
        return self.pick("'a'", "'b'", self.text(), self.integer(), "none", "true", "(1, 2)", "1.0")

    def condition(self):
        if self.depth > 4 or self.r.random() < 0.2:
            return self.pick("yes", "no", "true", "false", "loop.first" if self.loops else "yes", "loop.last" if self.loops else "no", "nope is defined", "nothing is none")
        compare = lambda: self.pick("==", "!=", "<", "<=", ">", ">=")
        return self.deeper(lambda: self.pick(
            lambda: f"({self.number()} {compare()} {self.number()})", lambda: f"({self.text()} {compare()} {self.text()})", lambda: f"({self.any()} {self.pick('==', '!=')} {self.any()})",
            lambda: f"({self.any()} {self.pick('in', 'not in')} {self.sequence()})", lambda: f"({self.text()} in {self.text()})", lambda: f"(not {self.condition()})",
            lambda: f"({self.condition()} {self.pick('and', 'or')} {self.condition()})", lambda: f"({self.integer()} {compare()} {self.integer()} {compare()} {self.integer()})",
            lambda: f"({self.any()} is {self.pick('', 'not ')}{self.pick('string', 'number', 'mapping', 'iterable', 'sequence', 'none', 'defined', 'boolean', 'integer', 'float', 'true', 'false', 'undefined', 'callable', 'lower', 'upper')})",
            lambda: f"({self.integer()} is {self.pick('odd', 'even', 'divisibleby 3', 'in xs', 'eq 3', 'lt 5', 'ge 2')})", lambda: f"({self.text()}).{self.pick('isdigit', 'isalpha', 'isalnum', 'isspace', 'isupper', 'islower', 'istitle', 'isnumeric', 'isdecimal')}()",
            lambda: f"({self.text()}).{self.pick('startswith', 'endswith')}({self.text()})")())

    def any(self):
        return self.deeper(lambda: self.pick(
            self.integer, self.number, self.text, self.text, self.sequence, self.mapping, self.condition, lambda: "none", lambda: "nope", lambda: f"({self.mapping()}).{self.pick('a', 'b', 'name', 'x')}",
            lambda: f"({self.mapping()})[{self.key()}]", lambda: f"({self.sequence()})[{self.integer()}]", lambda: f"({self.sequence()})|{self.pick('first', 'last', 'min', 'max')}",
            lambda: f"({self.any()} if {self.condition()} else {self.any()})", lambda: f"({self.any()} {self.pick('and', 'or')} {self.any()})",
            lambda: f"({self.any()} {self.pick('+', '-', '*', '/', '%', '<')} {self.any()})" if self.r.random() < 0.2 else self.text())())

    def deeper(self, make):
        self.depth += 1
        try:
            return make()
        finally:
            self.depth -= 1

    # ---- statements

    def space(self):
        return self.pick("", "", "", " ", "\n", "  \n  ", "\t", "text", "한글\n")

    def tag(self, inside):
        return "{%" + self.pick("", "", "-", "+") + " " + inside + " " + self.pick("", "", "-", "+") + "%}"

    def output(self):
        return "{{" + self.pick("", "", "-") + " " + self.any() + " " + self.pick("", "", "-") + "}}"

    def block(self, depth):
        return "".join(self.space() + self.statement(depth) for _ in range(self.r.randint(1, 3))) + self.space()

    def loop(self, depth):
        target, source = self.pick(("x", self.sequence), ("x", self.integers), ("c", self.text), ("k, v", lambda: "(" + self.mapping() + ").items()"), ("a, b", lambda: "[(1, 2), ('x', 'y')]"))
        head = self.tag(f"for {target} in {source()}{self.pick('', '', ' if ' + self.deeper(self.condition))}")
        self.loops += 1
        body = self.block(depth + 1) + self.pick("", "{{ loop.index }}{{ loop.last }}", "{{ loop.length }}", "{{ x }}", "{{ loop.previtem }}{{ loop.nextitem is defined }}", "{% if loop.index > 2 %}{% break %}{% endif %}", "{% if loop.first %}{% continue %}{% endif %}{{ loop.revindex }}", "{{ loop.cycle(1, 2) }}{{ loop.changed(x) }}")
        self.loops -= 1
        return head + body + self.pick("", self.tag("else") + self.block(depth + 1)) + self.tag("endfor")

    def statement(self, depth=0):
        if depth > 2 or self.r.random() < 0.5:
            return self.output()
        return self.pick(
            lambda: self.tag(f"if {self.condition()}") + self.block(depth + 1) + self.pick("", self.tag(f"elif {self.condition()}") + self.block(depth + 1)) + self.pick("", self.tag("else") + self.block(depth + 1)) + self.tag("endif"),
            lambda: self.loop(depth), lambda: self.loop(depth),
            lambda: self.tag(f"set {self.pick('x', 'y', 'n', 's', 'xs')} = {self.any()}"), lambda: self.tag(f"set {self.pick('x', 's', 'k')}{self.pick('', ' | upper', ' | trim')}") + self.block(depth + 1) + self.tag("endset"),
            lambda: self.tag("set ns = namespace(a=1)") + self.loop_over(self.tag("set ns.a = ns.a + x") if self.r.random() < 0.5 else self.tag(f"set ns.b = {self.any()}")) + "{{ ns.a }}{{ ns.b }}",
            lambda: self.tag(f"macro m{depth}(x, y={self.deeper(self.any)})") + self.block(depth + 1) + "{{ x }}{{ y }}" + self.tag("endmacro") + f"{{{{ m{depth}({self.deeper(self.any)}{self.pick('', ', y=3', ', 1')}) }}}}",
            lambda: self.tag(f"filter {self.pick('upper', 'trim', 'indent', 'replace(' + repr('a') + ', ' + repr('b') + ')')}") + self.block(depth + 1) + self.tag("endfilter"),
            lambda: self.tag(f"with x = {self.any()}, y = 2") + self.block(depth + 1) + "{{ x }}" + self.tag("endwith"),
            lambda: "{#" + self.pick("", "-") + " comment " + self.pick("", "-") + "#}", lambda: self.tag("raw") + " {{ raw }} " + self.tag("endraw"),
            lambda: self.tag("generation") + self.block(depth + 1) + self.tag("endgeneration"))()

    def loop_over(self, body):
        return self.tag("for x in xs") + body + self.tag("endfor")

    def template(self):
        if self.r.random() < 0.5:
            return "|".join("{{ " + self.any() + " }}" for _ in range(self.r.randint(1, 2)))
        return self.block(0)


def random_text(chance):
    return chance.choice(["", " ", "\n"]).join(chance.choice(WORDS) for _ in range(chance.randint(0, 12)))


def random_content(chance):
    if chance.random() < 0.6:
        return random_text(chance)
    return [chance.choice([{"type": "image"}, {"type": "text", "text": random_text(chance)}, {"type": "video"}]) for _ in range(chance.randint(0, 4))]


def random_conversation(chance):
    from chat_template_cases import DOCUMENTS, TOKENS, TOOLS

    messages = [{"role": "system", "content": random_content(chance)}] if chance.random() < 0.4 else []
    roles = ["user", "assistant"]
    parts = chance.random() < 0.4
    for i in range(chance.randint(1, 7)):
        role = roles[i % 2] if chance.random() < 0.95 else chance.choice(["user", "assistant", "system", "tool"])
        content = random_content(chance) if parts else random_text(chance)
        if parts and isinstance(content, str) and chance.random() < 0.8:
            content = [{"type": "text", "text": content}]
        messages.append({"role": role, "content": content})
        if role == "assistant" and chance.random() < 0.1:
            messages[-1]["tool_calls"] = [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": {"x": random_text(chance)}}}]
    variables = {"messages": messages, "add_generation_prompt": chance.random() < 0.7, **TOKENS}
    if chance.random() < 0.2:
        variables["tools"] = TOOLS[: chance.randint(0, 2)]
    if chance.random() < 0.1:
        variables["documents"] = DOCUMENTS
    return variables
