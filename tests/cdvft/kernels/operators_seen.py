"""The operators of torch that a call consists of, by a dispatch mode."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """`names` holds the operators seen so far, such as "addmm"; those of others with their namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function.overloadpacket).removeprefix("aten."))
        return function(*args, **(kwargs or {}))
