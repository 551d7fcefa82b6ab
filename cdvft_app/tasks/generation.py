"""Writing an answer to a prompt, with a causal language model as it came: no head is put on.

A prompt, with the messages before it where it is a conversation, is laid out by the model's own chat
template under the data's instruction. Only the answer and the token that ends it are learned. While
training, an answer counts as right where the most probable token is the right one at every place of it,
each time given the right ones before (one forward pass); at the end answers are really written, token by
token.

In mixed precision torch.autocast rounds every float32 weight anew in every pass, once a token where an answer
is written. Weights that no method changes are rounded once instead: in training the products are the same to
the bit; while an answer is written, the sum of a rounded weight and its update is rounded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jinja2 import TemplateError
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction, PreTrainedModel

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import OpenedLanguageModel, load_language_model, open_language_model
from cdvft_app.catalog.conversations import messages_of
from cdvft_app.metrics import measure_each_text, measure_texts
from cdvft_app.metrics.fields import read_fields
from cdvft_app.progress import Progress, ShouldStop
from cdvft_app.settings import RunSettings
from cdvft_app.tasks import shared_prefix
from cdvft_app.tasks.attention import attend_in_float32
from cdvft_app.tasks.base import Examples, GenerativeTask, InvalidInput, Prediction, TooLong, WrittenAnswer
from cdvft_app.tasks.writing import GREEDY, IGNORED, Pieces, Sampling, prompts_of, rows_at_once, tokens


def make_states_contiguous(model: PreTrainedModel) -> None:
    """Have the model's output layer get its input contiguous in memory.

    Of states (B, T, d) whose last places are asked for, PyTorch multiplies a slice that is not in one
    piece; without gradients its linear layer then expands the weight to (B, d, vocabulary), which in
    bfloat16 is copied. One product for 16 rows of SmolLM2-135M took 703 ms that way, and takes 59 of states
    in one piece; for 96 rows at once 3.8 s and 5 GB, and 9 ms.
    """
    output = model.get_output_embeddings()
    if output is not None:
        output.register_forward_pre_hook(_contiguous)


def _contiguous(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.contiguous() if isinstance(one, Tensor) else one for one in given)


@dataclass(frozen=True)
class MixedPrecision:
    """The dtypes of a model's products and weights.

    Attributes:
        autocast_dtype: they are made in, by autocast; None: in that of the weights.
        is_rounded: whether weights that were float32 are kept in that dtype.
    """

    autocast_dtype: torch.dtype | None = None
    is_rounded: bool = False


def round_frozen(model: nn.Module, autocast_dtype: torch.dtype | None) -> MixedPrecision:
    """Keep the frozen weights of linear layers in `autocast_dtype`, but those that embeddings share."""
    embedded = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    frozen = [
        layer.weight
        for layer in _float32_layers(model)
        if not layer.weight.requires_grad and id(layer.weight) not in embedded
    ]
    if autocast_dtype is not None:
        for weight in frozen:
            weight.data = weight.data.to(autocast_dtype)
    return MixedPrecision(autocast_dtype, is_rounded=autocast_dtype is not None and bool(frozen))


@contextmanager
def ready_to_write(model: nn.Module, precision: MixedPrecision) -> Iterator[None]:
    """Have a token cost as little as it can meanwhile, in the precision in which the model was trained."""
    with merged(model, precision), _rounded(model, precision.autocast_dtype):
        yield


@contextmanager
def merged(model: nn.Module, precision: MixedPrecision) -> Iterator[None]:
    """Have adapters' updates stand in the weights meanwhile, so that a token costs what it does without
    adapter.

    Afterwards the very same weights are back, not those from which the update was taken out again. Sums are
    float32. A model that came in less than float32 stays as it is: rounded, the sum would be another model.
    """
    layers: list[Any] = [one for one in model.modules() if isinstance(one, BaseTunerLayer) and not one.merged]
    weights = [layer.get_base_layer().weight for layer in layers]
    dtypes = {torch.float32, precision.autocast_dtype if precision.is_rounded else None}
    if any(weight.dtype not in dtypes or type(weight.data) is not Tensor for weight in weights):
        yield
        return
    kept = [weight.data for weight in weights]
    try:
        for layer, weight in zip(layers, weights, strict=True):
            weight.data = weight.data.to(torch.float32, copy=True)  # some methods add in place
            layer.merge()
        yield
    finally:
        for layer, data in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = data
            layer.merged_adapters.clear()


@contextmanager
def _rounded(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Autocast to `dtype`, with all weights of linear layers rounded beforehand; None changes nothing."""
    if dtype is None:
        yield
        return
    linear = _float32_layers(model)
    kept = [layer.weight for layer in linear]
    try:
        for layer, weight in zip(linear, kept, strict=True):  # not in place: embeddings may share it
            layer.weight = nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        with torch.autocast(next(model.parameters()).device.type, dtype):
            yield
    finally:
        for layer, weight in zip(linear, kept, strict=True):
            layer.weight = weight


