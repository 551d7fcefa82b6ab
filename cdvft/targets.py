"""Which layers are adapted by default, which can be, and the configuration of each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from peft.utils.other import get_pattern_key
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from cdvft.blocks import matches
from cdvft.config import CDVFTConfig, key_expression, layers_expression
from cdvft.conv2d import is_pointwise
from cdvft.quantized import SUPPORTED, is_quantized_linear, quantization_of

# Query and value as transformers names them before and since version 5; other names match nothing.
QUERY_AND_VALUE = ["query", "value", "q_proj", "v_proj"]
DEFAULT_TARGETS: dict[str, Any] = {
    **dict.fromkeys(
        ("beit", "clip", "deit", "dinov2", "siglip", "siglip2", "smollm3", "swin", "vit", "whisper"),
        QUERY_AND_VALUE,
    ),
    "phi3": ["qkv_proj"],
    "modernbert": ["Wqkv"],
    "convnext": ["pwconv1", "pwconv2"],
    "convnextv2": ["pwconv1", "pwconv2"],
    **TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
}
"""Layers adapted by default, by model type: PEFT's defaults for LoRA, where it has any.

Elsewhere query and value, or the layer that computes both; for ConvNeXt, which has neither, the linear
layers.
"""


MAX_MATCHING_SECONDS = 10.0
"""How long a configuration's regular expressions may take for all names of a model."""
MAY_BE_SLOW = re.compile(r"\)[*+{]|([*+{].*){4}|([?|].*){16}", re.DOTALL)
"""A repeated group, many repetitions or many choices: backtracking may take exponential time."""
MATCH_ALL = """
import json, re, sys
expressions, names = json.load(sys.stdin)
for how, expression in expressions:
    for name in names:
        getattr(re, how)(expression, name)
"""


def layer_config(config: CDVFTConfig, name: str) -> CDVFTConfig:
    """The configuration with the m, block size and alpha that its patterns give the layer of this name."""

    def setting(pattern: dict[str, Any], default: Any) -> Any:
        return pattern.get(get_pattern_key(list(pattern), name), default)

    return replace(
        config,
        m=setting(config.m_pattern, config.m),
        block_size=setting(config.block_size_pattern, config.block_size),
        alpha=setting(config.alpha_pattern, config.alpha),
    )


def check_supported(target: nn.Module, config: CDVFTConfig) -> None:
    """Check a layer that `target_modules` matches.

    Raises:
        ValueError: if it is none that can be adapted.
    """
    dense = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
    if quantization_of(dense) is not None:
        return
    # nn.MultiheadAttention reads its projection's weight and never calls it: an adapter would be ignored.
    linear = isinstance(dense, (nn.Linear, Conv1D)) or is_pointwise(dense)
    if not linear or isinstance(dense, NonDynamicallyQuantizableLinear):
        raise ValueError(
            f"Target module of type {type(dense).__name__} is not supported. CDVFT adapts nn.Linear and "
            "transformers' Conv1D, both outside nn.MultiheadAttention, nn.Conv2d with 1 x 1 kernels, stride "
            f"1, no padding and no groups, and layers quantized by {', '.join(SUPPORTED)}. Take it out of "
            "target_modules, or name it in exclude_modules."
        )
    if config.fan_in_fan_out is not None and config.fan_in_fan_out != isinstance(dense, Conv1D):
        warnings.warn(
            f"fan_in_fan_out is set to {config.fan_in_fan_out} but the target module is "
            f"`{type(dense).__name__}`. Setting fan_in_fan_out to {not config.fan_in_fan_out}.",
            stacklevel=2,
        )
        config.fan_in_fan_out = not config.fan_in_fan_out


def check_expressions(config: CDVFTConfig, names: Collection[str]) -> None:
    """Check that names can be matched with the configuration's regular expressions within the time allowed.

    Nothing can stop a match that takes too long, so expressions that may be slow are tried in a process of
    their own.

    Raises:
        ValueError: if it takes longer.
    """
    slow = [(what, how, one) for what, own, how, one in _expressions(config) if MAY_BE_SLOW.search(own)]
    if not slow:
        return
    given = json.dumps([[asked for _, *asked in slow], sorted(names)])
    command = [sys.executable, "-I", "-S", "-c", MATCH_ALL]
    try:
        subprocess.run(
            command, input=given, text=True, capture_output=True, check=True, timeout=MAX_MATCHING_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"{' or '.join(what for what, *_ in slow)} takes more than {MAX_MATCHING_SECONDS:g} seconds to "
            f"match with the names of {len(names)} modules. Repeat no group that repeats something itself, "
            "or give a list of names."
        ) from None


