"""The adapted linear layer: a frozen base layer plus alpha dW x, for any number of named adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any

import peft  # noqa: F401 - whole, before its parts: another thread may still be importing it
import torch
from peft.utils import quantization_extra_repr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from cdvft.blocks import vector_shapes
from cdvft.circulant import Factors, delta_weight
from cdvft.config import CDVFTConfig
from cdvft.inference_fast_path import FastPath, is_plain, supports_input
from cdvft.kernels import Backend, adapted_linear, autocast_dtype, cd_linear, is_autocast_on, without_autocast
from cdvft.kernels.batched_adapters import AdapterRows, add_by_row
from cdvft.merging import MergeableLayer
from cdvft.private_names import parameters_of
from cdvft.quantized import device_of, quantization_of

BASE_ONLY = "__base__"
"""PEFT's name for the rows of a mixed batch that no adapter touches."""


MAX_BLOCKS = 1 << 18
"""Most circulant blocks of a layer's adapter: with smaller blocks a dense update is better."""


class CDVFTLayer(MergeableLayer):
    """The adapters of one layer and the weight update that each of them stands for.

    Vectors are made in float32 whatever the dtype of the base layer, and rounded by a later
    `model.bfloat16()` as all parameters are.
    """

    batch_shape: Sequence[int] = ()
    """Leading dimensions of every vector: the number of matrices that a parameter consists of."""
    adapter_layer_names = ("cdvft_diagonals", "cdvft_circulants")
    hook_of_parent: RemovableHandle | None = None
    """Keeps an nn.TransformerEncoderLayer from reading the weight instead of calling this layer."""
    other_param_names = ("cdvft_alpha", "cdvft_backend", "cdvft_dropout")

    def __init__(
        self, base_layer: nn.Module, get_apply_tensor_subclass: Callable[[], Any] | None = None
    ) -> None:
        self.base_layer = base_layer
        self.quantization_backend = quantization_of(self.get_base_layer(), get_apply_tensor_subclass)
        self.cdvft_diagonals = nn.ModuleDict()  # adapter -> ParameterList of m vectors
        self.cdvft_circulants = nn.ModuleDict()  # adapter -> ParameterList of m - 1 blocks of vectors
        self.cdvft_alpha: dict[str, float] = {}
        self.cdvft_backend: dict[str, Backend] = {}
        self.cdvft_dropout: dict[str, float] = {}
        self._fast_path: FastPath | None = None
        self.merge_error: float | None = None
        self._disable_adapters = False
        self.merged_adapters = []
        self._find_sizes()

    def _find_sizes(self) -> None:
        """Determine the widths of the layer, and whether its weight is transposed."""
        dense: Any = self.get_base_layer()
        self.weight_is_transposed = isinstance(dense, Conv1D)
        if self.weight_is_transposed:
            self.in_features, self.out_features = dense.nx, dense.nf
        elif isinstance(dense, nn.Conv2d):
            self.in_features, self.out_features = dense.in_channels, dense.out_channels
        else:
            self.in_features, self.out_features = dense.in_features, dense.out_features

    def update_layer(self, adapter_name: str, config: CDVFTConfig) -> None:
        """Add an adapter to this layer, trainable if it is active and not for inference only.

        Of the configuration m, block size and alpha are this layer's: its patterns are not looked at.

        Raises:
            ValueError: if the block size does not suit the layer, or makes too many blocks.
        """
        d_out, d_in = self.out_features, self.in_features
        of_diagonals, of_circulants = vector_shapes(d_out, d_in, config.m, config.block_size)
        blocks = sum(q1 * q2 for q1, q2, _ in of_circulants)
        if blocks > MAX_BLOCKS:
            raise ValueError(
                f"block_size is {config.block_size} and m is {config.m}, which for a {d_out} x {d_in} layer "
                f"makes {blocks:,} circulant blocks, but {MAX_BLOCKS:,} are the most. Choose a larger block "
                "size, or leave it out for the default."
            )
        options: dict[str, Any] = {"dtype": torch.float32, "device": self._device()}
        diagonals = [torch.ones(*self.batch_shape, *shape, **options) for shape in of_diagonals]
        circulants = [torch.empty(*self.batch_shape, *shape, **options) for shape in of_circulants]
        _initialize(diagonals, circulants, config.init_weights)
        self.cdvft_diagonals[adapter_name] = nn.ParameterList(diagonals)
        self.cdvft_circulants[adapter_name] = nn.ParameterList(circulants)
        self.cdvft_alpha[adapter_name] = float(config.alpha)
        self.cdvft_backend[adapter_name] = config.backend
        self.cdvft_dropout[adapter_name] = config.cdvft_dropout
        trains = adapter_name in self.active_adapters and not config.inference_mode
        for vectors in (self.cdvft_diagonals, self.cdvft_circulants):
            vectors[adapter_name].requires_grad_(trains)

    def delete_adapter(self, adapter_name: str) -> None:
        """As PEFT, together with the fast path, which keeps the memory of its adapter's vectors."""
        super().delete_adapter(adapter_name)
        self._fast_path = None

    def _move_adapter_to_device_of_base_layer(
        self, adapter_name: str, device: torch.device | None = None
    ) -> None:
        """Unlike PEFT's own, move only: a detour through a bfloat16 base's dtype would round the vectors."""
        for name in self.adapter_layer_names:
            vectors = getattr(self, name)
            if adapter_name in vectors and not any(p.is_meta for p in vectors[adapter_name]):
                vectors[adapter_name].to(device or self._device())

    def _device(self) -> torch.device:
        return device_of(self.get_base_layer())

    def has_adapter(self, adapter: str) -> bool:
        """Return whether this layer has an adapter of that name."""
        return adapter in self.cdvft_circulants

    def applied_adapters(self) -> list[str]:
        """Return the adapters whose updates are currently added to W x + b."""
        active = [] if self.disable_adapters or self.merged else self.active_adapters
        return [adapter for adapter in active if self.has_adapter(adapter)]

    def factors(self, adapter: str) -> Factors:
        """Return the vectors of an adapter, not copied, and alpha.

        Raises:
            ValueError: This layer has no such adapter.
        """
        if adapter not in self.cdvft_circulants:
            raise ValueError(
                f"Adapter {adapter!r} not found on this layer, which has {sorted(self.cdvft_circulants)}. "
                "Name one of those, or add the adapter first."
            )
        diagonals: Any = self.cdvft_diagonals[adapter]
        circulants: Any = self.cdvft_circulants[adapter]
        return Factors(_tensors(diagonals), _tensors(circulants), self.cdvft_alpha[adapter])

    def get_delta_weight(self, adapter: str) -> Tensor:
        """alpha dW in float32 or wider, laid out as the base weight: (d_out, d_in), transposed for Conv1D."""
        return self._delta_weight([adapter])

    def _delta_weight(self, adapters: list[str]) -> Tensor:
        """Return the sum of the updates of at least one adapter, as `get_delta_weight` lays them out."""
        factors = [self.factors(adapter) for adapter in adapters]
        with without_autocast(factors[0].diagonals[0]):
            delta = sum(map(delta_weight, factors))
        assert isinstance(delta, Tensor)
        return delta.mT if self.weight_is_transposed else delta

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Always, as the update is added to the weight. But it mostly has full rank: a low one loses much."""
        return True


class CDVFTLinear(nn.Module, CDVFTLayer):
    """A frozen nn.Linear, Conv1D or quantized layer with CDVFT adapters."""

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: CDVFTConfig,
        get_apply_tensor_subclass: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__()
        CDVFTLayer.__init__(self, base_layer, get_apply_tensor_subclass)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def forward(self, x: Tensor, *args: Any, adapter_names: list[str] | None = None, **kwargs: Any) -> Tensor:
        """W x + b + sum over active adapters of alpha dW x; with `adapter_names`, each row by its own.

        Raises:
            ValueError: if `adapter_names` does not hold one name a row, or one a part of a ragged batch, or
                comes while adapters are merged; if a ragged batch is not contiguous.
        """
        if x.is_nested:
            return self._forward_of_ragged(x, *args, adapter_names=adapter_names, **kwargs)
        may_be_fast = supports_input(x, self.in_features) and not (args or kwargs) and adapter_names is None
        fast = self._fast_path if may_be_fast else None  # once: another thread may replace it
        if fast and (y := fast.forward(self, x)) is not None:
            return y
        if adapter_names is not None:
            self._check_mixed_batch(x, adapter_names)
        if self.disable_adapters and self.merged:
            self.unmerge()
        if adapter_names is not None and not self.disable_adapters:
            result = self._base_forward(x, *args, **kwargs)
            adapters = self._rows_by_adapter(adapter_names)
            return add_by_row(result, x, adapters, overwrite=is_plain(self.base_layer))
        active = self.applied_adapters()
        base: Any = self.base_layer
        in_one_step = active and not (args or kwargs) and is_plain(base) and not self._has_dropout(active)
        autocast = autocast_dtype(x)
        if in_one_step and (autocast or not is_autocast_on(x.device.type)):
            weight = base.weight.T if self.weight_is_transposed else base.weight
            first = active.pop(0)
            if may_be_fast and not active:
                self._fast_path = fast = FastPath.create(self, x, first)
                if fast and (y := fast.forward(self, x)) is not None:
                    return y
            factors, backend = self.factors(first), self.cdvft_backend[first]
            result = adapted_linear(x, weight, base.bias, factors, backend)
            dtype = autocast or x.dtype
        else:
            result = self._base_forward(x, *args, **kwargs)
            dtype = result.dtype
        for adapter in active:
            dropped = F.dropout(x, self.cdvft_dropout[adapter], self.training)
            result = result + cd_linear(dropped, *self.factors(adapter), self.cdvft_backend[adapter])
        return result.to(dtype)

    def _forward_of_ragged(
        self, x: Any, *args: Any, adapter_names: list[str] | None, **kwargs: Any
    ) -> Tensor:
        """As `forward`, on the rows of all parts at once; `adapter_names` holds one name a part."""
        if adapter_names is not None:
            parts = x.unbind()
            self._check_mixed_batch(parts, adapter_names)
            named = zip(parts, adapter_names, strict=True)
            adapter_names = [name for part, name in named for _ in range(len(part))]
        if x.layout == torch.jagged:  # its values are its rows, concatenated
            if not x.is_contiguous():
                raise ValueError(
                    f"Got a ragged batch of shape {tuple(x.shape)} that is transposed or narrowed, but the "
                    "layer takes contiguous ones. Call x.contiguous() first."
                )
            rows = self.forward(x.values(), *args, adapter_names=adapter_names, **kwargs)
            return torch.nested.nested_tensor_from_jagged(rows, x.offsets())
        parts = x.unbind()
        rows = self.forward(torch.cat(parts), *args, adapter_names=adapter_names, **kwargs)
        return torch.nested.as_nested_tensor(list(rows.split([len(part) for part in parts])))

    def _base_forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.base_layer(x, *args, **kwargs)

    def _has_dropout(self, adapters: list[str]) -> bool:
        """Return whether the input of an update differs from that of W."""
        return self.training and any(self.cdvft_dropout[adapter] for adapter in adapters)

    def _check_mixed_batch(self, x: Sized, adapter_names: list[str]) -> None:
        if len(x) != len(adapter_names):
            raise ValueError(
                "Length of `adapter_names` should be the same as the number of inputs, but got "
                f"{len(adapter_names)} and {len(x)} respectively. Pass one name a row, {BASE_ONLY!r} for the "
                "bare model."
            )
        if self.merged:
            raise ValueError(
                "Cannot pass `adapter_names` when there are merged adapters, please call `unmerge_adapter` "
                f"first. Merged are {self.merged_adapters}."
            )

    def _rows_by_adapter(self, adapter_names: list[str]) -> list[AdapterRows]:
        """Return the rows of each adapter that this layer has; no dropout, as the model is not training."""
        diagonals: Any = self.cdvft_diagonals
        circulants: Any = self.cdvft_circulants
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(adapter_names):
            if name in circulants:
                rows.setdefault(name, []).append(row)
        adapters = []
        for name, own in rows.items():  # without the checks of `factors`: there may be hundreds
            factors = Factors(_tensors(diagonals[name]), _tensors(circulants[name]), self.cdvft_alpha[name])
            adapters.append(AdapterRows(factors, self.cdvft_backend[name], own))
        return adapters

    def __repr__(self) -> str:
        return "cdvft." + super().__repr__()

    def extra_repr(self) -> str:
        return quantization_extra_repr(self)


def _tensors(vectors: nn.ParameterList) -> list[Tensor]:
    """Its entries, without `ParameterList`'s slow look-up: a batch may need hundreds of adapters' vectors."""
    own = parameters_of(vectors)
    try:
        return [own[str(place)] for place in range(len(vectors))]  # type: ignore[misc]
    except KeyError:  # sharding replaces the parameters by plain tensors
        return list(vectors)


@torch.no_grad()
def _initialize(diagonals: list[Tensor], circulants: list[Tensor], init_weights: bool | str) -> None:
    """Fill ones and empty vectors in place, with exactly one zero factor, or none for `init_weights=False`.

    A circulant ~ N(0, 1 / (q2 p)) keeps the variance of what passes through it.
    """
    for c in circulants:
        c.normal_(std=(c.shape[-2] * c.shape[-1]) ** -0.5)
    if init_weights is False:
        for a in diagonals:
            a.normal_()
        return
    zero = {"zero_circulant": circulants[-1], "zero_input": diagonals[0]}.get(
        str(init_weights), diagonals[-1]
    )
    zero.zero_()
