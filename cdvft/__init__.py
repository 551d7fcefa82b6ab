"""CDVFT: fine-tuning with circulant and diagonal vectors, as a PEFT tuner.

    import cdvft
    model = peft.get_peft_model(model, cdvft.CDVFTConfig(m=2, target_modules=["query", "value"]))

Importing the package makes the method known to PEFT, now or as soon as PEFT is imported. The names below load
torch and PEFT when they are first used (PEP 562); `cdvft.cost` and `cdvft.blocks` never do.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import wrapt

from cdvft.registration import register

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cdvft.circulant import Factors
    from cdvft.config import CDVFTConfig
    from cdvft.conv2d import CDVFTConv2d
    from cdvft.layer import CDVFTLayer, CDVFTLinear
    from cdvft.model import CDVFTModel
    from cdvft.optimizers import create_optimizer

__all__ = [
    "CDVFTConfig",
    "CDVFTConv2d",
    "CDVFTLayer",
    "CDVFTLinear",
    "CDVFTModel",
    "Factors",
    "create_optimizer",
]

_MODULES = {
    "CDVFTConfig": "config",
    "CDVFTConv2d": "conv2d",
    "CDVFTLayer": "layer",
    "CDVFTLinear": "layer",
    "CDVFTModel": "model",
    "Factors": "circulant",
    "create_optimizer": "optimizers",
}
_SUBMODULES = {"blocks", "circulant", "config", "cost", "factors", "kernels", "layer", "model"}

if not TYPE_CHECKING:  # with it a type checker would accept any name

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_SUBMODULES})


wrapt.register_post_import_hook(register, "peft")
