"""Outside bytes as they may arrive: valid ones with damage, and text that only looks right. For the fuzzing of the parsers."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from embedder.errors import EmbedderError

Result = TypeVar("Result")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Of each property, at random; without it few, and the same ones each time, so that no run is red for another's reason."""
LONGEST_MESSAGE = 2_000
HERE = "@@here@@"
DEEP = 100_000
ODD_JSON = (
    *("null", "true", "0", "-1", "1.5", "1e400", "-0.0", "NaN", "Infinity", "9" * 30, "9" * 5_000, "[]", "[[]]", "{}", '{"a": 1}'),
    *('""', '" "', '"x"', '"all"', '"9-1"', '"/etc/passwd"', '"../up"', '"a/../../b"', '"a\\\\b"', '"\\u0000"', '"\\ud800"', '"\\u0661"'),
    *('"1"', '"-1"', '"01"', '" 1"', '"1_0"', '"c0001r0001"', '"N37W076"', '"e"', f'"{"x" * 6_000}"', f'"{"9" * 5_000}"'),
    *("[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[" * 400 + "]" * 400, "[" * 960 + "]" * 960),
)
"""In place of a value; the last are too deep for a parser that calls itself."""
ODD_TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789-,. \t\n", max_size=20),
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "\ud800",
            "\u0661",
            "\uff11",
            "9" * 5_000,
            "-",
            ",",
            "nan",
            "inf",
            "1e400",
            "1_0",
            "all",
            "x" * 6_000,
            "~",
            "~nobody/x",
        ]
    ),
)
"""What a person may type, or a program hand over."""


def fuzzed(examples: int) -> settings:
    """The settings of a property that is cheap enough for so many examples."""
    return settings(max_examples=EXAMPLES or examples, derandomize=not EXAMPLES, database=None)


def right_or_refused(parse: Callable[[], Result], *refusals: type[Exception]) -> Result | None:
    """What was parsed, or None where it was refused as it should be: in one line, of the project's errors or of those that are named."""
    try:
        return parse()
    except Exception as error:
        if not isinstance(error, (EmbedderError, *refusals)):
            raise
        message = str(error)
        assert message
        assert len(message) <= LONGEST_MESSAGE
        assert "\n" not in message
        return None


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """These bytes with bits flipped, bytes set, parts cut out, doubled or put in, or the end lost."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        # Headers and footers are small, and much depends on them.
        at = draw(st.one_of(st.integers(0, len(changed)), st.integers(0, 64), st.integers(1, 64).map(lambda back: len(changed) - back)))
        at, length = min(max(at, 0), len(changed)), draw(st.integers(1, 16))
        kind = draw(st.sampled_from(["flip", "set", "cut", "double", "insert", "end"]))
        if kind == "flip" and at < len(changed):
            changed[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            changed[at : at + length] = bytes([draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))]) * length
        elif kind == "cut":
            del changed[at : at + length]
        elif kind == "double":
            changed[at:at] = changed[at : at + length]
        elif kind == "insert":
            changed[at:at] = draw(st.binary(min_size=1, max_size=length))
        elif kind == "end":
            del changed[at:]
    return bytes(changed)


@st.composite
def altered_json(draw: st.DrawFn, data: bytes) -> bytes:
    """A JSON document with an odd value or name somewhere, a field gone, or a field that is there twice."""
    document: Any = {"": json.loads(data)}
    for _ in range(draw(st.integers(1, 2))):
        parent, name = draw(st.sampled_from(list(_places(document))))
        kind = draw(st.sampled_from(["value", "value", "value", "gone", "name", "twice"]))
        document = copy.deepcopy(document)
        held = _at(document, parent)
        if kind == "gone" and parent:
            del held[name]
        elif kind == "name" and isinstance(held, dict) and parent:
            held[draw(st.sampled_from([json.loads(odd) for odd in ODD_JSON if odd.startswith('"')]))] = held.pop(name)
        elif kind == "twice" and isinstance(held, dict) and parent:
            held[HERE + str(name)] = draw(st.sampled_from([None, 1, "x", held[name]]))
        else:
            held[name] = HERE
    text = json.dumps(document[""])
    while (quoted := f'"{HERE}"') in text:
        text = text.replace(quoted, draw(st.sampled_from(ODD_JSON)), 1)
    return text.replace(HERE, "").encode()


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """A JSON document as it may arrive."""
    return st.one_of(altered_json(data), altered_json(data), damaged(data))


def _places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401 - whatever JSON can hold
    names = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for name in names:
        yield path, name
        yield from _places(document[name], (*path, name))


def _at(document: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    for name in path:
        document = document[name]
    return document
