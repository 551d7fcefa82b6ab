"""What a run's weight changes do to real inputs of its layers, and to its answers on held-out rows.

dW (d_out, d_in) is the change of a layer's weight after the last step, with its scale, and W the pretrained
weight. x (T, d_in) are T tokens or patches of the run's own held-out rows as the layer receives them in the
pretrained model, so that all runs of a race are looked at on the same x. Answers are those of the trained
model, with all of its changes or without some.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, lru_cache, partial
from typing import Any, Literal, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.func import functional_call
from transformers.pytorch_utils import Conv1D

from cdvft_app.catalog.conversations import transcript
from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.data.pictures import data_url
from cdvft_app.events import ADAPTER
from cdvft_app.files import replacing
from cdvft_app.inspection.layers import block_positions
from cdvft_app.inspection.numbers import computed_within
from cdvft_app.inspection.sources import LiveRun, Source, Unavailable
from cdvft_app.payloads.factors import (
    Answered,
    Direction,
    Effects,
    ExampleAnswers,
    LayerEffect,
    Together,
)
from cdvft_app.results import finished_run, held_out
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.predictor import Predictor
from cdvft_app.store.runs import RunStore
from cdvft_app.tasks.base import LabelledTask, Prediction

MAX_TOKENS = 500  # that are looked at, of the first rows that are held out
MAX_ROWS, MAX_WRITTEN_ROWS = 192, 16  # that are answered again and again, with a label or in writing
USED = 0.9  # of the inputs' energy lies along the directions that count as used
LEADING = 8  # directions of another run's effect, outside of which a run is alone
ROUNDING = 1e-5  # of the largest singular value, below which one is zero in float32
FILE, MAX_BYTES = "effects.json", 2**20  # in the run's folder
DIRECTIONS, EXAMPLES = 4, 2  # every set of directions is switched off, 2^4 of them, for each example
CHOSEN_FROM = 48  # rows, of which those are shown that a layer moves most
WRITTEN_DIRECTIONS, WRITTEN_EXAMPLES = 2, 1  # where an answer is written, which takes seconds


class OnInputs(NamedTuple):
    """The effect of one change on inputs; see `on_inputs`."""

    quartiles: tuple[float, float, float]
    common: float
    used: float
    directions: int


def on_inputs(delta: Tensor, weight: Tensor, x: Tensor) -> OnInputs:
    """Return how large a change is on inputs, how much of it is one shift, and how much of it meets the
    inputs.

    `quartiles`: of ||dW x_t|| / ||W x_t|| over the tokens t, without unit. `common`: the part of the effect
    that is the same for every token, ||mean_t dW x_t||^2 / mean_t ||dW x_t||^2, 0 to 1: a bias could do it.
    `used`: ||dW V||_F^2 / ||dW||_F^2, 0 to 1, where the columns of V (d_in, k) are the first right singular
    vectors of x, as few as hold 90 % of ||x||_F^2; `directions` is k. A dW that cared about no direction more
    than about another would have k / d_in there. All but k are 0 for a dW of zeros.

    Args:
        delta: dW, (d_out, d_in)
        weight: W, (d_out, d_in)
        x: (T, d_in)
    """
    _, strengths, axes = torch.linalg.svd(x, full_matrices=False)
    energy = strengths.square().cumsum(0)
    k = int((energy < USED * energy[-1]).sum()) + 1
    change = x @ delta.T
    ratios = change.norm(dim=1) / (x @ weight.T).norm(dim=1)
    lower, middle, upper = ratios.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=ratios.dtype)).tolist()
    return OnInputs(
        (lower, middle, upper),
        _share(change.mean(0).square().sum(), change.square().sum(1).mean()),
        _share((delta @ axes[:k].T).square().sum(), delta.square().sum()),
        k,
    )


def cosine(one: Tensor, other: Tensor) -> float | None:
    """<one, other> / (||one|| ||other||), Frobenius, of tensors of one shape; None where one is zero."""
    sizes = one.norm() * other.norm()
    return float((one * other).sum() / sizes) if sizes > 0 else None


def alone(change: Tensor, other: Tensor) -> float:
    """Return the part of ||change||_F^2 outside the first `LEADING` right singular vectors of `other`, 0 to
    1.

    Of an effect of lower rank fewer count: what stands beyond its rank is arbitrary.

    Args:
        change: dW x of one run, a row a token, (T, d_out)
        other: that of another
    """
    _, strengths, axes = torch.linalg.svd(other, full_matrices=False)
    leading = axes[:LEADING][strengths[:LEADING] > ROUNDING * strengths[0]]
    return 1 - _share((change @ leading.T).square().sum(), change.square().sum())


def directions(changes: Sequence[Tensor], count: int) -> Tensor:
    """Return (count, d_out): perpendicular directions of length 1 along which the runs move what a layer
    gives.

    They are the first right singular vectors of all runs' effects, each scaled to norm 1, stacked.

    Args:
        changes: dW x of each run, a row a token, (T, d_out)
    """
    scaled = [change / change.norm().clamp(min=1e-30) for change in changes]
    return torch.linalg.svd(torch.cat(scaled), full_matrices=False)[2][:count]


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if whole > 0 else 0.0


class OpenedRuns:
    """Runs of one race on one model, with the rows that they were evaluated on; what was computed is kept.

    Args:
        shown: of the changed modules those that are measured; None: all.

    Attributes:
        modules: the parameter of each changed module, by the module's name without wrappers'.
        x: (T, d_in) what a module of the pretrained model receives, by module; `tokens` names the T.

    Raises:
        ResultsError: the runs are of different races, changed no layer that works token by token, or
            something of theirs cannot be read any more.
    """

    def __init__(self, runs: Sequence[FinishedRun], shown: Collection[str] | None = None) -> None:
        self.runs, self._shown = tuple(runs), shown
        self.models: Predictor = Predictor.load(runs)
        task = self.models.task
        task.model.eval()
        self.model: nn.Module = task.model
        self.modules = {
            name.removesuffix(".weight").removeprefix("backbone."): name
            for run in runs
            for name in self.models.changes[run.record.id]
            if name.endswith(".weight") and not (task.head and name.startswith(f"{task.head}."))
            and self.model.get_parameter(name).dim() == 2
        }  # fmt: skip
        if not self.modules:
            raise ResultsError(f"{runs[0].label} has changed no linear layer.")
        split = held_out.load(runs[0])
        count = min(len(split), MAX_ROWS if isinstance(task, LabelledTask) else MAX_WRITTEN_ROWS)
        self.rows = [split.inputs[place] for place in range(count)]
        self.expected = split.labels[:count]
        self.batch, self.labels = self._batch(self.rows, self.expected)
        self.x, self.tokens = self._inputs()
        if not self.x:
            raise ResultsError("None of this run's layers works token by token.")
        self._on_inputs: dict[tuple[int, str], OnInputs] = {}
        self._effects: dict[str, LayerEffect] = {}

    def _batch(self, rows: Sequence[Any], labels: Any) -> tuple[dict[str, Any], Tensor]:
        task = self.models.task
        examples = task.examples(rows, labels)
        batch = task.collate([examples[place] for place in range(len(rows))])
        return batch, batch.pop("labels")

    @torch.no_grad()
    def _inputs(self) -> tuple[dict[str, Tensor], list[str]]:
        received: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for module in self.modules:

                def record(_: nn.Module, given: Any, module: str = module) -> None:
                    received[module] = given[0].detach().float()

                handle = self._layer(module).register_forward_pre_hook(record)
                hooks.callback(handle.remove)
            self.model(**self.batch)
        # A Swin's layers see windows, a ConvNeXt's rows and columns.
        of_tokens = {name: x for name, x in received.items() if x.dim() == 3 and len(x) == len(self.rows)}
        if not of_tokens:
            return {}, []
        mask = self.batch.get("attention_mask")
        some = next(iter(of_tokens.values()))
        kept = mask.bool() if mask is not None else torch.ones(some.shape[:2], dtype=torch.bool)
        return (
            {name: x[kept][:MAX_TOKENS] for name, x in of_tokens.items() if x.shape[:2] == kept.shape},
            self._names(kept)[:MAX_TOKENS],
        )

    def _names(self, kept: Tensor) -> list[str]:
        ids = self.batch.get("input_ids")
        if ids is not None:
            task: Any = self.models.task  # one with tokens
            return list(task.tokenizer.convert_ids_to_tokens(ids[kept].tolist()))
        return [f"image {row + 1}, patch {place + 1}" for row, place in kept.nonzero().tolist()]

    @property
    def unit(self) -> Literal["tokens", "patches"]:
        return "patches" if self.runs[0].plan.model.kind == "image" else "tokens"

    def weight(self, module: str) -> Tensor:
        """W, (d_out, d_in)."""
        return self._turned(module, self.model.get_parameter(self.modules[module]).detach().float())

    def delta(self, run: int, module: str) -> Tensor:
        """dW of a run, (d_out, d_in); zeros where it left the module as it was."""
        changed = self.models.changes[self.runs[run].record.id].get(self.modules[module])
        weight = self.weight(module)
        return (
            torch.zeros_like(weight)
            if changed is None
            else self._turned(module, changed.detach().float()) - weight
        )

    def changes(self, run: int, instead: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return all that a run changed, by parameters' names, with another dW for the modules of
        `instead`."""
        own = dict(self.models.changes[self.runs[run].record.id])
        for module, delta in (instead or {}).items():
            own[self.modules[module]] = self._turned(module, self.weight(module) + delta)
        return own

    def without(self, run: int, modules: Iterable[str]) -> dict[str, Tensor]:
        """Return all that a run changed but for these modules; the head stays as it was trained."""
        return self.changes(run, {module: torch.zeros_like(self.weight(module)) for module in modules})

    def _layer(self, module: str) -> nn.Module:
        return self.model.get_submodule(self.modules[module].removesuffix(".weight"))

    def _turned(self, module: str, tensor: Tensor) -> Tensor:
        return tensor.T if isinstance(self._layer(module), Conv1D) else tensor

    @torch.no_grad()
    def right(self, changed: Mapping[str, Tensor]) -> tuple[Tensor | None, float]:
        """Return which rows are answered rightly, (rows) of bool, and the loss; None for a regression.

        A written answer is right if each of its tokens is the most probable after the right ones before it:
        then it would be written so.
        """
        task = self.models.task
        outputs = functional_call(self.model, dict(changed), args=(), kwargs=self.batch)
        loss = float(task.loss(outputs, self.labels))
        kept = task.preprocess_logits_for_metrics(outputs, self.labels)
        if not isinstance(task, LabelledTask):
            return (kept == self.labels).all(-1), loss
        return (None if task.regression else kept.argmax(-1) == self.labels), loss

    @cached_property
    def trained(self) -> tuple[Tensor | None, float]:
        """The result of `right` for the first run with all that it changed."""
        return self.right(self.changes(0))

    def answered(self, changed: Mapping[str, Tensor]) -> Answered:
        """Return how the rows are answered, and how many the first run's whole change alone gets right, or
        wrong."""
        whole, (right, loss) = self.trained[0], self.right(changed)
        if right is None or whole is None:
            return {"right": None, "loss": loss, "lost": 0, "gained": 0}
        lost, gained = int((whole & ~right).sum()), int((right & ~whole).sum())
        return {"right": int(right.sum()), "loss": loss, "lost": lost, "gained": gained}

    @cached_property
    def on(self) -> Answered:
        """The answers with all of the first run's changes."""
        right, loss = self.trained
        return {"right": None if right is None else int(right.sum()), "loss": loss, "lost": 0, "gained": 0}

    @cached_property
    def off(self) -> Answered:
        """The answers without any of the first run's changes of weights."""
        return self.answered(self.without(0, self.modules))

    @cached_property
    def shifts(self) -> Answered:
        """The answers with each dW x of the first run replaced by its mean over the tokens: one shift a
        layer."""
        with ExitStack() as hooks:
            for module, x in self.x.items():
                shift = (x @ self.delta(0, module).T).mean(0)

                def add(_: nn.Module, __: Any, output: Tensor, shift: Tensor = shift) -> Tensor:
                    return output + shift

                hooks.callback(self._layer(module).register_forward_hook(add).remove)
            return self.answered(self.without(0, self.modules))

    def measure(self, run: int, module: str) -> OnInputs:
        """Return what a run's change of one module does to inputs."""
        if (run, module) not in self._on_inputs:
            found = on_inputs(self.delta(run, module), self.weight(module), self.x[module])
            self._on_inputs[run, module] = found
        return self._on_inputs[run, module]

    def effect(self, module: str) -> LayerEffect:
        """Return what the first run's change of one module does, to inputs and to answers."""
        if module not in self._effects:
            found = self.measure(0, module)
            self._effects[module] = {
                "module": module,
                "ratio": list(found.quartiles),
                "common": found.common,
                "used": found.used,
                "directions": found.directions,
                "width": self.x[module].shape[1],
                "without": self.answered(self.without(0, [module])),
            }
        return self._effects[module]

    @property
    def measured(self) -> list[str]:
        """The modules of the first run whose inputs are tokens, in the model's order."""
        own = self.models.changes[self.runs[0].record.id]
        return [
            name
            for name in block_positions(self.modules)
            if self.modules[name] in own and name in self.x and (self._shown is None or name in self._shown)
        ]

    def most_changed(self, module: str) -> list[int]:
        """Places of some rows, first those whose answer some run's change of this module moves most."""
        moved = [
            self._trained_certainties[run] - self._certainty(self.without(run, [module]))
            for run in range(len(self.runs))
        ]
        return torch.stack(moved).abs().amax(0).argsort(descending=True, stable=True).tolist()

    @cached_property
    def _trained_certainties(self) -> list[Tensor]:
        return [self._certainty(self.changes(run)) for run in range(len(self.runs))]

    @torch.no_grad()
    def _certainty(self, changed: Mapping[str, Tensor]) -> Tensor:
        """Return for some rows the right class's probability, a number itself, or 1 for a right written
        answer."""
        task, few = self.models.task, CHOSEN_FROM
        batch, labels = self._batch(self.rows[:few], self.expected[:few])
        given = functional_call(self.model, dict(changed), args=(), kwargs=batch)
        kept = task.preprocess_logits_for_metrics(given, labels)
        if not isinstance(task, LabelledTask):
            return (kept == labels).all(-1).float()
        outputs = task.outputs(kept)
        return outputs[:, 0] if task.regression else outputs.gather(1, labels.long()[:, None])[:, 0]

    @torch.no_grad()
    def answers(self, run: int, inputs: Sequence[Any], instead: Mapping[str, Tensor]) -> list[Prediction]:
        """Return what a run answers, with another dW for the modules of `instead`."""
        forward = partial(_called, self.model, self.changes(run, instead))
        return self.models.task.predict(inputs, forward)


