"""The decision: who is taken for what, what fits where, what is said when nothing does, and of time."""

from __future__ import annotations

import pytest

from cdvft_app.costs.devices import GPUS, KEYS
from cdvft_app.costs.memory import FLOAT32, PRECISIONS, step_memory
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.comparison import decide
from cdvft_app.decision.quality import _ahead, quality
from cdvft_app.judging.verdict import Verdict
from cdvft_app.prediction import Estimate
from cdvft_app.shapes import model_shapes

LLAMA = "meta-llama/Meta-Llama-3-8B"
CDVFT, LORA = "CDVFT m\u00a0=\u00a02", "LoRA r\u00a0=\u00a08"


def decided(step=lambda row: None, here=16 * 10**9, lookup=lambda row: None, **asked):
    asked = {"model": "roberta-base", "methods": ["cdvft", "lora"], **asked}
    return decide(parse_cost(asked), here, lookup, step)


@pytest.mark.parametrize(
    ("aim", "begin", "reason"),
    [
        ("file", CDVFT, f"its file has 231 kB, {LORA}'s is 5.13 times larger"),
        ("memory", CDVFT, "all need about 1.93 GB, so the smaller file decides"),
        ("time", LORA, f"it adds the fewest FLOPs, which is a hint and no time, {CDVFT}'s file is 5.13"),
        ("many", CDVFT, "100 of its adapters take 22.1 MB in memory"),
        ("quality", CDVFT, "none is shown to be better on recorded runs like it, so the smaller"),
    ],
)  # fmt: skip
def test_what_matters_most_decides_and_speaks_against_cdvft_too(aim, begin, reason):
    said = decided(device="t4", aim=aim).sentence
    assert said.startswith(f"{begin} for roberta-base on a T4 with 16 GB in float32: {reason}")
    assert said.endswith("both fit, and its step is not measured here.")


def test_the_question_of_eight_billion():
    made = decided(model=LLAMA, device="l4", precision="4bit", gradient_checkpointing=True, aim="time")
    assert made.sentence == (
        f"{LORA} for Meta-Llama-3-8B on an L4 with 24 GB in 4 bit with checkpointing: it adds the fewest "
        f"FLOPs, which is a hint and no time, {CDVFT}'s file is 4.91 times smaller, both fit, and its step "
        "is not measured here."
    )
    assert [one["title"] for one in made.answers] == [
        "Fits in 24 GB",
        "Adapter file",
        "Trainable numbers",
        "Extra FLOPs",
    ]
    assert made.answers[1]["texts"] == ["2.78 MB", "13.6 MB"] and made.answers[1]["best"] == [True, False]
    assert made.answers[0]["best"] == [False, False]  # level


def test_where_nothing_fits_it_says_what_would():
    said = decided(model=LLAMA, device="t4").sentence
    assert said == (
        "Nothing fits: Meta-Llama-3-8B in float32 needs 113 GB, and a T4 with 16 GB is smaller. In 4 bit "
        "with checkpointing a batch of 4 takes 9.69 GB, and fits."
    )
    assert decided(model=LLAMA, here=10**9).sentence.endswith(
        "Nor would it in 4 bit with checkpointing and a batch of 1: take a smaller model."
    )
    texts = decided(model=LLAMA, device="t4").answers[0]["texts"]
    assert texts == ["no, 97.5 GB short", "no, 97.5 GB short"]


def test_a_method_that_does_not_fit_is_not_taken():
    need = {row["method"]: row["step_bytes"] for row in cost_table(parse_cost({"model": "roberta-base"}))}
    between = (need["cdvft"] + need["fourierft"]) // 2
    made = decided(here=between, methods=["fourierft", "cdvft"])
    assert made.sentence.startswith(f"{CDVFT} for roberta-base on this machine")
    assert "FourierFT n\u00a0=\u00a01,000 does not fit" in made.sentence
    assert made.answers[0]["texts"][1].startswith("barely, ")  # measured peaks were above the formula


def test_dense_updates_are_not_for_many_adapters_at_once():
    said = decided(methods=["cdvft", "fourierft", "dora"], aim="many").sentence
    assert said.startswith(CDVFT)  # FourierFT's file is smaller, but each adapter builds a matrix


