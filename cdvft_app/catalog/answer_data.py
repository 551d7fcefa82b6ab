"""Data of prompts with their answers that can be chosen."""

from __future__ import annotations

from cdvft_app.catalog.entries import DatasetEntry

_BRANCH = "No commit is pinned: the branch main is read, and the run records the commit it stood at."

ANSWER_DATA = (
    DatasetEntry(
        key="us_addresses",
        title="US addresses, 615 labelled by hand",
        kind="generation",
        source="assets",
        location="us_addresses",
        config=None,
        revision=None,
        text_columns=("address",),
        label_column=None,
        labels=(),
        metric="exact_match",
        train_split="train",
        evaluation_split="test",
        licence="MIT, (c) 2014 The Atlanta Journal Constitution",
        note="From the training data of usaddress; no street is both trained on and asked.",
        examples=471,
        mean_tokens=92,
        most_tokens=119,
        instruction="Fill in number, street, unit, city, state and zip, one a line.",
        fields=("number", "street", "unit", "city", "state", "zip"),
        example="742 Evergreen Terrace apt 3, Springfield, OR 97477",
    ),
    DatasetEntry(
        key="alpaca",
        title="Alpaca",
        kind="generation",
        source="hub",
        location="tatsu-lab/alpaca",
        config=None,
        revision="main",
        text_columns=("instruction",),
        label_column="output",
        labels=(),
        metric="chrf",
        train_split="train",
        evaluation_split=None,
        licence="CC BY-NC 4.0",
        note=f"52,002 instructions with answers of a larger model; one in five is held out. {_BRANCH}",
        examples=41_602,
        files="data/{split}-*.parquet",
    ),
    DatasetEntry(
        key="metamath",
        title="MetaMathQA",
        kind="generation",
        source="hub",
        location="meta-math/MetaMathQA",
        config=None,
        revision="main",
        text_columns=("query",),
        label_column="response",
        labels=(),
        metric="exact_match",
        train_split="train",
        evaluation_split=None,
        licence="MIT",
        note="395,000 word problems with their solutions; one in five is held out, and of it the number at "
        f"the end counts. {_BRANCH}",
        examples=316_000,
        instruction="Solve the problem step by step, and end with “The answer is:” and the answer.",
        answer_mark="The answer is:",
    ),
)
