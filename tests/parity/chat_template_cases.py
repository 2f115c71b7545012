"""Conversations and small templates, one for each feature, for chat_templates.py."""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "날씨를 알려 준다 — the weather, \"now\".",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city <name> & 'place'"},
                    "days": {"type": ["integer", "null"], "description": "How many days", "default": 1},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                },
                "required": ["city"],
            },
            "return": {"type": "array", "items": {"type": "number"}},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search.",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                    "options": {
                        "type": "object",
                        "properties": {"limit": {"type": "number"}, "exact": {"type": "boolean"}},
                        "required": ["limit"],
                        "additionalProperties": {"type": "string"},
                    },
                },
                "required": [],
            },
        },
    },
]
DOCUMENTS = [{"title": "Seoul", "text": "서울은 대한민국의 수도이다."}, {"title": "Paris", "text": "The capital\nof France."}]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def text(content):
    return {"type": "text", "text": content}


IMAGE = {"type": "image"}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "서울", "days": 2}}}
CALL_TEXT = {"id": "jklmnopqr", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}


def chat(*messages, prompt=True, **more):
    return {"messages": list(messages), "add_generation_prompt": prompt, **TOKENS, **more}


CONVERSATIONS = {
    "plain": chat(user("Hello, how are you?")),
    "no prompt": chat(user("Hi"), assistant("Hello."), prompt=False),
    "korean": chat(system("당신은 친절한 조수입니다."), user("안녕하세요? 오늘 날씨가 어때요?"), assistant("맑아요 ☀️."), user("고마워요!")),
    "turns": chat(user(" one "), assistant(" two\n"), user("\tthree"), assistant("four"), user("five")),
    "system": chat(system("  You are terse.  "), user("What is 2+2?")),
    "late system": chat(user("a"), system("b"), assistant("c"), user("d")),
    "wrong order": chat(assistant("I begin."), user("Then me.")),
    "same twice": chat(user("a"), user("b"), assistant("c")),
    "empty": chat(user("")),
    "odd": chat(user("{{ x }} {% if %} {# no #} \\n \" ' <|im_end|> </s> \u200b\u3000é́ \U0001f468‍👩‍👧"), assistant("\r\n\tx\r"), user("0")),
    "null content": chat(user("call"), assistant(None, tool_calls=[CALL]), {"role": "tool", "name": "get_weather", "content": "맑음", "tool_call_id": "abcdefghi"}, tools=TOOLS),
    "tools": chat(system("Use tools."), user("Weather in Seoul?"), tools=TOOLS),
    "tool call": chat(user("Weather?"), assistant("", tool_calls=[CALL]), {"role": "tool", "content": '{"t": 25}', "tool_call_id": "abcdefghi"}, assistant("25 degrees."), user("Thanks"), tools=TOOLS),
    "two calls": chat(user("Both?"), assistant("Let me look.", tool_calls=[CALL, CALL_TEXT]), {"role": "tool", "content": "one", "tool_call_id": "abcdefghi"}, {"role": "tool", "content": "two", "tool_call_id": "jklmnopqr"}, tools=TOOLS[:1]),
    "builtin tools": chat(user("Search"), assistant("", tool_calls=[{"type": "function", "function": {"name": "brave_search", "arguments": {"query": "cats"}}}]), {"role": "ipython", "content": {"output": ["a", 1]}}, builtin_tools=["brave_search", "code_interpreter"], date_string="01 Jan 2025"),
    "tools in system": chat(user("x"), tools=TOOLS, tools_in_user_message=False),
    "documents": chat(user("Which capital?"), documents=DOCUMENTS, controls={"length": "short"}),
    "image": chat(user([IMAGE, text("What is this?")])),
    "images": chat(user([IMAGE, text("Compare "), IMAGE, text(" 이 둘을 비교해 줘.")]), assistant([text("They differ.")]), user([text("How?"), {"type": "video"}]), add_vision_id=True),
    "image link": chat(user([{"type": "image_url", "image_url": {"url": "http://x/y.png"}}, text("describe")])),
    "system parts": chat(system([text("Be brief.")]), user([text("One"), text("Two"), IMAGE]), assistant([text("ok")]), prompt=False),
    "mixed": chat(system("s"), user([IMAGE, text("t")]), assistant("u"), user("v")),
    "empty parts": chat(user([])),
    "thinking": chat(user("q"), assistant("<think>\nhm\n</think>\n\nanswer"), user("again"), assistant("done", reasoning_content="because"), enable_thinking=False, prompt=False),
    "thinking prompt": chat(user("q"), enable_thinking=False, reasoning_effort="high"),
    "thinking call": chat(user("q"), assistant("", thinking="I should look", tool_calls=[CALL]), tools=TOOLS),
    "no tokens": {"messages": [user("a"), assistant("b")], "add_generation_prompt": False},
    "more keys": chat({"role": "user", "content": "x", "name": "Kim", "weight": 1.5, "flag": True}, {"role": "tool", "content": [1, None, {"a": "b"}]}),
    "data": chat(
        user("Hello World"), assistant("안녕 세상"),
        n=7, zero=0, neg=-3, big=123456, f=2.5, g=-0.125, h=1e14, tiny=1e-7, yes=True, no=False, nothing=None,
        s="Hello, World!", k="한국어 문장 입니다", e="", sp="  \t padded \n ", q="it's \"quoted\" \\ back", u="Straße ÀÉ ǆ ﬁ", num="42", fl="3.75",
        lines="one\ntwo\r\nthree\n\nfour", html="<b>&amp;</b>", fmt="%s-%d", csv="a,b,,c",
        xs=[3, 1, 2], ys=["b", "A", "c", "a"], mixed=[1, "two", 3.0, None, True, [4]], empty=[], nested=[[1, 2], [3], []],
        ks=["사과", "배", "감"], fs=[1.5, -2.0, 0.25], dup=[1, 2, 1, 3, 2],
        d={"a": 1, "b": [1, 2], "c": {"x": "y"}}, ed={}, dd={"B": 2, "a": 1, "C": 3}, people=[
            {"name": "Kim", "age": 30, "tags": ["x", "y"], "home": {"city": "서울"}},
            {"name": "lee", "age": 25, "tags": [], "home": {"city": "부산"}},
            {"name": "Park", "age": 30, "tags": ["z"], "admin": True},
        ],
    ),
}

