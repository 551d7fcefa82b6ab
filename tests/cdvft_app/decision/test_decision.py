"""The decision: who is taken for what, what fits where, what is said when nothing does, and of time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.equal_numbers import race_at_searched_rates
from benchmarks.record_evidence import FILE as EVIDENCE
from cdvft_app.costs.request import DEVICE_KEYS, GPUS, PRECISIONS, device, parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.decide import _behind, decide, quality, race_verdicts
from cdvft_app.decision.fit import remedy
from cdvft_app.judging.judge import Verdict
from cdvft_app.judging.verdict_text import result
from cdvft_app.prediction.observations import Estimate
from cdvft_app.shapes import model_shapes

LLAMA = "meta-llama/Meta-Llama-3-8B"
LARGE = {"model": LLAMA, "device": "h100", "precision": "bfloat16", "batch": 1}
CDVFT, LORA = "CDVFT m\u00a0=\u00a02", "LoRA r\u00a0=\u00a08"


def taking(seconds):
    """What was measured of a step of so many seconds."""
    spread = {"low": 0.9 * seconds, "high": 1.1 * seconds}
    return {"seconds": seconds, "device": "a CPU", "time": 0, "others": 0, **spread}


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
        ("quality", CDVFT, "none is shown to be better in the recorded race like it, so the smaller file "
         "decides, and both fit."),
    ],
)  # fmt: skip
def test_what_matters_most_decides_and_speaks_against_cdvft_too(aim, begin, reason):
    said = decided(device="t4", aim=aim).sentence
    assert said.startswith(f"{begin} for roberta-base on a T4 with 16 GB in float32: {reason}")
    assert aim == "quality" or "both fit, and its step is not measured here." in said


def test_a_method_that_was_not_raced_may_have_a_smaller_file_than_the_one_that_is_taken():
    made = decided(device="t4", methods=["cdvft", "lora", "fourierft", "c3a"], aim="quality")
    assert made.sentence.startswith(
        "FourierFT n\u00a0=\u00a01,000 for roberta-base on a T4 with 16 GB in float32: of those raced none "
        "is shown better in the recorded race like it; their smallest file decides, and all 4 fit."
    )
    files = next(one for one in made.answers if one["title"] == "Adapter file")
    assert files["best"] == [False, False, False, True]  # C3A's


def test_the_question_of_eight_billion():
    made = decided(model=LLAMA, device="l4", precision="4bit", gradient_checkpointing=True, aim="time")
    assert made.sentence == (
        f"{LORA} for Meta-Llama-3-8B on an L4 with 24 GB in 4 bit with checkpointing: it adds the fewest "
        f"FLOPs, which is a hint and no time, {CDVFT}'s file is 4.91 times smaller, both fit, and its step "
        "is not measured here."
    )
    titles = ["Fits in 24 GB", "Adapter file", "Trainable numbers", "Extra FLOPs"]
    assert [one["title"] for one in made.answers] == titles
    assert made.answers[1]["texts"] == ["2.78 MB", "13.6 MB"] and made.answers[1]["best"] == [True, False]
    assert made.answers[0]["best"] == [False, False]  # level


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
    measured = {"cdvft": taking(0.25), "lora": taking(0.2)}

    def lookup(row):
        return measured[row["method"]]

    made = decided(lookup=lookup, aim="time")
    assert made.sentence.startswith(f"{LORA} for") and "the shortest that was measured here" in made.sentence
    assert made.answers[4]["texts"] == ["250 ms", "200 ms"] and made.answers[4]["best"] == [False, True]
    learned = decided(step=lambda row: Estimate(0.3, 0.1, 0.9, "as one run here"))
    assert "and its step takes about 300 ms here." in learned.sentence
    assert learned.answers[4]["best"] == [False, False]
    for elsewhere in ({"device": "t4"}, {"precision": "bfloat16"}):
        assert len(decided(lookup=lookup, **elsewhere).answers) == 4
    too_long = decided(step=lambda row: Estimate(4000.0, 1, 9e9, "so"))  # nobody trains that here
    assert len(too_long.answers) == 4


def test_memory_by_precision():
    whole, vocabulary, tokens = 8_030_261_248, 128_256, 200
    # Embeddings, output and norms stay as they are.
    linear = whole - 2 * vocabulary * 4096 - (2 * 32 + 1) * 4096
    asked = {"model": LLAMA, "methods": ["cdvft"], "batch": 2, "sequence": 100}

    def row(precision, checkpointing=False):
        held = {"precision": precision, "gradient_checkpointing": checkpointing}
        return cost_table(parse_cost({**asked, **held}))[0]

    found = {key: row(key) for key in PRECISIONS}
    assert found["float32"]["frozen_bytes"] == 4 * whole
    assert found["bfloat16"]["frozen_bytes"] == 2 * whole
    assert found["8bit"]["frozen_bytes"] == linear + 2 * (whole - linear)
    assert found["4bit"]["frozen_bytes"] == round(0.516 * linear + 2 * (whole - linear))
    assert {one["logit_bytes"] for one in found.values()} == {3 * 4 * tokens * vocabulary}
    activations = found["float32"]["model_activation_bytes"]
    assert found["bfloat16"]["model_activation_bytes"] == activations // 2
    for one in found.values():  # adapters stay float32
        trained = (one["adapter_weight_bytes"], one["gradient_bytes"], one["optimizer_bytes"])
        assert trained == (4 * 688_128, 4 * 688_128, 8 * 688_128)
    again = row("float32", checkpointing=True)
    assert again["model_activation_bytes"] == 4 * tokens * (round(activations / 4 / tokens / 32) + 32 * 4096)
    assert again["activation_bytes"] == round(found["float32"]["activation_bytes"] / 32)


def test_devices_have_sources_and_their_keys_can_be_asked_for():
    assert all(gpu.source.startswith("NVIDIA") and gpu.bandwidth and gpu.bytes for gpu in GPUS)
    assert [gpu.key for gpu in GPUS if not gpu.bfloat16] == ["t4"]
    asked = [parse_cost({"model": "gpt2", "methods": ["lora"], "device": key}) for key in DEVICE_KEYS]
    assert [one.device for one in asked] == [*DEVICE_KEYS]


def test_a_method_that_is_behind_in_a_race_like_the_question_is_not_taken():
    """LoRA 61.3, CDVFT 52.5, FourierFT 47.1 on addresses: the latter two are no answers about quality."""
    made = decided(methods=["cdvft", "lora", "fourierft"], aim="quality", **LARGE)
    assert made.sentence.startswith(f"{LORA} for Meta-Llama-3-8B")
    assert "the others are behind in 2 recorded races like it" in made.sentence
    assert "CDVFT is behind LoRA by 8.8 points (2.0 to 15.5) on Read addresses" in made.sentence
    assert "by 4.6 points (−4.3 to 13.5) over 2 races" in made.sentence  # SQL shows no such difference
    without = decided(methods=["cdvft", "fourierft"], aim="quality", **LARGE)
    assert without.sentence.startswith(f"{CDVFT} for")
    said = "FourierFT is behind CDVFT by 5.8 points (1.3 to 10.3) over 2 races, depending on the runs."
    assert said in without.sentence, "on SQL it is at searched rates alone"


def test_what_other_rates_do_not_show_is_said_to_depend_on_the_runs_as_among_the_evidence():
    """Addresses: behind LoRA at the recipe's rates, at searched ones not shown; the record says both."""
    searched = race_at_searched_rates("addresses", "exact_match")
    against_lora, lora_s = searched["cdvft", "lora"], searched["lora", "fourierft"]
    assert (against_lora.word, lora_s.word) == ("not shown", "not shown")
    (figure,) = [one for one in json.loads(EVIDENCE.read_text()) if one["key"] == "generation"]
    assert figure["answer"] == "Addresses: behind LoRA, depending on the runs."
    between = "CDVFT is behind LoRA by 8.8 points (2.0 to 15.5) on Read addresses (a language model), "
    told = {("cdvft", "lora"): [against_lora], ("cdvft", "lora", "fourierft"): [against_lora, lora_s]}
    for methods, anew in told.items():
        made = decided(methods=[*methods], aim="quality", **LARGE)
        assert f"{between}depending on the runs, and by 4.6 points (−4.3 to 13.5) over 2" in made.sentence
        of_addresses = made.known.quality.sentences[0]
        assert of_addresses.endswith(f"equal_numbers): {' '.join(map(result, anew))}")
        assert of_addresses.count("Trained anew") == 1
    assert f"equal_numbers): {result(against_lora)}" in "".join(figure["behind"])
    by_file = decided(methods=["cdvft", "lora"], aim="file", **LARGE).sentence
    assert by_file.endswith(f" But {between}depending on the runs.")


