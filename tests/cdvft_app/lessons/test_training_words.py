"""Two lessons, sentence by sentence: gradients at a start of zeros, few digits, and rates too high."""

from __future__ import annotations

import math

import torch
from lesson_words import word_tests
from matrices import built, product, random
from peft import LoraConfig, PeftConfig, get_peft_model
from torch import Tensor, nn

from cdvft.circulant import Factors, circulant
from cdvft.config import CDVFTConfig
from cdvft.kernels.cost_model import choose_plan
from cdvft.kernels.linear import _is_merged_in_half
from cdvft.layer import CDVFTLinear

D, NAMES = 12, ("a3", "c", "a1")


def start(*zero: str) -> list[Tensor]:
    """Random vectors a3, c, a1, those that are named being zero."""
    vectors = random(3, D)
    return [vector * (name not in zero) for name, vector in zip(NAMES, vectors, strict=True)]


def moving(vectors: list[Tensor]) -> set[str]:
    """The vectors whose gradient is not zero, of the squared distance to another product."""
    vectors = [vector.clone().requires_grad_() for vector in vectors]
    wanted = product(*random(3, D, seed=1))
    (product(*vectors) - wanted).square().sum().backward()
    return {name for name, vector in zip(NAMES, vectors, strict=True) if bool(vector.grad.any())}


