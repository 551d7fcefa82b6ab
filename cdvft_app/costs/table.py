"""What each method costs on a model, one JSON object a method: for the command line, the page and the API.

>>> rows = cost_table(parse_cost({"model": "roberta-base", "methods": ["cdvft", "lora"]}))
>>> [(row["method"], row["trainable_parameters"]) for row in rows]
[('cdvft', 55296), ('lora', 294912)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from cdvft import cost
from cdvft.cost import Shape
from cdvft_app.costs.memory import step_memory
from cdvft_app.costs.request import PRECISIONS, CostRequest, StoragePrecision
from cdvft_app.methods import InvalidChoice, Method
from cdvft_app.shapes import ModelShapes, backbone_shapes, model_shapes

DEFAULT_TOKENS = {"text": 128, "generation": 512}

MEASURED_ONLY = "match: seconds_per_step needs measured times. Press Measure on the Compare tab."
_MODEL_ASSUMPTIONS = (
    "The frozen model counts 2 FLOPs a weight and token forward, and as many backward down to the first "
    "adapted layer; attention looks at all tokens, and its backward counts 2.5 times its forward.",
    "The memory of a whole step is the model's weights, what the method adds, and the outputs that its "
    "layers keep for the backward pass; the program itself comes on top. For SmolLM2-135M the formula gives "
    "0.94 to 1.02 of what torch's profiler counted, in 8 bits 0.81 to 0.89.",
    "A classification head is trained by every method, and counted by none but head only.",
)
_CHECKPOINTED = (
    "With checkpointing the blocks' forward pass runs twice: the whole step's FLOPs count the second time, "
    "those that a method adds do not."
)


@dataclass(frozen=True)
class CostRow:
    """One method's cost for one training step, all but `method` and `model` None where it is `unavailable`.

    FLOPs without further name are what the method adds; `frozen_...` is the model's own part as far as the
    method needs it: head-only training needs no backward pass through the model. `recomputed_...` is what
    checkpointing computes again of both. `adapter_bytes` are the file's. `frozen_bytes` to `logit_bytes` are
    a step's in the request's precision, see `costs.memory.StepMemory`, and `step_bytes` their sum.
    `head_parameters` are trained besides by every method, and are in no other number but head's own. Where
    `setting` has None, each layer takes its default.
    """

    method: str
    model: str
    unavailable: str | None = None
    setting: dict[str, int | None] | None = None
    targets: list[str] | None = None
    adapted_layers: int | None = None
    adapted_weights: int | None = None
    batch: int | None = None
    sequence: int | None = None
    convention: cost.Convention | None = None
    trainable_parameters: int | None = None
    trainable_share: float | None = None
    head_parameters: int | None = None
    adapter_bytes: int | None = None
    forward_flops_fixed: float | None = None
    forward_flops_per_token: float | None = None
    backward_flops_fixed: float | None = None
    backward_flops_per_token: float | None = None
    forward_flops_per_step: int | None = None
    backward_flops_per_step: int | None = None
    flops_per_step: int | None = None
    frozen_forward_flops_per_step: int | None = None
    frozen_backward_flops_per_step: int | None = None
    recomputed_flops_per_step: int | None = None
    total_flops_per_step: int | None = None
    precision: str | None = None
    gradient_checkpointing: bool | None = None
    frozen_bytes: int | None = None
    adapter_weight_bytes: int | None = None
    gradient_bytes: int | None = None
    optimizer_bytes: int | None = None
    activation_bytes: int | None = None
    model_activation_bytes: int | None = None
    logit_bytes: int | None = None
    step_bytes: int | None = None
    frozen_parameters: int | None = None
    assumptions: list[str] | None = None


class _Unavailable(Exception):
    """The model has no place for this method; the text says why."""


def cost_table(
    request: CostRequest, precision: StoragePrecision | None = None, read_by_head: bool = False
) -> list[dict[str, Any]]:
    """Return one `CostRow` a method, as a JSON-serialisable object, in the order asked for.

    `precision`: one that has no name in a request; None: the request's. `read_by_head`: as a head reads the
    model, see `backbone_shapes`.

    Raises:
        InvalidChoice: the model, its targets or a setting cannot be; a method that the model has no place for
            is a row with its reason instead.
    """
    rows = _rows(request, precision or PRECISIONS[request.precision], read_by_head)
    return [asdict(row) for row in rows]


def cost_row(request: CostRequest, method: Method) -> dict[str, Any]:
    """Return the row of one method alone, with its own sizes, whatever the request matches; see
    `cost_table`."""
    return cost_table(request.model_copy(update={"methods": (method,), "match": None}))[0]


@lru_cache(maxsize=256)  # most visitors ask what the page begins with
def _rows(request: CostRequest, precision: StoragePrecision, read_by_head: bool) -> tuple[CostRow, ...]:
    shapes = (backbone_shapes if read_by_head else model_shapes)(request.model, request.image_size)
    targets = request.targets or shapes.default_targets
    shapes.select(targets)  # refuses before any row what no row could have
    table = _Table(request, shapes, targets, _sequence(request, shapes), precision)
    try:
        return tuple(map(table.row, request.methods))
    except ValueError as error:  # the formulas say in a sentence what they cannot count
        raise InvalidChoice(str(error)) from error


@dataclass(frozen=True)
class _Table:
    """A model, the step it is asked about, and the layers that adapters sit on."""

    request: CostRequest
    shapes: ModelShapes
    targets: tuple[str, ...]
    sequence: int
    precision: StoragePrecision

    def row(self, method: Method) -> CostRow:
        try:
            complete, found = self._cost(method)
        except _Unavailable as reason:
            return CostRow(method.key, self.shapes.name, unavailable=str(reason))
        adapted = self.shapes.select(self.targets) if method.adapter else ()
        forward, backward = self._frozen_flops(method, adapted)
        again = self._recomputed_flops(found, adapted)
        shared = [field.name for field in fields(CostRow) if hasattr(found, field.name)]
        assumptions = [*found.assumptions, *_MODEL_ASSUMPTIONS]
        if again:
            assumptions.append(_CHECKPOINTED)
        row = CostRow(
            **{**{name: getattr(found, name) for name in shared}, "assumptions": assumptions},
            model=self.shapes.name,
            setting=complete.sizes(),
            targets=list(self.targets) if adapted else [],
            adapted_layers=len(adapted),
            adapted_weights=sum(shape.weights for shape in adapted),
            trainable_share=found.trainable_parameters / self.shapes.total_parameters,
            head_parameters=sum(shape.weights + shape.d_out for shape in self._head()),
            frozen_forward_flops_per_step=forward,
            frozen_backward_flops_per_step=backward,
            recomputed_flops_per_step=again,
            total_flops_per_step=forward + backward + again + found.flops_per_step,
            frozen_parameters=self.shapes.total_parameters,
            precision=self.request.precision,
            gradient_checkpointing=self.request.gradient_checkpointing,
        )
        memory = step_memory(asdict(row), self.shapes, self.precision, self.request.gradient_checkpointing)
        return replace(row, **asdict(memory), step_bytes=memory.total)

    def _cost(self, method: Method) -> tuple[Method, cost.Cost]:
        """Return the method with its sizes filled in, and what it costs."""
        if method.key == "full":
            everything = (*self.shapes.layers, *self.shapes.convolutions)
            return method, self._estimate(method, everything, self.shapes.other_parameters)
        if method.key == "head":
            if not self._head():
                raise _Unavailable(
                    f"{self.shapes.name} generates text and has no classification head to train."
                )
            return method, self._estimate(method, self._head())
        adapted = self.shapes.select(self.targets)
        why = method.unsupported_reason(adapted)
        if why:
            raise _Unavailable(why)
        if method.matched_by and self.request.match:  # matched sizes are found, not chosen
            if self.request.match == "seconds_per_step":
                raise InvalidChoice(MEASURED_ONLY)
            return self._matched(method, adapted, self.request.match)
        method.require_fitting(adapted)
        complete = method.with_layer_defaults(adapted)
        return complete, self._estimate(complete, adapted)

    def _matched(
        self, method: Method, adapted: tuple[Shape, ...], quantity: cost.Quantity
    ) -> tuple[Method, cost.Cost]:
        _, reference = self._cost(self.request.reference)
        try:
            found = cost.match(
                method.key,  # type: ignore[arg-type]
                reference,
                adapted,
                quantity,
                largest=method.largest_match(),
            )
        except ValueError as error:
            raise _Unavailable(str(error)) from error
        return method.matched(found.value), found.cost

    def _estimate(self, method: Method, shapes: Sequence[Shape], other_parameters: int = 0) -> cost.Cost:
        return method.estimate(
            shapes,
            batch=self.request.batch,
            sequence=self.sequence,
            convention=self.request.convention,
            other_parameters=other_parameters,
        )

    def _frozen_flops(self, method: Method, adapted: tuple[Shape, ...]) -> tuple[int, int]:
        """Return the frozen model's FLOPs of a step, forward and backward."""
        tokens = self.request.batch * self.sequence
        forward = round(tokens * self.shapes.forward_flops_per_token(self.sequence))
        if method.key == "head":
            return forward, 0
        return forward, round(tokens * self.shapes.backward_flops_per_token(self.sequence, adapted or None))

    def _recomputed_flops(self, found: cost.Cost, adapted: tuple[Shape, ...]) -> int:
        """Return the FLOPs of checkpointing's second forward pass, the model's and the method's own."""
        if not self.request.gradient_checkpointing or found.method == "head":
            return 0
        of_a_token = self.shapes.recomputed_flops_per_token(self.sequence, adapted or None)
        return round(self.request.batch * self.sequence * of_a_token) + found.forward_flops_per_step

    def _head(self) -> tuple[Shape, ...]:
        if self.shapes.kind == "generation":
            return ()
        return (Shape("head", self.request.labels, self.shapes.hidden_size, bias=True, pooled=True),)


def usual_sequence(shapes: ModelShapes) -> int:
    """Return the number of tokens in one input of the model where no other is asked for."""
    if shapes.tokens is not None:
        return shapes.tokens
    usual = DEFAULT_TOKENS[shapes.kind]
    return min(usual, shapes.max_length or usual)


def _sequence(request: CostRequest, shapes: ModelShapes) -> int:
    if shapes.tokens is not None:
        if request.sequence not in (None, shapes.tokens):
            raise InvalidChoice(
                f"sequence: got {request.sequence}, but an image of {shapes.name} has {shapes.tokens} tokens "
                "at this size. Leave it empty: the size of the image decides."
            )
        return shapes.tokens
    sequence = request.sequence or usual_sequence(shapes)
    if shapes.max_length and sequence > shapes.max_length:
        raise InvalidChoice(
            f"sequence: got {sequence}; {shapes.name} takes at most {shapes.max_length} tokens. Choose fewer."
        )
    return sequence