def test_all_that_a_headline_says_of_one_rate_alone_has_that_condition_and_nothing_else_has_it(monkeypatch):
    asked = LARGE | {"aim": "quality"}
    said = "the others are behind in 2 recorded races like it"
    three = ["cdvft", "lora", "fourierft"]
    for methods in (three, ["cdvft", "lora"], ["lora", "fourierft"], ["cdvft", "fourierft"]):
        assert f"{said}, depending on the runs, and" in decided(methods=methods, **asked).headline
    pair = "cdvft", "lora"
    anew = {pair: race_at_searched_rates("addresses", "exact_match")[pair]}
    monkeypatch.setattr(
        "cdvft_app.decision.decide.verdicts_by_rate",
        lambda recipe, raced: anew if recipe == "addresses" and pair in raced else {},
    )
    alone = decided(methods=three, **asked).headline
    assert f"{said}, CDVFT depending on the runs, and" in alone, "FourierFT would be behind at any"
    without = decided(methods=["cdvft", "fourierft"], **asked)  # ahead at any rate
    assert "rate" not in f"{without.sentence} {' '.join(without.known.quality.sentences)}"


def test_who_is_behind_at_searched_rates_alone_is_told_where_no_race_shows_it(monkeypatch):
    behind = {"word": "behind", "low": -0.05, "high": -0.01}
    anew = {
        ("cdvft", "lora"): replace(race_verdicts("mnist")["cdvft", "lora"], size=-0.03, **behind),
        ("cdvft", "fourierft"): replace(race_verdicts("mnist")["cdvft", "fourierft"], size=-0.02, **behind),
    }
    monkeypatch.setattr(
        "cdvft_app.decision.decide.verdicts_by_rate", lambda recipe, _: anew if recipe == "mnist" else {}
    )
    made = decided(
        model="vit_base_patch16_224", methods=["cdvft", "lora", "fourierft"], device="t4", aim="quality"
    )
    assert made.headline.startswith(f"{CDVFT} for")
    none = "none is shown to be better in 2 recorded races like it, depending on the runs, so"
    assert none in made.headline
    assert (
        " At searched rates it is behind LoRA by 3.0 points (1.0 to 5.0) and FourierFT by 2.0 points (1.0 to "
        "5.0) on Handwritten digits (MNIST). FourierFT is behind CDVFT by 1.3 points (0.3 to 2.3) over 2 "
        "races, depending on the runs."
    ) in made.sentence