def trained(vectors: list[Tensor], steps: int) -> list[Tensor]:
    """After so many steps of gradient descent."""
    vectors = [vector.clone().requires_grad_() for vector in vectors]
    wanted = product(*random(3, D, seed=1))
    optimizer = torch.optim.SGD(vectors, lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        (product(*vectors) - wanted).square().sum().backward()
        optimizer.step()
    return [vector.detach() for vector in vectors]


# The start


def gradient_is_the_formula() -> bool:
    """For a loss 1/2 ||h - target||^2 over some tokens, whose gradient in h is h - target."""
    a3, c, a1 = (vector.requires_grad_() for vector in random(3, D))
    x, target = random(5, D, seed=1), random(5, D, seed=2)
    h = x @ product(a3, c, a1).T
    (0.5 * (h - target).square().sum()).backward()
    said = ((h - target) * (x @ (circulant(c) @ torch.diag(a1)).T)).sum(0)
    return torch.allclose(a3.grad, said)


def a_product_is_zero_as_soon_as_one_factor_is() -> bool:
    return not any(product(*start(name)).any() for name in NAMES) and bool(product(*start()).any())


def two_zeros_move_nothing() -> bool:
    return not any(moving(start("a3", other)) for other in ("c", "a1"))


def stays_for_ever(*zero: str) -> bool:
    before = start(*zero)
    return all(map(torch.equal, before, trained(before, 200)))


def any_one_zero_will_do() -> bool:
    return all(
        moving(start(name)) == {name} and moving(trained(start(name), 1)) == set(NAMES) for name in NAMES
    )


def zeros_at_the_start(config: PeftConfig) -> dict[str, bool]:
    """Of what is trained, by its name, whether it is zero."""
    torch.manual_seed(0)
    model = get_peft_model(nn.Sequential(nn.Linear(D, D)), config)
    return {name: not one.any() for name, one in model.named_parameters() if one.requires_grad}


def lora_starts_with_b_at_zero() -> bool:
    zeros = zeros_at_the_start(LoraConfig(r=2, target_modules=["0"]))
    return all(zero is ("lora_B" in name) for name, zero in zeros.items()) and len(zeros) == 2


def the_last_of_five_starts_at_zero() -> bool:
    zeros = zeros_at_the_start(CDVFTConfig(m=3, target_modules=["0"]))
    last = max(name for name in zeros if "diagonal" in name)
    return len(zeros) == 5 and all(zero is (name == last) for name, zero in zeros.items())


# Breaking it


def rounded(values: Tensor, bits: int) -> Tensor:
    """Each number, and each part of a complex one, with so many bits after its first."""
    parts = torch.view_as_real(values) if values.is_complex() else values
    unit = torch.exp2(parts.abs().clamp(min=1e-30).log2().floor() - bits)
    kept = (parts / unit).round() * unit
    return torch.view_as_complex(kept) if values.is_complex() else kept


def rounded_fft_error(bits: int, d: int = 256) -> float:
    """Relative error of a radix-2 transform whose every product and sum keeps so many bits."""

    def transform(values: Tensor) -> Tensor:
        n = len(values)
        if n == 1:
            return values
        even, odd = transform(values[0::2]), transform(values[1::2])
        turn = torch.exp(-2j * math.pi * torch.arange(n // 2) / n).to(values.dtype)
        odd = rounded(rounded(turn, bits) * odd, bits)
        return torch.cat([rounded(even + odd, bits), rounded(even - odd, bits)])

    x = random(d).to(torch.complex128)
    return relative_error(transform(rounded(x, bits)), torch.fft.fft(x))


def relative_error(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


def row_by_row_errs_as_much() -> bool:
    """With 7 bits, as a transform where products are added in pairs, more where one after the other."""
    c, x = random(256), random(256, seed=1)
    matrix = circulant(c)
    products = rounded(rounded(matrix, 7) * rounded(x, 7), 7)
    one_by_one, pairs = torch.zeros(256, dtype=torch.float64), products
    for column in products.T:
        one_by_one = rounded(one_by_one + column, 7)
    while pairs.shape[1] > 1:
        pairs = rounded(pairs[:, 0::2] + pairs[:, 1::2], 7)
    by_fft = rounded_fft_error(7)
    in_turn, in_pairs = (relative_error(found, matrix @ x) for found in (one_by_one, pairs[:, 0]))
    return by_fft / 2 < in_pairs < 2 * by_fft < in_turn


def sums_in_float32_err_less() -> bool:
    """Factors and results have 7 bits, what is summed has all of them."""
    c, x = random(256), random(256, seed=1)
    matrix = circulant(c)
    found = rounded(rounded(matrix, 7) @ rounded(x, 7), 7)
    return relative_error(found, matrix @ x) < rounded_fft_error(7) / 1.5


def few_bits_cost_accuracy() -> bool:
    return rounded_fft_error(7) > 1000 * rounded_fft_error(23)


def every_round_rounds() -> bool:
    """log2 d rounds: a transform 16 times as long makes four more, and a larger error."""
    return rounded_fft_error(7, 4096) > rounded_fft_error(7, 256) > 2**-9


def fft_is_refused(dtype: torch.dtype) -> bool:
    try:
        torch.fft.rfft(torch.ones(768, dtype=dtype))
    except RuntimeError:
        return True
    return False


def layer(dtype: torch.dtype) -> CDVFTLinear:
    torch.manual_seed(0)
    return CDVFTLinear(nn.Linear(64, 64, dtype=dtype), "default", CDVFTConfig(m=2, init_weights=False))


def vectors_stay_float32() -> bool:
    return all(
        vector.dtype == torch.float32
        for dtype in (torch.bfloat16, torch.float16, torch.float32)
        for name, vector in layer(dtype).named_parameters()
        if "cdvft" in name
    )


def is_made_in_float32_and_cast_back() -> bool:
    """Of a bfloat16 layer of zeros the output is dW x, each number within half of its last bit."""
    adapted = layer(torch.bfloat16)
    nn.init.zeros_(adapted.get_base_layer().weight)
    nn.init.zeros_(adapted.get_base_layer().bias)
    x = random(32, 64).to(torch.bfloat16)
    with torch.no_grad():
        came = adapted(x)
        truth = x.double() @ adapted.get_delta_weight("default").double().T
    half_a_bit = 2**-8 * truth.abs() * 1.01 + 1e-6
    return came.dtype == torch.bfloat16 and bool(((came.double() - truth).abs() <= half_a_bit).all())


def a_gpu_merges_a_large_change() -> bool:
    """By the cost model with 8,192 tokens, and by the size of dW; no GPU is at hand, so x is on "meta"."""
    plan = choose_plan(
        ((1, 1, 768),), (768, 768), tokens=8192, separate=False, engine="chunked", device="cuda"
    )
    weight, c = random(64, 64).to(torch.bfloat16), random(64, seed=1).float()[None, None]
    x = torch.empty(8, 64, dtype=torch.bfloat16, device="meta")

    def is_merged(alpha: float) -> bool:
        return _is_merged_in_half(x, weight, Factors([torch.ones(64), torch.ones(64)], [c], alpha))

    return plan.merged_forward and is_merged(1.0) and not is_merged(1e-3)


def grown(m: int, by: float = 1.1) -> float:
    """By how much dW is larger when each of its vectors is, by a tenth or by another factor."""
    vectors = random(2 * m - 1, D)
    return float(built(by * vectors).norm() / built(vectors).norm())


def the_next_step_is_larger() -> bool:
    """Far from what is wanted, where the loss is the size of dW squared."""
    sizes = []
    for factor in (1, 2):
        vectors = (factor * random(3, D)).requires_grad_()
        product(*vectors).square().sum().backward()
        sizes.append(float(vectors.grad.norm()))
    return sizes[1] > sizes[0]


def runs_away(m: int, rate: float) -> bool:
    """Whether the loss of the lesson's layer grows without end: assets/js/learn/trial.js."""
    d, drawn = 64, torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn)

    many = range(2 * m - 1)
    target = [normal(d) / d**0.5 if place % 2 else 1 + 0.5 * normal(d) for place in many]
    vectors = [normal(d) / d**0.5 if place % 2 else torch.ones(d) for place in many]
    vectors = [vector.requires_grad_() for vector in (*vectors[:-1], torch.zeros(d))]
    optimizer = torch.optim.SGD(vectors, lr=rate)
    for _ in range(100):
        x = normal(32, d)
        loss = (x @ (built(vectors) - built(target)).T).square().sum(1).mean()
        if not loss.isfinite():
            return True
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return False


HOLD = {
    "start": {
        "A product is zero as soon as one factor is.": a_product_is_zero_as_soon_as_one_factor_is,
        "The gradient of one vector is made of **all the others**": gradient_is_the_formula,
        "\\frac{\\partial \\mathcal{L}}{\\partial a_3} = \\sum_{x} \\frac{\\partial "
        "\\mathcal{L}}{\\partial h} \\odot \\big(\\mathrm{circ}(c_2)\\,\\mathrm{diag}(a_1)\\,x\\big)": (
            gradient_is_the_formula
        ),
        "Exactly one zero; with m = 2 it may be any of the three: only that vector moves at the first"
        " step, and then the others follow.": any_one_zero_will_do,
        "If $c_2$ or $a_1$ is zero too, this gradient is zero, and so are the others: nothing ever "
        "moves.": two_zeros_move_nothing,
        "With $a_3$ alone at zero, it moves first, and then the others can follow.": any_one_zero_will_do,
        "With no zero, the model is already changed at random before it has seen an example.": lambda: bool(
            product(*start()).any()
        ),
        "LoRA's change $BA$ starts with $B$ at zero and a random $A$: one zero, too.": (
            lora_starts_with_b_at_zero
        ),
        "One zero, in a₁, c₂ or a₃: ΔW = 0, and training starts.": lambda: (
            any_one_zero_will_do() and a_product_is_zero_as_soon_as_one_factor_is()
        ),
        "Two zeros: every gradient stays zero.": lambda: (
            two_zeros_move_nothing() and stays_for_ever("a3", "c")
        ),
        "With $m = 3$ five vectors are multiplied, and again only the last one is zero.": (
            the_last_of_five_starts_at_zero
        ),
        "It never starts: look at the gradients. All three are zero.": lambda: not moving(start("a3", "c")),
        "Every gradient holds a factor that is zero. A random start elsewhere does not help.": lambda: (
            stays_for_ever("a3", "c") and bool(start("a3", "c")[2].any())
        ),
        "Its gradient is multiplied by both zeros, so it stays put too.": lambda: (
            "a1" not in moving(start("a3", "c"))
        ),
    },
    "breaking": {
        "Large models calculate in bfloat16, with 7 bits after the point.": lambda: (
            torch.finfo(torch.bfloat16).eps == 2**-7
        ),
        "A Fourier transform adds all $d$ numbers up in $\\log_2 d$ rounds, and each round adds "
        "rounding errors.": every_round_rounds,
        "A product row by row whose sums are rounded, too, errs as much or more": row_by_row_errs_as_much,
        "with sums in float32, as in matrix units, it errs less": sums_in_float32_err_less,
        "There is no bfloat16 FFT in PyTorch at all": lambda: fft_is_refused(torch.bfloat16),
        "and a float16 one only for some lengths on some GPUs": lambda: fft_is_refused(torch.float16),
        "the adapter's vectors stay in float32 whatever the model's precision": vectors_stay_float32,
        "only the result is cast back": is_made_in_float32_and_cast_back,
        "When a step makes each of the three vectors of m = 2 twice as large, ΔW is eight times as "
        "large": lambda: math.isclose(grown(2, by=2), 8),
        "and the next step is larger still": the_next_step_is_larger,
        "When each vector grows by a tenth, $\\Delta W$ grows by a third with $m = 2$, $1.1^3$, and nearly "
        "doubles with $m = 4$, $1.1^7$: so here a rate of 0.03, which serves $m = 2$ well, breaks "
        "$m = 4$.": lambda: (
            math.isclose(grown(2), 4 / 3, rel_tol=0.01)
            and 1.9 < grown(4) < 2
            and runs_away(4, 0.03)
            and not runs_away(2, 0.03)
        ),
        "Too high a rate: ΔW, a product, grows faster than any of its vectors.": lambda: (
            grown(4) > grown(2) > 1.1
        ),
        "Adapters make their FFT in float32, whatever the model's precision.": lambda: (
            vectors_stay_float32() and is_made_in_float32_and_cast_back()
        ),
        "On a GPU many tokens may go through $W + \\Delta W$ as one matrix in the model's precision, without "
        "an FFT, once $\\Delta W$ is large enough not to be lost in rounding.": a_gpu_merges_a_large_change,
        "There is no such FFT. Its 7 bits would cost accuracy, though no more than row by row.": lambda: (
            fft_is_refused(torch.bfloat16) and row_by_row_errs_as_much() and few_bits_cost_accuracy()
        ),
        "The input is cast up, the FFT made in float32, and the result cast back.": (
            is_made_in_float32_and_cast_back
        ),
        "Drag the bits to 7 and look at the error.": few_bits_cost_accuracy,
    },
}
SAY_NOTHING = {
    "start": {
        "Fine-tuning adds a change $\\Delta W$ to a layer's weights, and should begin at the pretrained "
        "model, with $\\Delta W = 0$.",
        "**The product rule** is why.",
        "Over all inputs $x$, with the layer's outputs $h$:",
    },
    "breaking": {
        "A change $\\Delta W$, the product of three vectors of 64 numbers, is trained by gradient descent to "
        "become another such product."
    },
}
TRUE = {
    "start-zero": lambda: any_one_zero_will_do() and a_product_is_zero_as_soon_as_one_factor_is(),
    "breaking-rate": lambda: runs_away(2, 0.15) and not runs_away(2, 0.05),
    "start": {
        "It is slow at first, then catches up": lambda: not stays_for_ever("a3", "c"),
        "Nothing, forever": lambda: stays_for_ever("a3", "c"),
        "It moves only the input diagonal": lambda: moving(start("a3", "c")) == {"a1"},
    },
    "breaking": {
        "bfloat16, like the model": lambda: not is_made_in_float32_and_cast_back(),
        "float32": lambda: is_made_in_float32_and_cast_back() and vectors_stay_float32(),
        "It makes no difference": lambda: rounded_fft_error(7) < 10 * rounded_fft_error(23),
    },
}


test_what_is_said, test_nothing_is_left_out, test_grades = word_tests(HOLD, SAY_NOTHING, TRUE)
