"""The first lesson, sentence by sentence: what is said of one column that slides."""

from __future__ import annotations

import torch
from lesson_words import word_tests
from torch import Tensor

from cdvft.blocks import parameter_count
from cdvft.circulant import cd_product, circulant

D = 8
X = torch.tensor([0.3, 0.9, 1, 0.5, -0.2, -0.8, -0.6, 0.1])
PLACES = circulant(torch.arange(D))  # which number of c stands where


def unit(place: int) -> Tensor:
    return torch.eye(D)[place]


def slides_down_by_one() -> bool:
    return all(torch.equal(PLACES[:, j], torch.arange(D).roll(j)) for j in range(D))


def one_number_alone_moves() -> bool:
    alone = all(torch.equal(circulant(unit(k)) @ X, X.roll(k)) for k in range(D))
    c = torch.arange(1.0, D + 1)
    added = sum((c[k] * X.roll(k) for k in range(D)), torch.zeros(D))
    return alone and torch.allclose(circulant(c) @ X, added)


def entries_that_change() -> int:
    c = torch.arange(1.0, D + 1)
    return int((circulant(c) != circulant(c + unit(3))).sum())


def stands_once_in_every_column() -> bool:
    return all(bool((k == PLACES).sum(0).eq(1).all()) for k in range(D)) and all(
        int(PLACES[(k + j) % D, j]) == k for k in range(D) for j in range(D)
    )


def every_row_holds_all() -> bool:
    return all(sorted(row) == [*range(D)] for row in PLACES.tolist()) and PLACES.numel() == 64


HOLD = {
    "circulant": {
        "Copied to the right, one place lower each time, the column $c$ fills a **circulant** matrix,"
        " $\\mathrm{circ}(c)$.": slides_down_by_one,
        "What falls off below comes in above.": lambda: all(
            int(PLACES[0, j]) == int(PLACES[D - 1, j - 1]) for j in range(1, D)
        ),
        "Only c[2] = 1 is left, and it moves x by two places.": lambda: torch.equal(
            circulant(unit(2)) @ X, X.roll(2)
        ),
        "Any other c[k] would add a copy of x, moved by k places and multiplied by c[k].": (
            one_number_alone_moves
        ),
        "A single number of c moves x: c[2] = 1 by two places.": one_number_alone_moves,
        "Each number of c fills 8 of the 64 entries, one in each column.": lambda: (
            entries_that_change() == 8 and stands_once_in_every_column()
        ),
        "Each number appears once in every column, along a diagonal that wraps around the edges.": (
            stands_once_in_every_column
        ),
        "Each row holds all of $c$, too: 8 numbers fill 64 places.": every_row_holds_all,
        "A layer of $768 \\times 768$ has 589,824 places, and one circulant fills them with 768 numbers.": (
            lambda: 768 * 768 == 589_824 and parameter_count(768, 768, m=2) == 3 * 768
        ),
        "CDVFT, the method of this studio, puts a diagonal before and after it.": lambda: torch.allclose(
            cd_product([X, X + 1], [unit(3)]), torch.diag(X + 1) @ circulant(unit(3)) @ torch.diag(X)
        ),
    },
}
SAY_NOTHING: dict[str, set[str]] = {"circulant": set()}
TRUE = {
    "circulant-shift": lambda: torch.equal(circulant(unit(2)) @ X, X.roll(2)),
    "circulant-entry": entries_that_change,
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