def _called(model: nn.Module, changed: dict[str, Tensor], **inputs: Any) -> Any:
    return functional_call(model, changed, args=(), kwargs=inputs)


@lru_cache(maxsize=2)
def _opened(store: RunStore, run_ids: tuple[str, ...], _: tuple[int, ...]) -> OpenedRuns:
    """Return the loaded runs; the last argument tells a run that was resumed from what it was before."""
    return OpenedRuns([finished_run.find(store, run_id) for run_id in run_ids])


def require_finished(source: Source) -> LiveRun:
    """Return the run, which is one of the store.

    Raises:
        Unavailable: it is a recorded one, of which no model is kept.
    """
    if isinstance(source, LiveRun):
        return source
    raise Unavailable("This is not recorded of this run. Train one like it, and it is computed.")


def opened(*sources: Source) -> OpenedRuns:
    """Return runs of the store, loaded.

    Raises:
        UserError: they have not finished, or something of theirs is not on this machine; says why.
    """
    live = [require_finished(source) for source in sources]
    return _opened(live[0].store, tuple(run.id for run in live), tuple(map(_trained_at, live)))


def _trained_at(run: LiveRun) -> int:
    return finished_run.trained_at(run.folder / ADAPTER)


def kept(run: LiveRun) -> Effects | None:
    """Return the effects that `keep` wrote, if they are of the run's weights; a stranger's file is
    checked."""
    file = run.folder / FILE
    try:
        status = file.stat()
        if status.st_size > MAX_BYTES or status.st_mtime_ns < _trained_at(run):
            return None
        return TypeAdapter(Effects).validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def keep(run: LiveRun, found: Effects) -> None:
    """Write the effects of all layers into the run's folder, if the disk allows."""
    with suppress(OSError), replacing(run.folder / FILE, private=True) as new:
        new.write_text(json.dumps(found), encoding="utf-8")