def test_where_none_is_shown_to_be_better_the_doubt_and_the_safe_choice_are_named():
    said = decided(model="vit_base_patch16_224", methods=["cdvft", "lora"], aim="quality").sentence
    assert said.startswith(f"{CDVFT} for") and "none is shown to be better" in said
    assert f"It may be up to 1.0 point behind LoRA; {LORA} may lose least, and is the safe choice." in said


def test_where_no_race_is_recorded_the_cheap_and_the_safe_choice_are_named():
    said = decided(methods=["lora", "c3a", "vera"], aim="quality").sentence
    assert said.startswith(f"{LORA} for") and "no race like it is recorded, so the safe one is taken" in said
    assert said.endswith(
        "It is behind in no recorded race of another kind; C3A b\u00a0=\u00a0768 is the cheap one, with "
        "76.9 kB."
    )
    none = quality(model_shapes("vit_base_patch16_224"), ["vera", "dora"])
    assert (none.races, none.behind) == (0, {}) and none.sentences == [
        "No race of image models between these methods is recorded: compare on your own task."
    ]


def test_the_races_say_what_they_say_nothing_of():
    found = quality(model_shapes(LLAMA), ["cdvft", "lora", "c3a"])
    assert found.raced == {"cdvft", "lora"}
    assert found.sentences[-2:] == [
        "These races are of SmolLM2-135M-Instruct; this model has 60 times its weights, and no race of one "
        "so large is recorded.",
        "C3A did not take part.",
    ]


@pytest.mark.parametrize(("about", "word", "losers"), [
    ("methods", "ahead", {"lora"}),
    ("methods", "behind", {"cdvft"}),
    ("methods", "as good", set()),
    ("runs", "ahead", set()),
])  # fmt: skip
def test_only_verdicts_on_methods_put_one_behind(about, word, losers):
    verdict = Verdict(
        "CDVFT", "LoRA", word, about, "accuracy", 0.1, 0.05, 0.15, 0.95, 0.001, 500, (5, 5), True, 1
    )
    pair = ("cdvft", "lora")
    assert set(_behind({"here": {pair: verdict}})) == losers
    assert _behind({"here": {pair: verdict}, "there": {pair: verdict.turned}}) == {}, "races disagree"


def test_before_nothing_fits_it_looks_for_what_would():
    made = decided(model=LLAMA, device="t4", aim="quality")
    assert made.sentence.startswith(
        "As asked nothing fits: Meta-Llama-3-8B in float32 needs 114 GB, and a T4 with 16 GB is smaller. "
        "What costs least and fits: 2 at a time, with the gradients of 16 summed to one step, checkpointing, "
        "which computes the forward pass twice and frozen weights in 8 bit. "
        f"{LORA} for Meta-Llama-3-8B on a T4 with 16 GB in 8 bit with checkpointing: "
    )
    assert (made.request.batch, made.request.precision) == (2, "8bit")
    assert [text.split(",")[0] for text in made.answers[0]["texts"]] == ["yes", "yes"]
    assert made.as_json()["rows"][0]["batch"] == 2 and made.asked_rows[0]["batch"] == 16