def _float32_layers(model: nn.Module) -> list[nn.Linear]:
    """Return the linear layers whose weight is a plain float32 tensor: other packages keep theirs in their
    own ways."""
    linear = [one for one in model.modules() if isinstance(one, nn.Linear)]
    return [one for one in linear if type(one.weight.data) is Tensor and one.weight.dtype == torch.float32]


PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:\n' }}{% endif %}"
)
"""For models that come without a chat template."""
NO_TEMPLATE = "The model has no chat template: instruction, prompt and “Answer:” stand one below the other."
NO_PADDING = "The model has no token for padding; {end} stands in, and is learned where it ends an answer."


class GenerationTask(GenerativeTask):
    """A causal language model of transformers, and its tokenizer.

    Attributes:
        context: tokens of prompt and answer together that the model takes.
    """

    name = "text-generation"
    throughput_unit = "tokens/s"
    evaluation_batch = 16  # each place of an answer has a logit for every word of the vocabulary
    head = None
    labels = ()
    model: PreTrainedModel

    def __init__(self, plan: Plan, opened: OpenedLanguageModel) -> None:
        assert plan.settings.max_length is not None
        self.metric_name = plan.dataset.metric
        self._opened, self.commit = opened, opened.commit
        self.max_length, self.dataset = plan.settings.max_length, plan.dataset
        self.instruction, self.fields = plan.dataset.instruction, plan.dataset.fields
        self.tokenizer = opened.tokenizer
        self.context = opened.context or self.max_length
        self.end = int(self.tokenizer.eos_token_id)
        self._takes_logits_to_keep, self._precision = False, MixedPrecision()
        if self.tokenizer.chat_template is None:
            self.tokenizer.chat_template = PLAIN_TEMPLATE
            self.notes += (NO_TEMPLATE,)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
            self.notes += (NO_PADDING.format(end=self.tokenizer.eos_token),)

    @classmethod
    def open(
        cls, plan: Plan, labels: tuple[str, ...], progress: Progress, should_stop: ShouldStop
    ) -> GenerationTask:
        return cls(plan, open_language_model(plan.model, plan.settings.max_length, progress, should_stop))

    def load_weights(self, plan: Plan, progress: Progress) -> None:
        settings = plan.settings
        half = settings.precision == "bfloat16" and settings.method.key != "full"
        model = load_language_model(plan.model, self._opened, progress, bits=settings.bits, half=half)
        self.model = cast(PreTrainedModel, model)
        attend_in_float32(self.model)
        make_states_contiguous(self.model)
        self.written_batch = rows_at_once(self.model.config, self.max_length)
        self.model.config.use_cache = False  # for training; who writes asks for it
        self._takes_logits_to_keep = shared_prefix.takes(self.model, "logits_to_keep")
        self._checkpointing = settings.gradient_checkpointing

    def examples(self, inputs: Sequence[Any], labels: Sequence[Any] | np.ndarray | None = None) -> Examples:
        """Return token ids of prompts, and of their answers with the end as "labels".

        Raises:
            InvalidInput: a prompt is no text, or an answer is empty.
            TooLong: both are longer than allowed: cut, an answer would teach to stop in its middle.
        """
        if isinstance(inputs, str):
            raise InvalidInput("Give a list of texts, also for a single one.")
        if any(not isinstance(text, str) for text in inputs):
            raise InvalidInput("Give texts only.")
        for place, answer in enumerate(() if labels is None else labels, 1):
            if not str(answer).strip():
                raise InvalidInput(f"Row {place} has an empty answer; give it one, or leave the row out.")
        found = [{"input_ids": self._prompt(text)} for text in inputs]
        if labels is None:
            for row in found:
                self._check_length("This text", len(row["input_ids"]) + 1)
            return found
        for place, (row, answer) in enumerate(zip(found, labels, strict=True), 1):
            row["labels"] = [*self.tokenizer(str(answer), add_special_tokens=False).input_ids, self.end]
            self._check_length(f"Row {place} with its answer", len(row["input_ids"]) + len(row["labels"]))
        return found

    def _prompt(self, text: str) -> list[int]:
        messages = [{"role": "system", "content": self.instruction}] if self.instruction else []
        try:
            laid_out = self.tokenizer.apply_chat_template(
                [*messages, *messages_of(text)], add_generation_prompt=True, tokenize=False
            )
        except TemplateError as error:
            raise InvalidInput(
                f"The model's chat template does not take this conversation ({str(error)[:200]}). Leave its "
                "system prompt or its earlier turns out, or choose another model."
            ) from None
        return self.tokenizer(laid_out, add_special_tokens=False).input_ids

    def _check_length(self, what: str, length: int) -> None:
        if length > self.max_length:
            raise TooLong(
                f"{what} has {length:,} tokens; “{RunSettings.model_fields['max_length'].title}” allows "
                f"{self.max_length:,}. Raise that, or leave out what is longer."
            )

    def lengths(self, examples: Examples) -> list[int]:
        rows = (examples[place] for place in range(len(examples)))
        return [len(row["input_ids"]) + len(row.get("labels", ())) for row in rows]

    def collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return rows that end together: padding stands in front, so that the answers are the last places.

        "labels" (B, K) are those of the last K places, K the longest answer, `IGNORED` before shorter ones.
        """
        rows = [[*example["input_ids"], *example.get("labels", ())] for example in examples]
        length = max(map(len, rows))
        batch = {
            "input_ids": torch.tensor([[self._pad] * (length - len(row)) + row for row in rows]),
            "attention_mask": torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows]),
        }
        batch["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
        if "labels" in examples[0]:
            answers = [list(example["labels"]) for example in examples]
            longest = max(map(len, answers))
            batch["labels"] = torch.tensor([[IGNORED] * (longest - len(one)) + one for one in answers])
            if self._takes_logits_to_keep:  # the place before each of an answer's says it
                batch["logits_to_keep"] = longest + 1  # type: ignore[assignment]
        return batch

    @property
    def _pad(self) -> int:
        return self.tokenizer.pad_token_id

    def units(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the number of tokens without padding."""
        return inputs["attention_mask"].sum()

    def train_in(self, autocast_dtype: torch.dtype | None) -> None:
        self._precision = round_frozen(self.model, autocast_dtype)

    def forward(self, model: nn.Module, inputs: dict[str, Any], labels: Tensor) -> Any:
        """Run the model on a batch, and read what all prompts begin with once, where that pays."""
        pays = inputs["input_ids"].device.type == "cpu" and self._precision.autocast_dtype is None
        if pays and model.training:
            pays = not shared_prefix.must_read_whole(self.model, self._checkpointing)
        prefix = shared_prefix.common_prefix(inputs, (labels != IGNORED).sum(1)) if pays else 0
        return shared_prefix.forward(model, self.model, inputs, prefix) if prefix else model(**inputs)

    def loss(self, outputs: Any, labels: Tensor) -> Tensor:
        """Cross-entropy of the answers' tokens, their mean over the batch; in float32."""
        logits = self.answer_logits(outputs, labels).float()
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)

    def preprocess_logits_for_metrics(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return (B, K): the most probable token at each place of an answer, `IGNORED` elsewhere."""
        predicted = self.answer_logits(outputs, labels).argmax(-1)
        return torch.where(labels == IGNORED, labels, predicted)

    @staticmethod
    def answer_logits(outputs: Any, labels: Tensor) -> Tensor:
        """Return (B, K, vocabulary): the logits that predict each token of the answers."""
        return outputs.logits[:, -labels.shape[1] - 1 : -1]

    def compute_metrics(self, evaluation: EvalPrediction) -> dict[str, float]:
        """Exact match; F1 of the fields where answers have some, chrF where they are free text."""
        return measure_texts(*self._texts(evaluation), self.dataset)

    def written(self, evaluation: EvalPrediction) -> list[WrittenAnswer]:
        predicted, expected = self._texts(evaluation)
        scores = measure_each_text(predicted, expected, self.dataset)
        return [WrittenAnswer(*row) for row in zip(predicted, expected, scores, strict=True)]

    def _texts(self, evaluation: EvalPrediction) -> tuple[list[str], list[str]]:
        """Return the predicted answers, and the right ones."""
        sides = (np.asarray(evaluation.predictions), np.asarray(evaluation.label_ids))
        predicted, expected = ([self._text(row) for row in side] for side in sides)
        return predicted, expected

    def _text(self, ids: Sequence[int] | np.ndarray) -> str:
        """Up to the first end; without one, a mark shows that it would have gone on."""
        kept = [int(one) for one in ids if one != IGNORED]
        if self.end in kept:
            return self._decode(kept[: kept.index(self.end)])
        return self._decode(kept) + "…"

    def predict(self, inputs: Sequence[Any], forward: Callable[..., Any] | None = None) -> list[Prediction]:
        """Return the answer to each text, by the most probable token each time."""
        examples = self.examples(inputs)
        order = sorted(range(len(examples)), key=lambda place: len(examples[place]["input_ids"]))
        found: dict[int, Prediction] = {}
        with nullcontext() if forward else ready_to_write(self.model, self._precision):
            for start in range(0, len(order), self.written_batch):
                places = order[start : start + self.written_batch]
                batch = self.collate([examples[place] for place in places])
                steps = zip(*self._tokens(batch, forward=forward), strict=True)
                ids, probabilities = (torch.stack(side, dim=1).tolist() for side in steps)
                for place, row, row_p in zip(places, ids, probabilities, strict=True):
                    text = self._text(row)
                    fields = read_fields(text, self.fields) or None
                    found[place] = Prediction(None, (), None, text, fields, self._pieces(row, row_p))
        return [found[place] for place in range(len(examples))]

    def _pieces(self, ids: Sequence[int], probabilities: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return the tokens up to the end as text, each with its probability."""
        pieces = Pieces(self._decode)
        last = ids.index(self.end) if self.end in ids else len(ids)
        added = (pieces.add(*one) for one in zip(ids[:last], probabilities, strict=False))
        return tuple(piece for piece in added if piece)

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def write(self, inputs: dict[str, Tensor], max_new_tokens: int | None = None) -> Tensor:
        """Return (B, T) tokens of the answers, greedily, each until its end, or `max_new_tokens`, or the
        longest allowed.

        A batch with "labels" has the right answers in its inputs, which are taken out first.
        """
        if "labels" in inputs:
            inputs = self.collate([{"input_ids": prompt} for prompt in prompts_of(inputs)])
        with ready_to_write(self.model, self._precision):
            return torch.stack([token for token, _ in self._tokens(inputs, max_new_tokens)], dim=1)

    def _tokens(
        self,
        inputs: dict[str, Tensor],
        max_new_tokens: int | None = None,
        forward: Callable[..., Any] | None = None,
        sampling: Sampling = GREEDY,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Return next tokens and their probabilities, again and again.

        With `max_new_tokens` None they come while there is room.
        """
        room = self.max_length - int(inputs["attention_mask"].sum(1).min())
        return tokens(
            self.model,
            inputs,
            eos_token_id=self.end,
            max_new_tokens=max_new_tokens or room,
            forward=forward,
            sampling=sampling,
        )

    def require_room(self, prompt: str, max_new_tokens: int) -> None:
        """Require that a prompt and an answer of `max_new_tokens` fit.

        Raises:
            InvalidInput: They do not.
        """
        room = self.context - max_new_tokens
        length = len(self._prompt(prompt))
        if length > room:
            raise InvalidInput(
                f"This prompt has {length:,} tokens. The model takes {self.context:,} with the answer, which "
                f"may have {max_new_tokens:,}; shorten the prompt, or the answer's length."
            )

    def stream(
        self,
        prompt: str,
        max_new_tokens: int,
        sampling: Sampling,
        forward: Callable[..., Any] | None = None,
    ) -> Iterator[tuple[str, float] | None]:
        """Yield the answer as it is written: for each token the piece of text that it completes, or None."""
        pieces = Pieces(self._decode)
        inputs = self.collate([{"input_ids": self._prompt(prompt)}])
        for token, probability in self._tokens(inputs, max_new_tokens, forward, sampling):
            if int(token) == self.end:
                return
            yield pieces.add(int(token), float(probability))

    def save_config(self, folder: Path, whole: bool) -> None:
        """Write the tokenizer with its chat template; of a whole model its config, for AutoModelForCausalLM.

        Beside an adapter that config would keep transformers from looking for the base model.
        """
        self.tokenizer.save_pretrained(folder)
        if whole:
            self.model.config.save_pretrained(folder)
