"""Payloads of the Train tab: runs as they are watched, the history, the recipes."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Charted, Figure, GroupRequest, Method, TokenRequest
from cdvft_app.store.states import RunState


class Estimate(TypedDict):
    """A forecast number with its range; `how` is a sentence on where it comes from."""

    value: float
    low: float
    high: float
    how: str


class Evaluating(TypedDict):
    """How often a run is evaluated, and the seconds of one evaluation and of the last one."""

    times: int
    seconds: float
    last_seconds: float


class Forecast(TypedDict):
    """A run's forecast; None: nothing is known of this device yet."""

    trainable_parameters: Estimate
    adapter_bytes: Estimate
    seconds: Estimate | None
    whole_seconds: Estimate | None
    peak_memory_bytes: Estimate
    evaluating: NotRequired[Evaluating | None]  # not in forecasts of earlier histories


class RunLasting(TypedDict):
    """The facts of a run that do not change while it is watched; `created` is in seconds since 1970."""

    group: str
    method: Method
    label: str
    twin: int  # place among those of its method in its race
    summary: str
    settings: dict[str, Any]
    options: dict[str, Any]  # of the command that trains it again
    created: float
    forecast: Forecast | None
    untrained: str | None  # how the model does before any training, in a sentence


class Job(TypedDict):
    """A run that trains as a Job of the hub; `address` is None until the hub has taken it."""

    address: str | None
    repository: str
    repository_address: str


class RunNow(TypedDict):
    """The facts of a run that may change from one second to the next.

    `best_step`: the one that is kept, where one was chosen; `last_metric` is of the last one, where that is
    another.
    """

    id: str
    name: str
    state: RunState
    reason: str | None
    step: int
    total_steps: int | None
    trainable_parameters: int | None
    head_parameters: int | None
    base_parameters: int | None
    metric_name: str | None
    metric_title: str | None
    metric: float | None
    best_step: int | None
    last_metric: float | None
    seconds: float | None
    examples_per_second: float | None
    device: str | None
    precision: str | None
    whole_seconds: NotRequired[float | None]
    adapter_bytes: NotRequired[int | None]
    peak_memory_bytes: NotRequired[int | None]
    lent_seconds: NotRequired[float | None]  # of a GPU that is lent by the second
    job: NotRequired[Job | None]


class Note(TypedDict):
    text: str
    level: str


class Preparing(TypedDict):
    """The loading before the first step; `fraction` in 0..1, None where it is not known."""

    text: str
    fraction: float | None


class Answers(TypedDict):
    """The answers that a model writes after so many steps; a prompt and its answer have the same place.

    `right`: the answer that is, where it is known; `wrong`: the fields that differ from it, "" for all of
    it. `tokens`: pieces of the answer, each with its probability. Runs of earlier histories have none of
    the three.
    """

    step: int
    prompts: list[str]
    answers: list[str]
    right: NotRequired[list[str | None]]
    wrong: NotRequired[list[list[str]]]
    tokens: NotRequired[list[list[tuple[str, float]]]]


class RunRows(TypedDict):
    """New rows: a step is [step, seconds, loss], an evaluation [step, seconds, metric, whether it is on
    validation rows].

    `answers` are of a model that writes, to the same prompts at each snapshot.
    """

    steps: list[tuple[int, float, float | None]]
    evaluations: list[tuple[int, float, float | None, bool]]
    notes: list[Note]
    answers: NotRequired[list[Answers]]
    preparing: NotRequired[Preparing]


class RunNews(RunNow, RunRows):
    """A run since a cursor; `more` rows wait. `place` is that in the queue."""

    cursor: int
    more: bool
    place: NotRequired[int | None]


class WholeRun(RunNews, RunLasting):
    """A run from its first row on."""


class PollRequest(TokenRequest):
    """The cursor of each run that the page watches, by its id; 0 at first."""

    cursors: dict[str, int]


class RunsPoll(TypedDict):
    """The news of the runs that a page watches; the token that asked may stop them where `stoppable`.

    `slice`: the run of which this page is to have the next slice trained.
    """

    runs: list[RunNews | WholeRun]
    missing: list[str]
    stoppable: NotRequired[bool]
    slice: NotRequired[str | None]


class VerdictRequest(TokenRequest):
    runs: list[str]


class RaceVerdict(TypedDict):
    """The judge's sentences on a race; `leaders` are runs that are ahead of another and behind none."""

    sentences: list[str]
    leaders: list[str]


class RunViewFixed(Charted):
    """`invitation` stands beside a recorded race; at most `max_runs` are drawn together."""

    invitation: str
    max_runs: int


# "last" and "best": nobody asked for a run. "waiting": nobody has looked yet which one this visitor sees.
Why = Literal["linked", "new", "chosen", "last", "best", "waiting"]