def _expressions(config: CDVFTConfig) -> Iterator[tuple[str, str, str, str]]:
    """Yield each expression's name for a message, itself, and the call of `re` by which PEFT matches it."""
    for field in ("target_modules", "exclude_modules"):
        if isinstance(value := getattr(config, field), str):
            yield f"{field} {value!r}", value, "fullmatch", value
    for field in ("m_pattern", "block_size_pattern", "alpha_pattern"):
        for key in getattr(config, field):
            yield f"the key {key!r} of {field}", key, "match", key_expression(key)
    layers = config.layers_pattern or ()
    for pattern in [layers] if isinstance(layers, str) else layers:
        yield f"layers_pattern {pattern!r}", pattern, "match", layers_expression(pattern)


def warn_of_unmatched_keys(config: CDVFTConfig, targeted: Collection[str]) -> None:
    """Warn of keys of `m_pattern` and `block_size_pattern` that match no name; PEFT does so for alpha's."""
    for field in ("m_pattern", "block_size_pattern"):
        keys = getattr(config, field)
        unmatched = [key for key in keys if not any(re.match(key_expression(key), name) for name in targeted)]
        if unmatched:
            warnings.warn(
                f"The following {field} keys did not match any targeted module and were ignored: "
                f"{unmatched}. Targeted are {sorted(targeted)}.",
                RuntimeWarning,
                stacklevel=3,
            )


def check_matched(names: Collection[str], model: nn.Module) -> None:
    """Check that every name in a list of targets is a module's, where some are: PEFT ignores the others.

    A second name of a layer whose first name is in the list causes a warning.

    Raises:
        ValueError: if one is not.
    """
    modules = dict(model.named_modules())
    missing = [name for name in sorted(names) if not any(matches(module, name) for module in modules)]
    if missing:
        targets = [one for path, one in modules.items() if any(matches(path, name) for name in names)]
        shared = {id(one.get_base_layer() if isinstance(one, BaseTunerLayer) else one) for one in targets}
        every = [path for path, one in model.named_modules(remove_duplicate=False) if id(one) in shared]
        second = [name for name in missing if any(matches(path, name) for path in every)]
        missing = [name for name in missing if name not in second]
        if second:
            warnings.warn(
                f"target_modules {second} are second names of layers that it has by their first ones, where "
                "PEFT puts adapters: a call by a second name goes past them. Let the model call the first.",
                RuntimeWarning,
                stacklevel=2,
            )
    if not missing or len(missing) == len(names):  # PEFT itself refuses where none matches
        return
    parameters = [name for name, _ in model.named_parameters()]
    of_experts = [name for name in missing if any(matches(parameter, name) for parameter in parameters)]
    why = f" {of_experts} are parameters: name them in target_parameters." if of_experts else ""
    raise ValueError(f"target_modules {missing} not found in the base model.{why} {suggest_targets(model)}")


def check_parameters(configurations: Mapping[str, Any], adapter_name: str, model: nn.Module) -> None:
    """Check that every name in `target_parameters` is a parameter's, and other adapters have the same ones.

    Raises:
        ValueError: if one is not, or they have others: wrappers are nested, and the names in a saved adapter
            tell how.
    """
    named = set(configurations[adapter_name].target_parameters or ())
    if not named:
        return
    parameters = [name.replace(".base_layer", "") for name, _ in model.named_parameters()]
    missing = [name for name in sorted(named) if not any(matches(own, name) for own in parameters)]
    if missing:
        stacks = {name.rsplit(".", 1)[-1] for name, own in model.named_parameters() if own.dim() == 3}
        raise ValueError(
            f"target_parameters {missing} not found in the base model, whose parameters of several matrices "
            f"are named {sorted(stacks)}. Name those, or one of a module such as 'experts.down_proj'."
        )
    for other, config in configurations.items():
        theirs = set(config.target_parameters or ())
        if theirs and theirs != named:
            raise ValueError(
                f"target_parameters is {sorted(named)}, but adapter {other!r} has {sorted(theirs)}. All "
                "adapters with target_parameters must have the same."
            )


def suggest_targets(model: nn.Module) -> str:
    """Return the names that `target_modules` could hold, as a sentence."""
    layers = (
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) or is_quantized_linear(module)
    )
    names = sorted({name.rsplit(".", 1)[-1] for name in layers})
    return f"Linear layers of this model are named {names}: put some of them into target_modules."