# What the page asks


def effects(runs: OpenedRuns, first: int = 0, seconds: float = 2.0) -> Effects:
    """Return what the run changed, from its layer of index `first` on, for as many as `seconds` allow."""
    every = runs.measured
    found = computed_within(seconds, every[first:], runs.effect)
    after = first + len(found)
    return {
        "layers": found,
        "next": after if after < len(every) else None,
        "unit": runs.unit,
        "tokens": len(runs.tokens),
        "rows": len(runs.rows),
        "trained": runs.on,
        "off": runs.off,
        "shifts": runs.shifts,
    }


def together(runs: OpenedRuns, module: str) -> Together:
    """Return one layer of one run, or of two: cosines, directions, and answers without some of these.

    Raises:
        Unavailable: the layer is not one of both runs', or does not work on tokens.
    """
    if module not in runs.x:
        raise Unavailable("This layer does not work token by token, so its effect is not measured.")
    x, count = runs.x[module], len(runs.runs)
    deltas = [runs.delta(run, module) for run in range(count)]
    if count == 2 and not deltas[1].any():
        raise Unavailable("The run beside this one has not changed this layer.")
    changes = [x @ delta.T for delta in deltas]
    centred = [change - change.mean(0) for change in changes]
    written = not isinstance(runs.models.task, LabelledTask)
    axes = directions(changes, WRITTEN_DIRECTIONS if written else DIRECTIONS)
    pair = count == 2
    return {
        "updates": cosine(*deltas) if pair else None,
        "effects": cosine(*changes) if pair else None,
        "centred": cosine(*centred) if pair else None,
        "alone": [alone(changes[0], changes[1]), alone(changes[1], changes[0])] if pair else [],
        "common": [_share(c.mean(0).square().sum(), c.square().sum(1).mean()) for c in changes],
        "directions": [_direction(runs, changes, axis) for axis in axes],
        "examples": _examples(runs, module, deltas, axes, WRITTEN_EXAMPLES if written else EXAMPLES),
    }


