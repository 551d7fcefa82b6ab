"""An optimizer whose input diagonals learn at a rate of their own, as those of `peft.optimizers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.optim import Optimizer
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import get_parameter_names

from cdvft.layer import CDVFTLayer

WITHOUT_DECAY = (r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)")
"""Names of parameters that do not decay, lower case, as `Trainer.get_decay_parameter_names` has them."""


def create_optimizer(
    model: nn.Module,
    optimizer_cls: Callable[..., Optimizer],
    lr: float,
    *,
    input_diagonal_lr_ratio: float = 1.0,
    weight_decay: float = 0.0,
    **kwargs: Any,
) -> Optimizer:
    """An optimizer of all that a model trains, with `lr` times a ratio for the diagonals that meet the input.

    Of dW = diag(a_2m-1) circ(c_2m-2) ... circ(c_2) diag(a_1) the first factor a_1 begins at ones, unless it
    is the zero factor, and so changes by a smaller share of itself than the circulants, which begin small.
    With m of 3 or more so do the diagonals in the middle, which keep the usual rate.
    `transformers.Trainer(optimizers=(made, None))` takes the optimizer; its schedule scales all rates alike.
    As PEFT's `create_loraplus_optimizer`, the same for LoRA.

    Args:
        model: with CDVFT adapters, as `peft.get_peft_model` makes it.
        optimizer_cls: such as `torch.optim.AdamW`.
        lr: learning rate of circulants, the other diagonals, and all else that is trained, such as a head.
        input_diagonal_lr_ratio: the rate of the input diagonals is `lr` times this. 1.0 makes no difference.
        weight_decay: of everything but biases and norms, which have none, as in transformers.Trainer.
        kwargs: what else `optimizer_cls` takes.

    Returns:
        Its parameter groups are, as far as there is anything in them: what decays, the input diagonals, and
        what does not decay. The first one's rate is `lr`.

    Raises:
        ValueError: the model trains no input diagonal, or the ratio is not a finite number above 0.
    """
    is_number = isinstance(input_diagonal_lr_ratio, (int, float)) and not isinstance(
        input_diagonal_lr_ratio, bool
    )
    if not is_number or not 0 < input_diagonal_lr_ratio < math.inf:
        raise ValueError(
            f"input_diagonal_lr_ratio is {input_diagonal_lr_ratio!r}, but it must be a finite number above "
            "0. Use 1.0 for one rate for all."
        )
    of_input = {id(one) for one in input_diagonals(model) if one.requires_grad}
    if not of_input:
        raise ValueError(
            "The model trains no input diagonal of CDVFT. Give it an adapter by peft.get_peft_model and a "
            "CDVFTConfig, and activate it."
        )
    decays = set(get_parameter_names(model, ALL_LAYERNORM_LAYERS, WITHOUT_DECAY))
    decayed: list[nn.Parameter] = []
    diagonals: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = diagonals if id(parameter) in of_input else decayed if name in decays else spared
            group.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"params": diagonals, "lr": lr * input_diagonal_lr_ratio, "weight_decay": weight_decay},
        {"params": spared, "lr": lr, "weight_decay": 0.0},
    ]
    return optimizer_cls([group for group in groups if group["params"]], lr=lr, **kwargs)


def input_diagonals(model: nn.Module) -> Iterator[nn.Parameter]:
    """a_1 of every adapter of every layer, (d_in): what x is multiplied by first."""
    for layer in model.modules():
        if isinstance(layer, CDVFTLayer):
            diagonals: Any  # a ParameterList each, which ModuleDict's type does not say
            for diagonals in layer.cdvft_diagonals.values():
                yield diagonals[0]