class RunView(TypedDict):
    """The runs that are shown, and why.

    `serial` differs from that of the view before, so that the same runs can be shown anew. `recorded`: when
    and where those were trained that ship; their `rows` come along.
    """

    runs: list[str]
    kind: Why
    token: str
    serial: int
    recorded: str | None
    rows: RunsPoll | None
    refused: NotRequired[str | None]


class RaceRun(TypedDict):
    """A run of a race in the history."""

    id: str
    method: Method
    label: str
    state: RunState
    metric: float | None
    metric_name: str | None
    metric_title: str | None
    trainable_parameters: int | None
    seconds: float | None


class Race(TypedDict):
    """A race or sweep of the history.

    `mine`: the requester may rename it, keep it `private`, and delete it unless it trains. On `own_data` it
    stays private. `states`: the number of its runs by state. A sweep has no `runs`.
    """

    name: str
    summary: str
    data: str
    created: float
    group: str
    sweep: bool
    mine: bool
    private: bool
    own_data: bool
    training: bool
    states: dict[str, int]
    runs: list[RaceRun]


class RacesRequest(TokenRequest):
    limit: NotRequired[int]


class Races(TypedDict):
    races: list[Race]
    more: bool


class GroupsRequest(TokenRequest):
    """A request about races and sweeps, by their groups."""

    groups: list[str]


class RenameRequest(GroupsRequest):
    name: str


class PrivateRequest(GroupsRequest):
    private: bool


class RecipeCard(TypedDict):
    key: str
    title: str
    offline: bool
    about: str
    expect: str
    paper: str | None
    expect_source: str


class WhatIsLearned(TypedDict):
    """The recipe whose settings hold, and the name of the data of one's own that replaces its data."""

    recipe: str
    own: str | None


class RecipesFixed(TypedDict):
    unmeasured: str
    recipes: list[RecipeCard]


class HubReach(TypedDict):
    reachable: bool
    text: str


class Roles(TypedDict):
    """The columns that are read, and the one that is learned: a "label", or an "answer" that is written.

    `clean` are the steps that mend the rows before.
    """

    task: Literal["label", "answer"]
    inputs: list[str]
    label: str | None
    clean: list[str]


class MendingStep(TypedDict):
    """A step against what a warning says; `title` says what it does."""

    warning: str
    step: str
    title: str


class UploadedColumn(TypedDict):
    """A column of an uploaded table with the cells of the rows that are shown; `type` is what it holds."""

    name: str
    type: str
    distinct: int
    missing: int
    findings: list[str]
    cells: list[str]


class Bars(TypedDict):
    """Shares of a whole, each with its name and text; `more` is said below."""

    title: str
    bars: list[tuple[str, float, str]]
    more: str


class Picture(TypedDict):
    """A PNG in base64."""

    png: str
    label: str


class UploadedLook(TypedDict):
    """The content of an uploaded table, and what would be learned from it; `problem` says why nothing can be.

    `read` says how the file was read, `sides` which rows are for what, `settings` where those are from.
    `rows` are the numbers or names of the rows that are shown. `findings` are about no column. `cleaned`:
    what each step did, and last which rows were mended. `automatic` steps are done without being asked for.
    """

    name: str
    read: str
    kind: Literal["text", "image"]
    roles: Roles
    task: str
    sides: str
    settings: str
    problem: str | None
    columns: list[UploadedColumn]
    hidden_columns: int
    rows: list[str]
    pictures: list[Picture]
    classes: Bars | None
    lengths: Bars | None
    findings: list[str]
    mended_by: list[MendingStep]
    cleaned: list[str]
    automatic: list[str]


class SearchTrial(TypedDict):
    """One trial: its run and what it tried; loss and score are of validation rows, None before its end."""

    number: int
    run: str | None
    state: str
    settings: str
    loss: float | None
    score: str | None


class SearchFigure(TypedDict):
    title: str
    figure: Figure


class SearchedMethod(TypedDict):
    """One method's part of a search. `figures` have a title each; none before there is something to draw."""

    method: Method
    label: str
    trials: list[SearchTrial]
    budget: int
    best: int | None
    sentences: list[str]
    figures: list[SearchFigure]


class SearchShown(TypedDict):
    """A search as it is now. `race`: the address of the form that races the best of each; None before that.

    `waits`: nothing trains, and a run waits to be resumed.
    """

    title: str
    methods: list[SearchedMethod]
    running: bool
    waits: bool
    race: str | None


class SearchViewRequest(GroupRequest):
    """A search, which the page has as of `known`."""

    known: NotRequired[str | None]


class SearchAnswer(TypedDict, total=False):
    """A search as it is shown, unless the page has it as of `known` already; or `missing`."""

    missing: bool
    mine: bool
    known: str
    shown: SearchShown
