"""Data of one's own as part of a run's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=200)]
MIN_HELD_OUT, HELD_OUT, MAX_HELD_OUT = 0.05, 0.2, 0.5
"""Share of the rows that is kept for evaluation, where data has no split of its own."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class UploadedDataset(BaseModel):
    """Data of one's own, and how it is read: all that a run must know of it, but for the rows.

    The rows are found by the SHA-256 of the file they came in. `inputs` are the columns of the text, of the
    two texts of a pair, of the image, or of the parts of a prompt; `label` is that of the class, the number
    or the answer. `labels` are the classes in the order of the outputs, empty without classes. `metric` is of
    answers that are written. `split` is the column that says which rows are for evaluation; without it and
    without a second file the share `held_out` of the rows is, drawn by `split_seed`. The numbers were counted
    when it was chosen; the lengths are in tokens, those of a prompt with its answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    evaluation_sha256: Sha256 | None = None
    title: Name
    kind: Literal["text", "image", "generation"]
    inputs: tuple[Name, ...] = Field(min_length=1, max_length=2)
    label: Name
    labels: tuple[Name, ...] = Field((), max_length=1000)
    metric: Literal["exact_match", "chrf"] | None = None
    split: Name | None = None
    held_out: float = Field(HELD_OUT, ge=MIN_HELD_OUT, le=MAX_HELD_OUT, allow_inf_nan=False)
    split_seed: int = Field(0, ge=0, le=2**31 - 1, strict=True)
    train_rows: int = Field(ge=1, le=10**8, strict=True)
    evaluation_rows: int = Field(ge=1, le=10**8, strict=True)
    mean_length: int | None = Field(None, ge=1, le=10**6, strict=True)
    usual_length: int | None = Field(
        None, ge=1, le=10**6, strict=True, description="of 19 of 20, or of all that write"
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> UploadedDataset:
        if (self.kind == "generation") != (self.metric is not None) or (self.metric and self.labels):
            raise ValueError(
                "metric is given for written answers, which have no labels, and for nothing else"
            )
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The SHA-256 of each file that it needs."""
        return tuple(filter(None, (self.sha256, self.evaluation_sha256)))