_X = "{% set xs = [3, 1, 2] %}{% set people = [{'name': 'Kim', 'age': 30}, {'name': 'lee', 'age': 25}, {'name': 'Park', 'age': 30}] %}"

FEATURES = [
    # loops
    "{% for x in [1, 2, 3] %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }};{% endfor %}",
    "{% for x in 'abc' %}{{ loop.previtem|default('-') }}{{ x }}{{ loop.nextitem|default('-') }} {% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {{ loop.cycle('a', 'b', 'c') }} {% endfor %}",
    "{% for x in range(10) if x % 2 %}{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}",
    "{% for x in range(10) if x > 20 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in range(6) if x is even %}{{ loop.length }}{{ loop.index }}{{ loop.revindex }} {% endfor %}",
    "{% for x in [] %}x{% else %}empty{% endfor %}{% for x in nope %}x{% else %}undefined{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}-{{ b }};{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1] %}{% continue %}{% else %}else runs{% endfor %}|{% for x in [1, 2] %}{% break %}{% else %}else runs{% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 2] %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in [[1, [2, [3]]], [4]] recursive %}{% if x is iterable %}<{{ loop(x) }}>{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for x in [1, 2, 3]|reverse %}{{ x }}{{ loop.length }}{% endfor %}",
    "{% set g = [1, 2, 3]|map('string') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% else %}spent{% endfor %}",
    "{% for c in '한글🎉' %}[{{ c }}]{% endfor %}",
    "{% break %}",
    "{% for x in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in [1, 2, 3] %}{% set y %}{% if x == 2 %}{% break %}{% endif %}a{% endset %}{{ y }}{{ x }}{% endfor %}",
    # scopes
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=1, y='a') %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% set ns.z = i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z }}{{ ns.nope }}{{ ns }}",
    "{% if true %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% if false %}{% set bos_token = 5 %}{% endif %}{{ bos_token }}",
    "{% set bos_token = bos_token + '!' %}{{ bos_token }}",
    "{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% set x = 1 %}{{ m() }}",
    "{% for i in [1] %}{{ bos_token }}{% endfor %}{% set bos_token = 'later' %}{{ bos_token }}",
    "{% macro m() %}{% set x = 2 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{{ x }}",
    "{% set a, b = 1, 2 %}{% set (c, d) = (a, b) %}{{ a }}{{ b }}{{ c }}{{ d }}",
    "{% set x = 1 %}{% with x = 2, y = x %}{{ x }}{{ y }}{% set z = 3 %}{{ z }}{% endwith %}{{ x }}{{ z }}",
    "{% set x %}a{{ 1 }}b{% endset %}{{ x }}{{ x|length }}",
    "{% set x | upper | trim %} abc {% endset %}[{{ x }}]",
    "{% filter upper %}abc {{ 'def' }}{% endfilter %}{% filter replace('a', 'b')|title %}aaa{% endfilter %}",
    "{% set x.y = 1 %}",
    "{% set d = {} %}{% set d.y = 1 %}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}",
    "{{ namespace(_a=1) }}",
    "{{ namespace({'a': 1}, b=2).b }}",
    "{% set ns = namespace(a=namespace(b=1)) %}{{ ns.a.b }}",
    "{% if messages %}{% set first = messages[0] %}{% else %}{% set first = none %}{% endif %}{% for m in messages %}{{ m == first }}{% if loop.first %}{% set first = 2 %}{% endif %}{{ first is mapping }}{% endfor %}",
    "{% set messages = messages[1:] %}{{ messages|length }}",
    "{% for m in messages %}{% set messages = [] %}{{ messages|length }}{% endfor %}{{ messages|length }}",
    # macros
    "{% macro m(a, b=2, c=a) %}{{ a }},{{ b }},{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}{{ m }}",
    "{% macro m(x) %}<{{ caller(x) }}|{{ caller(2) }}>{% endmacro %}{% call(y) m(1) %}{{ y }}!{% endcall %}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body{% endcall %}{{ m() }}",
    "{% macro m() %}no caller{% endmacro %}{% call m() %}x{% endcall %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() -%}\n  spaced\n{%- endmacro %}[{{ m() }}][{{ m()|length }}]",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% macro m(a, b=1, c) %}{% endmacro %}",
    "{% macro m(caller) %}{{ caller }}{% endmacro %}",
    "{% set f = range %}{{ f(3)|list }}",
    "{% macro m(x=[]) %}{{ x }}{% endmacro %}{{ m() }}{{ m([1]) }}{{ m(none) }}",
    # conditions and operators
    "{{ 1 if true }}{{ 2 if false }}{{ 3 if false else 4 }}{{ 'a' if 0 else 'b' if '' else 'c' }}",
    "{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 1 == 1.0 == true }}{{ 'a' in 'abc' in ['abc'] }}{{ 1 not in [2] }}{{ not 1 in [2] }}",
    "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ -3|abs }} {{ +4 }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'b'] ~ {'k': none} ~ nope }}",
    "{{ 'ab' * 3 }}{{ 2 * [1] }}{{ (1, 2) + (3,) }}{{ [1] + [2] }}{{ 'a' + 'b' }}{{ true + 1 }}",
    "{{ 'a' + 1 }}", "{{ 1 + 'a' }}", "{{ [1] + (2,) }}", "{{ none + 1 }}", "{{ nope + 1 }}", "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ -'a' }}",
    "{{ 1 < 'a' }}", "{{ none < 1 }}", "{{ [1] < [1, 2] }}{{ (1, 'a') < (1, 'b') }}{{ 'B' < 'a' }}", "{{ 1 in 5 }}", "{{ 1 in 'abc' }}", "{{ nope in 'abc' }}", "{{ 1 in nope }}",
    "{{ 0 or '' or none }}{{ 1 and 'x' }}{{ [] or 'default' }}{{ not [] }}{{ 1 or 1/0 }}{{ 0 and 1/0 }}",
    "{{ true }}{{ false }}{{ none }}{{ True }}{{ False }}{{ None }}",
    "{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }} {{ 1e-5 }} {{ 1e16 }} {{ 123456789.123 }} {{ 0.1 + 0.2 }} {{ 1e100 }} {{ 100000.0 }} {{ 5e-324 }}",
    "{{ [1, 'a', \"it's\", none, true, 1.5, (1,), (), [], {}, {'a': [1]}] }}",
    "{{ ['\\n\\t\\\\', '한', '\\x00\\x7f\\u200b', '\\'\"', '\"'] }}",
    "{{ (1, 2)[0] }}{{ (1) }}{{ (1,) }}{{ () }}{{ 1, 2 }}",
    "{{ 'a' 'b' \"c\" }}{{ 'tab\\there' }}{{ '\\u00e9\\x41\\101' }}{{ '\\q' }}{{ 'new\\\nline' }}{{ '\\é' }}",
    # undefined
    "{{ nope }}{{ nope is defined }}{{ nope is undefined }}{{ nope|length }}{{ nope|list }}{{ nope == nope2 }}{{ not nope }}",
    "{{ nope.x }}", "{{ nope['x'] }}", "{{ nope() }}", "{{ nope|upper }}[{{ nope|trim }}]", "{{ nope|int }}", "{{ nope|join }}", "{{ nope|tojson }}", "{{ nope|first }}|{{ nope|last }}",
    "{{ {}.x }}{{ {}['x'] }}{{ [][0] }}{{ 'a'.x }}{{ 'a'['x'] }}{{ 5['x'] }}{{ none.x }}{{ none['x'] }}{{ [1]['a'] }}{{ [1][1.0] }}",
    "{{ {}.x.y }}", "{{ messages[9].role }}", "{{ messages[9] is defined }}{{ messages[-1].role }}{{ messages.0.role }}", "{{ {[1]: 2} }}", "{{ {}[[1]] }}{{ {}[{}] }}",
    # strings
    "[{{ '  a b '.strip() }}][{{ '  a '.lstrip() }}][{{ '  a '.rstrip() }}][{{ 'xxaxx'.strip('x') }}][{{ 'abcba'.strip('ab') }}][{{ '가나가'.strip('가') }}]",
    "{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a b c'.split(none, 1) }}{{ 'a b c'.rsplit(none, 1) }}{{ 'a,b,c'.rsplit(',', maxsplit=1) }}{{ ''.split() }}{{ ''.split(',') }}",
    "{{ 'a'.split('') }}", "{{ 'hello'.startswith('he') }}{{ 'hello'.startswith(('x', 'h')) }}{{ 'hello'.endswith('lo') }}{{ 'hello'.startswith('l', 2) }}{{ 'x'.startswith('') }}",
    "{{ 'hello'.replace('l', 'L') }}{{ 'hello'.replace('l', 'L', 1) }}{{ 'abc'.replace('', '-') }}{{ 'abc'.replace('', '-', 2) }}{{ '한글'.replace('', '.') }}",
    "{{ 'Hello World'.upper() }}{{ 'Hello'.lower() }}{{ 'hello world-foo'.title() }}{{ 'hELLO'.capitalize() }}{{ 'aB'.swapcase() }}{{ 'ß'.upper() }}{{ 'ΑΣ'.lower() }}{{ 'ﬁ'.title() }}{{ 'SS'.casefold() }}",
    "{{ ', '.join(['a', 'b']) }}{{ '-'.join('abc') }}", "{{ ','.join([1]) }}", "{{ 'hello'.find('l') }}{{ 'hello'.rfind('l') }}{{ 'hello'.find('z') }}{{ '한글한'.find('한', 1) }}{{ 'hello'.index('e') }}{{ 'hello'.count('l') }}", "{{ 'a'.index('z') }}",
    "{{ 'a\\nb\\r\\nc\\x0bd\\u2028e'.splitlines() }}{{ 'a\\nb\\n'.splitlines(true) }}",
    "{{ '12'.isdigit() }}{{ 'a1'.isalpha() }}{{ 'a1'.isalnum() }}{{ ''.isdigit() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a'.islower() }}{{ '½'.isnumeric() }}{{ '²'.isdigit() }}{{ '한'.isalpha() }}{{ 'Ab Cd'.istitle() }}",
    "{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}[{{ 'a'.ljust(3) }}][{{ 'a'.rjust(3, '*') }}][{{ 'a'.center(4, '-') }}][{{ 'ab'.center(5, '-') }}]{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'a\\tb'.expandtabs(4) }}",
    "{{ '{} {} {0}'.format(1, 2) }}", "{{ '{} {x} {y[0]}'.format(1, x=2, y=[3]) }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{:+d}|{:%}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 255, 5, 0.5) }}{{ '{!r}'.format('a') }}{{ '{{}}'.format() }}",
    "{{ '%s %d %5.2f %x %r %%' % ('a', 5, 3.14159, 255, 'q') }}{{ '%s' % 'x' }}{{ '%(a)s' % {'a': 1} }}{{ '%-5s|%05d|%+d' % ('a', 42, 5) }}", "{{ '%s %s' % ('a',) }}", "{{ '%d' % 'a' }}", "{{ 'a' % 1 }}",
    "{{ 'abc'[0] }}{{ 'abc'[-1] }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-1] }}{{ 'abcdef'[::2] }}{{ '한국어'[1:] }}{{ '한국어'[::-1] }}{{ 'abc'[5:] }}{{ 'abc'[-2:] }}{{ [1, 2, 3, 4][-3:-1] }}{{ [1, 2, 3][::-2] }}{{ (1, 2, 3)[1:] }}{{ range(10)[2:8:3]|list }}{{ 'abc'[:-1] }}",
    "{{ 'abc'[::0] }}", "{% set n = 5 %}{{ n[1:] }}", "{% set d = {} %}{{ d[1:] }}", "{% set s = 'abc' %}{{ s['a':] }}",
    # sandbox
    "{{ [].append(1) }}", "[{{ [].append }}]{{ [].append is defined }}{{ {}.update is defined }}", "{% set _ = {}.update({'a': 1}) %}", "{{ 'a'.__class__ }}[{{ ''.__class__.__mro__ }}]", "{{ {'__class__': 1}['__class__'] }}{{ {'append': 2}.append }}",
    "{{ {'items': 1}.items is callable }}{{ {'items': 1}['items'] }}{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b', 5) }}{{ {'a': 1}.keys() }}{{ {'a': 1}.values()|list }}{{ {'a': 1}.items()|list }}{{ {'a': 1}.copy() }}{{ {'a': 1}|length }}",
    "{{ [1, 2, 1].index(2) }}{{ [1, 2, 1].count(1) }}{{ (1, 2).index(2) }}{{ [1].copy() }}", "{{ [].index(1) }}",
    # globals
    "{{ range(3) }}{{ range(5)|list }}{{ range(1, 10, 3)|list }}{{ range(5, 0, -2)|list }}{{ range(3)|length }}{{ 2 in range(3) }}{{ range(3)[1] }}", "{{ range(0, 5, 0) }}", "{{ range(200000) }}", "{{ range('a') }}",
    "{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}{{ dict({'a': 1}, b=2) }}{{ dict.fromkeys(['a', 'b'], 0) }}", "{% set j = joiner('; ') %}{{ j() }}a{{ j() }}b{{ j() }}c", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{{ raise_exception('stop') }}", "{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %A %j %-d %I %p %%') }}", "{{ raise_exception is callable }}{{ strftime_now is defined }}",
    # filters
    "{{ [1, 2, 3]|first }}{{ [1, 2, 3]|last }}{{ 'abc'|first }}{{ []|first }}{{ [3, 1, 2]|sort }}{{ ['b', 'A', 'c']|sort }}{{ ['b', 'A']|sort(case_sensitive=true) }}{{ [1, 2]|sort(reverse=true) }}",
    _X + "{{ people|sort(attribute='age')|map(attribute='name')|list }}{{ people|sort(attribute='age,name')|map(attribute='name')|join(',') }}{{ people|map(attribute='nope', default='-')|list }}{{ people|map(attribute='name')|map('upper')|list }}",
    _X + "{{ people|selectattr('age', 'equalto', 30)|map(attribute='name')|list }}{{ people|rejectattr('age', 'gt', 26)|list }}{{ people|selectattr('admin')|list }}{{ people|selectattr('admin', 'defined')|list|length }}",
    "{{ [0, 1, '', 'a', none]|select|list }}{{ [0, 1]|reject|list }}{{ [1, 2, 3]|select('odd')|list }}{{ [1, 2, 3]|reject('divisibleby', 3)|list }}{{ ['a', 1]|select('string')|list }}{{ [1, 2, 3]|select('>', 1)|list }}",
    "{{ [1, 2]|map('nope')|list }}", "{{ []|map('nope')|list }}{{ [1]|map('nope') is iterable }}", "{{ [1]|map|list }}", "{{ [1]|selectattr|list }}",
    "{{ [1, 1, 2, 'a', 'A']|unique|list }}{{ ['a', 'A']|unique(case_sensitive=true)|list }}{{ [3, 1]|min }}{{ [3, 1]|max }}{{ ['b', 'A']|max }}{{ []|max }}{{ [1, 2]|sum }}{{ [1.5, 2]|sum(start=10) }}", _X + "{{ people|sum(attribute='age') }}{{ people|min(attribute='age') }}",
    "{{ [1, 2, 3, 4, 5]|batch(2)|list }}{{ [1, 2, 3]|batch(2, 'x')|list }}{{ [1, 2, 3, 4, 5]|slice(3)|list }}{{ [1, 2, 3]|slice(2, 'x')|list }}", _X + "{% for g in people|groupby('age') %}{{ g.grouper }}:{{ g.list|length }}{{ g[0] }};{% endfor %}{% for k, v in people|groupby('name') %}{{ k }}{% endfor %}",
    "{{ {'b': 1, 'A': 2}|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(true) }}{{ {'b': 1, 'a': 2}|dictsort(by='value') }}{{ {'b': 1, 'a': 2}|dictsort(reverse=true) }}{{ {'a': 1}|items|list }}", "{{ [1]|items|list }}", "{{ nope|items|list }}",
    "{{ [1, 2]|join }}{{ [1, 2]|join(', ') }}{{ 'abc'|join('-') }}{{ [none, true]|join('|') }}", _X + "{{ people|join(',', attribute='name') }}", "{{ 'abc'|reverse }}{{ [1, 2]|reverse|list }}{{ 'abc'|list }}{{ {'a': 1}|list }}{{ (1, 2)|list }}", "{{ 5|list }}", "{{ 5|length }}", "{{ none|length }}",
    "{{ '42'|int }}{{ ' 42 '|int }}{{ '4.7'|int }}{{ 'x'|int }}{{ 'x'|int(5) }}{{ '0x1f'|int(base=16) }}{{ '1_0'|int }}{{ none|int }}{{ 3.9|int }}{{ -3.9|int }}{{ true|int }}{{ '-7'|int }}{{ '1e3'|int }}{{ ''|int }}", "{{ '3.5'|float }}{{ 'x'|float }}{{ 3|float }}{{ '1e3'|float }}{{ 'inf'|float }}{{ '-nan'|float }}{{ none|float(2.5) }}",
    "{{ 3.14159|round(2) }}{{ 2.5|round }}{{ 3.5|round }}{{ -2.5|round }}{{ 2.675|round(2) }}{{ 1234|round(-2) }}{{ 1250|round(-2) }}{{ 2.1|round(0, 'ceil') }}{{ 2.9|round(method='floor') }}{{ 5|round }}{{ 2.5|round|int }}{{ 1e22|round(1) }}{{ 42.55|round(1, 'floor') }}", "{{ -5|abs }}{{ -2.5|abs }}", "{{ 'a'|abs }}", "{{ 'a'|round }}",
    "{{ 'hello world'|title }}{{ \"it's a-b (c) x\"|title }}{{ 'hELLO'|capitalize }}{{ 'a'|upper }}{{ 'A'|lower }}{{ 5|upper }}{{ none|lower }}[{{ ' a '|trim }}][{{ 'xax'|trim('x') }}][{{ 'a'|center(5) }}]{{ 'a b c'|wordcount }}{{ '한국 말'|wordcount }}", "{{ 'hello'|replace('l', 'L') }}{{ 'hello'|replace('l', 'L', 1) }}{{ 55|replace(5, 6) }}",
    "{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(2, blank=true) }}|{{ 'a\\nb'|indent('>> ') }}|{{ 'a\\n'|indent }}|{{ ''|indent(first=true) }}", "{{ 5|indent }}", "{{ 'foo bar baz qux'|truncate(9) }}{{ 'foo bar baz qux'|truncate(9, true) }}{{ 'foo bar baz qux'|truncate(11, false, '..', 0) }}{{ 'short'|truncate }}",
    "{{ '<a href=\"x\">&\\'</a>'|e }}{{ '<b>'|escape }}{{ '<b>'|safe }}{{ ('<b>'|safe) + '<i>' }}{{ '<b>'|e|e }}{{ '<b>'|e|forceescape }}{{ '<b>'|safe ~ '<i>' }}{{ '<b>'|safe|upper }}{{ 5|safe }}{{ ['<b>'|safe] }}",
    "{{ '%s and %s'|format('a', 'b') }}{{ '%(x)s'|format(x=1) }}", "{{ 1|string + 'a' }}{{ none|string }}{{ [1]|string }}", "{{ none|default('d') }}{{ nope|default('d') }}{{ ''|default('d', true) }}{{ nope|default }}{{ nope|d('x') }}{{ 0|default(5, boolean=true) }}{{ nope.x|default('d') }}", "{{ {}.x|default('d') }}{{ messages[0].nope|default(none) }}",
    "{{ 'a b/c?d=한'|urlencode }}{{ {'a b': 'c&d', 'e': 1}|urlencode }}", "{{ 1000000|filesizeformat }}{{ 1|filesizeformat }}{{ 500|filesizeformat }}{{ 123456789|filesizeformat(true) }}", "{{ {'a': 1}|attr('keys') is callable }}{{ {'a': 1}|attr('a') is defined }}", "{{ 'x'|nope }}", "{{ 'x' is nope }}", "{% if false %}{{ 'x'|nope }}{% endif %}ok", "{% if true %}{{ 'x'|nope }}{% endif %}", "{{ ('x'|nope) if false else 'ok' }}", "{% if false %}{% for x in [] %}{{ x|nope }}{% endfor %}{% endif %}",
    # tojson
    "{{ {'a': [1, 2.0, none, true, '한\"\\n\\u0001</>&'], 'b': {}, 'c': []}|tojson }}", "{{ {'a': [1, {'b': []}], 'c': {}}|tojson(indent=2) }}", "{{ {'a': [1, 2]}|tojson(indent='--') }}{{ [1]|tojson(indent=0) }}", "{{ '한😀\\x7f'|tojson(ensure_ascii=true) }}{{ '한'|tojson(true) }}", "{{ {'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true) }}{{ {'a': 1, 'b': 2}|tojson(separators=(',', ':')) }}{{ {'a': 1}|tojson(indent=1, separators=(' ,', ' : ')) }}", "{{ {1: 'a', none: 'b', true: 'c', 1.5: 'd'}|tojson }}{{ (1, 2)|tojson }}{{ 1e20|tojson }}{{ 'inf'|float|tojson }}{{ 'x'|tojson|length }}", "{{ {(1, 2): 1}|tojson }}", "{{ range(3)|tojson }}", "{{ {}.items()|tojson }}", "{{ namespace()|tojson }}", "{{ tools|tojson }}{{ messages|tojson }}",
    # tests
    "{{ 1 is defined }}{{ 1 is number }}{{ true is number }}{{ 1.5 is float }}{{ 1 is integer }}{{ true is integer }}{{ true is boolean }}{{ none is none }}{{ 'a' is string }}{{ {} is mapping }}{{ [] is iterable }}{{ 5 is iterable }}{{ [] is sequence }}{{ {} is sequence }}{{ 'a' is sequence }}{{ 5 is sequence }}{{ {}.items() is sequence }}{{ true is true }}{{ 1 is true }}{{ false is false }}",
    "{{ 3 is odd }}{{ 4 is even }}{{ 6 is divisibleby 3 }}{{ 6 is divisibleby(4) }}{{ 1 is eq 1 }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 2 is gt 1 }}{{ 1 is le 1 }}{{ 1 is ge 2 }}{{ 1 is in [1] }}{{ 1 is not in [1] }}{{ 1 is sameas 1 }}{{ none is sameas none }}{{ 'a' is lower }}{{ 'A' is upper }}{{ range is callable }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ 'zz' is filter }}{{ 1 is not none }}{{ 1 is equalto 1.0 }}{{ 1 is greaterthan 0 }}", "{{ 'a' is odd }}", "{{ 1 is defined is defined }}", "{{ x is defined and x }}{{ 1 is number or 2 }}{{ 'y' if x is defined else 'n' }}{{ 1 is not defined }}",
    # white space
    "a  {%- if true -%}  b  {%- endif -%}  c", "a\n  {% if true %}\n  b\n  {% endif %}\nc", "a\n  {%+ if true +%}\n  b\n  {%+ endif %}\nc", "a  {{- 'x' -}}  b", "a\n  {# note #}\n  b{#- x -#}  c", "  {% set x = 1 %}  \n  y", "{% raw %}{{ x }} {% y %}\n{% endraw %}\nz", "a {%- raw -%}  {{ x }}  {%- endraw -%} b", "\n\n{{ 'x' }}\n\n", "{{ 'x' }}\n", "{% for x in [1] %}\n{{ x }}\n{% endfor %}\nend\r\nwin\r\n", "\u3000{%- if true %}\u00a0x\u2003{%- endif %}", "{{ '}}' }}{{ '{%' }}{# {{ x }} #}{{ {'a': {'b': 1}} }}", "x{#-#}  y", "  {%- set a = 1 -%}  {{ a }}  ", "  {% if true %}a{% endif %}  {# c #}  \n  {# d #}\n",
    # syntax errors
    "{{ }}", "{{ 1 +}}", "{% if %}{% endif %}", "{% for x in %}{% endfor %}", "{% if true %}", "{% endif %}", "{{ 'a }}", "{{ (1 }}", "{{ [1, }}", "{% nope %}", "{{ 1 2 }}", "{% set 1 = 2 %}", "{# open", "{% raw %}", "{{ a b }}", "{% for x in y %}{% endif %}{% endfor %}", "{{ ] }}", "{{ (1] }}", "{% macro %}{% endmacro %}", "{% call x %}{% endcall %}", "{{ f(a=1, 2) }}", "{{ f(**a, b=1) }}", "{{ x is }}", "{{ $ }}", "{% set loop = 1 %}{% for x in [1] %}{% endfor %}", "{{ a.1.b }}{{ a.'x' }}", "{% else %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% do x %}", "{{ not }}", "{{ x. }}", "{{ x[ }}", "{{ 0777 }}", "{{ 'a' if }}", "{% elif x %}", "{% set x %}", "{% generation %}", "{ { x } }", "{", "{{", "{%", "%}", "}}", "{{ '\\ud800' }}",
    "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}", "{{ range(*[1, 3])|list }}{{ dict(**{'a': 1}) }}{{ range(*(1, 9), **{})|length }}", "{{ 'a,b'.split(sep=',') }}", "{% print 1, 'a' %}", "{% if 1, 2 %}y{% endif %}", "{{ {'a': 1, 'a': 2} }}{{ {1: 'a', 1.0: 'b', true: 'c'} }}", "{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1, 2,) }}{{ dict(a=1,) }}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% set x = 1, %}{{ x }}", "{{ 'abc'|length > 2 and 'abc'[0]|upper == 'A' }}", "{{ -1|string }}{{ (-1)|abs }}{{ 1 - -1 }}{{ not not 1 }}", "{{ 1 if 2 if 0 else 3 }}", "{{ 'a' 'b'|upper }}", "{{ messages|map(attribute='role')|list }}{{ messages[-1]['content'] }}{{ add_generation_prompt }}{{ tools is none }}{{ documents is none }}{{ bos_token }}{{ mask_token is defined }}",
]
