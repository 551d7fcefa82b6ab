"""Records out of the lines of a CSV or TSV file: each line is of a record, or is named as left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cdvft_app.data.faults import RowErrors
from cdvft_app.data.limits import Limits
from cdvft_app.data.record import Marks, Record, State

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
    """How records are read. Each letter of `separators` separates; `names` are those of the columns, none
    while they are not known.

    Every line that is not blank is of a record that is given, or is a fault. `running_on` are the first and
    the last line of each value over several lines of which those between look like rows of their own.
    """

    separators: str
    limits: Limits
    faults: RowErrors
    names: Sequence[str] = ()
    running_on: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._marks = Marks(self.separators)

    def of(self, lines: Iterable[Line]) -> Iterator[tuple[list[Line], list[str]]]:
        """Each record that can be read: its lines, and its values."""
        waiting, columns, most = _Waiting(iter(lines)), len(self.names), self.limits.cell_characters
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
        """What is wrong with quotation marks. `held` keeps the lines of the record; others wait anew."""
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
        """How many lines the record has whose first one is at fault; `held` may come to have more.

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
        names, most = self.names, self.limits.cell_characters
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
    """Lines, of which some may be looked at again."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._again.popleft() if self._again else next(self._lines)

    def again(self, lines: Sequence[Line]) -> None:
        self._again.extendleft(reversed(lines))
