"""On a CPU a language model is trained with attention in float32, whatever the precision around it."""

from types import SimpleNamespace

import torch

from cdvft_app.tasks.attention import attention

HEADS, TOKENS, D = 2, 7, 16
NOT_CAUSAL = SimpleNamespace(is_causal=False)


def by_its_formula(query, key, value, mask):
    """softmax(Q K^T / sqrt(d) + mask) V in float64, (B, tokens, heads, d)."""
    scores = query @ key.mT / D**0.5 + mask
    return (scores.softmax(-1) @ value).transpose(1, 2)


def queries_keys_values():
    torch.manual_seed(0)
    rounded = torch.randn(3, 2, HEADS, TOKENS, D).bfloat16()
    return [one.requires_grad_() for one in rounded.unbind()]


def test_attention_equals_its_formula_with_gradients():
    mask = torch.full((2, 1, TOKENS, TOKENS), -torch.inf).triu(1)
    given = queries_keys_values()
    exact = [one.detach().double().requires_grad_() for one in given]
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = attention(NOT_CAUSAL, *given, mask.bfloat16())
    expected = by_its_formula(*exact, mask.double())
    weights = torch.randn(expected.shape).bfloat16()
    (found * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    assert found.dtype == torch.bfloat16
    one_rounding = {"rtol": 2**-8, "atol": 1e-5}
    torch.testing.assert_close(found.double(), expected, **one_rounding)
    for one, right in zip(given, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), right.grad, **one_rounding)