def test_time_is_said_where_it_was_measured_or_learned_and_nowhere_else():
    def measured(row):
        seconds = {"cdvft": 0.25, "lora": 0.2}[row["method"]]
        return {"seconds": seconds, "device": "a CPU", "low": 0, "high": 1, "time": 0, "others": 0}

    made = decided(lookup=measured, aim="time")
    assert made.sentence.startswith(f"{LORA} for") and "the shortest that was measured here" in made.sentence
    assert made.answers[4]["texts"] == ["250 ms", "200 ms"] and made.answers[4]["best"] == [False, True]
    learned = decided(step=lambda row: Estimate(0.3, 0.1, 0.9, "as one run here"))
    assert learned.sentence.endswith("and its step takes about 300 ms here.")
    assert learned.answers[4]["best"] == [False, False]
    for elsewhere in ({"device": "t4"}, {"precision": "bfloat16"}):
        assert len(decided(lookup=measured, **elsewhere).answers) == 4
    assert (
        len(decided(step=lambda row: Estimate(4000.0, 1, 9e9, "so")).answers) == 4
    )  # nobody trains that here


def test_memory_by_precision_is_the_sum_of_its_terms():
    shapes = model_shapes(LLAMA)
    (row,) = cost_table(parse_cost({"model": LLAMA, "methods": ["cdvft"], "batch": 2, "sequence": 100}))
    whole, vocabulary, tokens = 8_030_261_248, 128_256, 200
    linear = (
        whole - 2 * vocabulary * 4096 - (2 * 32 + 1) * 4096
    )  # embeddings, output and norms stay as they are
    found = {key: step_memory(row, shapes, precision) for key, precision in PRECISIONS.items()}
    assert found["float32"].total == row["step_bytes"] and found["float32"].weights == 4 * whole
    assert found["bfloat16"].weights == 2 * whole
    assert found["8bit"].weights == linear + 2 * (whole - linear)
    assert found["4bit"].weights == round(0.516 * linear + 2 * (whole - linear))
    assert {one.logits for one in found.values()} == {3 * 4 * tokens * vocabulary}
    assert found["bfloat16"].activations == found["float32"].activations // 2
    for one in found.values():  # adapters stay float32
        assert (one.adapter, one.gradients, one.moments) == (4 * 688_128, 4 * 688_128, 8 * 688_128)
    again = step_memory(row, shapes, FLOAT32, checkpointing=True)
    assert again.activations == 4 * tokens * (
        round(found["float32"].activations / 4 / tokens / 32) + 32 * 4096
    )
    assert again.adapter_inputs == round(row["activation_bytes"] / 32)


def test_devices_have_sources_and_their_keys_can_be_asked_for():
    assert all(gpu.source.startswith("NVIDIA") and gpu.bandwidth and gpu.bytes for gpu in GPUS)
    assert [gpu.key for gpu in GPUS if not gpu.bfloat16] == ["t4"]
    assert {parse_cost({"model": "gpt2", "methods": ["lora"], "device": key}).device for key in KEYS} == {
        *KEYS
    }


def test_quality_names_nobody_where_no_race_is_recorded():
    none = quality("image", ["vera", "dora"])
    assert none.ahead is None and none.sentences == [
        "No race of image models with these methods is recorded: compare on your own task."
    ]
    text = quality("text", ["cdvft", "lora", "c3a"])
    assert (
        text.raced == {"cdvft", "lora"} | (text.raced - {"c3a"})
        and "C3A did not take part." in text.sentences
    )


@pytest.mark.parametrize(("about", "word", "named"), [
    ("methods", "ahead", "cdvft"),
    ("methods", "behind", "lora"),
    ("methods", "as good", None),
    ("runs", "ahead", None),
])  # fmt: skip
def test_a_recorded_race_names_a_method_only_where_the_judge_speaks_of_methods(about, word, named):
    verdict = Verdict(
        "CDVFT", "LoRA", word, about, "accuracy", 0.1, 0.05, 0.15, 0.95, 0.001, 500, (5, 5), True, 1
    )
    assert _ahead(["cdvft", "lora"], {("cdvft", "lora"): verdict}) == named
    assert _ahead(["cdvft", "lora", "dora"], {("cdvft", "lora"): verdict}) is None  # DoRA was not met