def _direction(runs: OpenedRuns, changes: Sequence[Tensor], axis: Tensor) -> Direction:
    along = [change @ axis for change in changes]
    shares = [_share(one.square().sum(), c.square().sum()) for one, c in zip(along, changes, strict=True)]
    strongest = along[max(range(len(along)), key=lambda run: shares[run])].abs()
    names = dict.fromkeys(runs.tokens[int(place)] for place in strongest.argsort(descending=True)[:40])
    return {
        "shares": shares,
        "cosine": cosine(*along) if len(along) == 2 else None,
        "common": [_share(one.mean().square(), one.square().mean()) for one in along],
        "tokens": [*names][:4],
    }


def _examples(
    runs: OpenedRuns, module: str, deltas: Sequence[Tensor], axes: Tensor, count: int
) -> list[ExampleAnswers]:
    """Return each run's answers without sets of directions, for the rows whose answer this layer changes
    most."""
    rows = runs.most_changed(module)[:count]
    inputs = [runs.rows[row] for row in rows]
    every: list[list[list[Prediction]]] = []
    for run, delta in enumerate(deltas):
        sets = []
        for chosen in range(2 ** len(axes)):
            off = axes[[place for place in range(len(axes)) if chosen >> place & 1]]
            sets.append(runs.answers(run, inputs, {module: delta - off.T @ (off @ delta)}))
        sets.append(runs.answers(run, inputs, {module: torch.zeros_like(delta)}))
        nothing = {name: torch.zeros_like(runs.weight(name)) for name in runs.modules}
        sets.append(runs.answers(run, inputs, nothing))
        every.append(sets)
    found: list[ExampleAnswers] = []
    for at, row in enumerate(rows):
        names = dict.fromkeys(said(one[at])[0] for sets in every for one in sets)
        places = {name: place for place, name in enumerate(names)}
        text, picture, right = _shown(runs, row)
        found.append(
            {
                "text": text,
                "picture": picture,
                "right": right,
                "labels": [*names],
                "answers": [[(places[said(one[at])[0]], said(one[at])[1]) for one in sets] for sets in every],
            }
        )
    return found


def said(one: Prediction) -> tuple[str, float | None]:
    """Return an answer as a text, and its probability where it is a class."""
    if one.label is not None:
        return one.label, round(max(one.probabilities), 4)
    return (f"{one.value:.6g}" if one.value is not None else one.text or ""), None


def _shown(runs: OpenedRuns, row: int) -> tuple[str | None, str | None, str]:
    """Return a row's text, its picture as a data address, and its right answer."""
    given, label = runs.rows[row], runs.expected[row]
    names = runs.models.task.labels
    expected = names[int(label)] if names else str(label)
    if isinstance(given, str | list | tuple):
        return (transcript(given) if isinstance(given, str) else " / ".join(given)), None, expected
    example = held_out.example(Split(runs.rows, runs.expected), names, row)
    return None, data_url(example["image"]), expected
