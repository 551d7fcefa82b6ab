"""Records of text files, rows of a CSV and objects of JSONL: each is whole, or it is said what is wrong.

Of the app it imports how that is said: exports have both beside their apply.py as they are.

A value of a CSV may stand in quotation marks, with spaces around them, and then holds separators, line ends,
and quotation marks written twice (RFC 4180). In other values a quotation mark is a letter like others.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cdvft_app.data.row_errors import RowErrors

State = Literal["whole", "open", "broken", "doubtful"]
SAYS_SEPARATOR = re.compile(r'"?sep=([^"])"? *', re.IGNORECASE)  # Excel's own first line
_INSIDE = re.compile(r'[^"]*(?:""[^"]*)*')


class Marks:
    """Patterns for quotation marks by where they stand between the separators."""

    def __init__(self, separators: str) -> None:
        by, space = f"[{re.escape(separators)}]", "" if separators == " " else " *"
        self.value = re.compile(f"[^{re.escape(separators)}]*")
        self.opening = re.compile(f'{space}"')
        self.closing = re.compile(f'"{space}({by}|$)')
        # One that opens a value, or one that would close a value that was opened before.
        self.outer = re.compile(f'(?P<opens>(?:^|{by}){space}")|"{space}(?:{by}|$)')


class Record:
    """A record that is read line by line; `values` are those that are complete so far."""

    def __init__(self, marks: Marks) -> None:
        self.values: list[str] = []
        self._marks = marks
        self._open: list[str] = []  # the lines of a value in quotes
        self._lines = 0

    def take(self, line: str) -> State:
        """Take one more line and return the record's state.

        It is doubtful where a value beside one of several lines has a quotation mark: most likely one that
        should open a value closed one that was opened by mistake.
        """
        doubtful, place = False, 0
        self._lines += 1
        while place <= len(line):
            opening = None if self._open else self._marks.opening.match(line, place)
            if not self._open and not opening:
                value = self._marks.value.match(line, place)[0]  # type: ignore[index]  # it may be empty
                self.values.append(value)
                doubtful = doubtful or (self._lines > 1 and '"' in value)
                place += len(value) + 1
                continue
            inside = _INSIDE.match(line, opening.end() if opening else place)
            assert inside  # it may be empty
            self._open.append(inside[0])
            if inside.end() == len(line):
                return "open"
            closing = self._marks.closing.match(line, inside.end())
            if not closing:
                return "broken"
            self.values.append("\n".join(self._open).replace('""', '"'))
            self._open = []
            place = closing.end() + (not closing[1])
        return "doubtful" if doubtful else "whole"


QUOTE_LINES = 50  # over so many lines a quoted value may go; one that goes on is taken for never closed
Line = tuple[int, str]
Fault = tuple[str, str, str]  # what is wrong, what to do, the column
_AFTER_CLOSING = "text follows a closing quotation mark", "write quotation marks inside a value twice"
_NEVER_CLOSED = "a quotation mark is opened and never closed", "close it, or remove it"
_GOES_ON = (
    "it seems to go on with a value that begins in a row above and cannot be read",
    "mend the quotation marks of that row",
)


@dataclass
class Records:
    """How records are read. Each letter of `separators` separates; a value has at `most` so many characters;
    `names` are those of the columns, none while they are not known.

    Every line that is not blank is of a record that is given, or is a fault. `running_on` are the first and
    the last line of each value over several lines of which those between look like rows of their own.
    """

    separators: str
    most: float
    faults: RowErrors
    names: Sequence[str] = ()
    running_on: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._marks = Marks(self.separators)

    def of(self, lines: Iterable[Line]) -> Iterator[tuple[list[Line], list[str]]]:
        """Yield each record that can be read: its lines, and its values."""
        waiting, columns, most = _Waiting(iter(lines)), len(self.names), self.most
        for line in waiting:
            _, text = line
            if not text.strip():
                continue
            quoted = '"' in text
            if not quoted and len(values := text.split(self.separators)) == columns and len(text) <= most:
                yield [line], values  # nearly every line of most files
                continue
            held, record = [line], Record(self._marks)
            state = record.take(text)
            while state == "open" and len(held) <= QUOTE_LINES and (more := next(waiting, None)):
                held.append(more)
                state = record.take(more[1])
            fault = self._of_quotes(state, record.values, held, waiting)
            fault = fault or self._of_values(record.values, held)
            if fault:
                self._leave_out(held, fault)
            else:
                self._look_between(held)
                yield held, record.values[: columns or None]

    def _leave_out(self, held: Sequence[Line], fault: Fault) -> None:
        self.faults.add(held[0][0], *fault)
        for number, text in held[1:]:
            if text.strip():
                self.faults.add(number, *_GOES_ON)

    def _of_quotes(
        self, state: State, values: Sequence[str], held: list[Line], waiting: _Waiting
    ) -> Fault | None:
        """Return the fault of the quotation marks, or None. `held` keeps the record's lines alone."""
        if state == "whole":
            return None
        column = self.names[len(values)] if len(values) < len(self.names) else ""
        if state == "doubtful":
            return (*_AFTER_CLOSING, column)
        several = len(held) > 1
        end = self._end(held, waiting) if state == "broken" else 1
        waiting.again(held[end:])
        del held[end:]
        never = state == "open" or (several and end == 1)
        return (*(_NEVER_CLOSED if never else _AFTER_CLOSING), column)

    def _end(self, held: list[Line], waiting: _Waiting) -> int:
        """Return how many lines the record has whose first one is at fault; lines may be added to `held`.

        It goes on to a line with a mark that closes a value and none before that opens one, if there is an
        even number of marks in all. Where a value is opened before, the fault was in the first line alone.
        """
        marks = held[0][1].count('"')
        if marks % 2 == 0:
            return 1
        for place in range(1, QUOTE_LINES + 1):
            if place == len(held):
                line = next(waiting, None)
                if not line:
                    break
                held.append(line)
            text = held[place][1]
            marks += text.count('"')
            mark = self._marks.outer.search(text)
            if mark and mark["opens"]:
                break
            if mark and marks % 2 == 0:
                return place + 1
        return 1

    def _of_values(self, values: Sequence[str], held: Sequence[Line]) -> Fault | None:
        names, most = self.names, self.most
        if not names:
            return None
        if len(values) < len(names):
            what = "it has fewer values than the head has columns"
            return what, "give the missing ones", names[len(values)]
        if any(values[len(names) :]):  # separators at the end alone do no harm
            what = "it has more values than the head has columns"
            return what, "put values with a separator in quotes", ""
        if sum(len(text) for _, text in held) > most:
            for name, value in zip(names, values, strict=False):
                if len(value) > most:
                    return f"it has more than {most:,} characters", "shorten it", name
        return None

    def _look_between(self, held: Sequence[Line]) -> None:
        between, most = held[1:-1], len(self.names) - 1
        if len(between) > 1 and all(text.count(self.separators) == most for _, text in between):
            self.running_on.append((held[0][0], held[-1][0]))


class _Waiting:
    """An iterator of lines to which lines can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._again.popleft() if self._again else next(self._lines)

    def again(self, lines: Sequence[Line]) -> None:
        self._again.extendleft(reversed(lines))


HALF = "it holds half of a character, a \\ud800 to \\udfff without its other half"
HALF_ADVICE = "write the whole character, or none"
OBJECT_ADVICE = "write one JSON object in each line"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_NAMES = {
    list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip


def object_of(line: str) -> dict[str, Any] | tuple[str, str]:
    """Return the object in a line of JSONL, or what is wrong with it and what to do."""
    try:
        found = json.loads(line)
    except ValueError as error:
        reason = (
            error.msg if isinstance(error, json.JSONDecodeError) else "no number of such a size can be read"
        )
        return f"it is no JSON ({reason[:1].lower()}{reason[1:]})", OBJECT_ADVICE
    except RecursionError:
        return "it is nested too deeply", OBJECT_ADVICE
    if not isinstance(found, dict):
        return f"it holds {_JSON_NAMES[type(found)]} and no object", OBJECT_ADVICE
    if "\\u" in line and _LONE_SURROGATE.search(json.dumps(found, ensure_ascii=False)):
        return HALF, HALF_ADVICE
    return found