@pytest.mark.parametrize(
    ("memory", "changed"),
    [
        (200, {}),
        (67, {}),
        (52, {"batch": 1}),
        (47, {"batch": 2, "gradient_checkpointing": True}),
        (25.8, {"batch": 1, "precision": "bfloat16"}),
        (10.1, {"batch": 2, "precision": "4bit", "gradient_checkpointing": True}),
        (8.5, {"batch": 1, "precision": "4bit", "gradient_checkpointing": True, "sequence": 128}),
    ],
)
def test_what_changes_least_is_changed_first(memory, changed):
    """Batches, then checkpointing, then bits, then length; whatever was not needed stays as it was asked."""
    asked = {"model": LLAMA, "methods": ["lora"], "batch": 8, "sequence": 256}
    made = decide(parse_cost(asked), round(memory * 10**9))
    differs = {name: value for name, value in made.request if value != getattr(parse_cost(asked), name)}
    assert differs == changed


def test_a_device_without_bfloat16_is_offered_fewer_bits_instead():
    asked = parse_cost({"model": LLAMA, "methods": ["lora"], "batch": 8, "sequence": 256, "device": "t4"})
    found = {
        has: remedy(asked, asked.methods[0], replace(device("t4"), bytes=26 * 10**9, bfloat16=has))
        for has in (False, True)
    }
    assert [one and one.request.precision for one in found.values()] == ["8bit", "bfloat16"]


@pytest.mark.parametrize(
    ("model", "memory", "advice"),
    [
        (LLAMA, 4 * 10**9, "one short text at a time: take a smaller model, such as meta-llama/Llama-3.2-1B, "
         "which fits in 4 bit with checkpointing, one at a time."),
        ("vit_base_patch16_224", 10**6, "one image at a time: take a smaller model, or another device."),
    ],
)  # fmt: skip
def test_where_nothing_helps_a_smaller_model_is_named_if_there_is_one(model, memory, advice):
    said = decide(parse_cost({"model": model, "methods": ["lora"]}), memory).sentence
    assert said.endswith(f"Nor does it in 4 bit with checkpointing, {advice}")


def test_the_example_of_the_docs_ends_in_an_answer():
    """On a laptop with 16 GB, with nothing chosen but the model."""
    made = decide(parse_cost({"model": LLAMA}), 16 * 10**9)
    assert made.request.aim == "quality"
    assert f" {LORA} for Meta-Llama-3-8B on this machine in " in made.sentence
    assert made.known.fits[LORA].word == "yes"


def test_several_settings_of_one_method_have_a_row_each():
    asked = {"methods": [{"method": "lora", "r": 8}, {"method": "lora", "r": 64}], "device": "t4"}
    made = decided(**asked, aim="file")
    assert made.sentence.startswith(f"{LORA} for") and "LoRA r\u00a0=\u00a064's is 7.9" in made.sentence
    fits, files, numbers, _ = (answer["texts"] for answer in made.answers)
    assert fits[0] != fits[1] and files[0] != files[1]
    assert numbers == [f"{row['trainable_parameters']:,}" for row in made.rows]
    assert made.answers[1]["best"] == [True, False]
    by_quality = decided(**asked, aim="quality")
    assert by_quality.known.quality.sentences == [
        "No race of text models between these methods is recorded: compare on your own task."
    ]
    assert "only adapter" not in by_quality.sentence


def test_where_one_adapter_fits_the_model_it_is_the_only_one():
    said = decided(model="gpt2", methods=["cdvft", "c3a"], batch=1, aim="quality").sentence
    where = f"{CDVFT} for gpt2 on this machine in float32"
    assert said == f"{where}: it is the only adapter to choose from, and it fits."


def test_sizes_of_equal_time_are_not_looked_for_where_their_step_does_not_fit():
    asked = {"model": LLAMA, "methods": ["lora"], "match": "seconds_per_step", "device": "t4"}
    made = decided(lookup=lambda row: taking(1.0), aim="quality", **asked)
    assert made.request.batch == 16
    assert made.sentence.endswith(
        "and a T4 with 16 GB is smaller. Sizes of equal time were measured for this step alone. Match by "
        "nothing to see what would fit."
    )


def test_a_step_that_was_measured_here_is_not_said_not_to_be():
    said = "its step is not measured here"
    assert said in decided(device="t4", aim="file").sentence
    assert said not in decided(device="t4", aim="file", lookup=lambda row: taking(1.0)).sentence
    slow = decided(aim="file", lookup=lambda row: taking(70.0))
    assert said not in slow.sentence and len(slow.answers) == 4
