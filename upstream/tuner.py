"""The tuner as PEFT keeps its methods, made from this library's modules: plain torch, no kernels of its own.

Left out are what PEFT has no place for or would take in steps of their own: compiled and fused kernels, engines
to choose among, sums of adapters, rows of a batch that train adapters of their own, convolutions.
"""

from __future__ import annotations

from pathlib import Path

from upstream.source import parts, replaced, without

ROOT = Path(__file__).parents[1]
OURS = ROOT / "cdvft"
WRITTEN = Path(__file__).parent / "parts"
LICENSE = (WRITTEN / "license.txt").read_text(encoding="utf-8")
FUTURE = "from __future__ import annotations\n"


def modules() -> dict[str, str]:
    """Source of each module of `peft.tuners.cdvft`, by file name.

    Raises:
        ValueError: if our modules have changed so that a change made here has no place.
    """
    made = {
        "__init__.py": _written("__init__.py.txt"),
        "blocks.py": _text("blocks"),
        "circulant.py": _text("circulant"),
        "config.py": _config(),
        "experts.py": _text("experts"),
        "layer.py": _layer(),
        "mixed_batches.py": _mixed_batches(),
        "model.py": _model(),
        "quantized.py": _text("quantized"),
        "targets.py": _targets(),
    }
    return {name: f"{LICENSE}{text.replace('from cdvft.', 'from .')}" for name, text in made.items()}


def _text(module: str) -> str:
    return (OURS / f"{module}.py").read_text(encoding="utf-8")


def _written(name: str) -> str:
    return (WRITTEN / name).read_text(encoding="utf-8")


def _described(text: str, first: str, before: str) -> dict[str, str]:
    """A change that takes the description of an argument, from its line to the next one's, out of a docstring."""
    start = text.index(f"        {first}: ")
    return {text[start : text.index(f"        {before}: ", start)]: ""}


def _config() -> str:
    text = _text("config")
    text = replaced(text, _described(text, "backend", "m_pattern"))
    choices = text[
        text.index("        if self.backend not in BACKENDS") : text.index("        if self.bias not")
    ]
    saving = text[text.index("    def save_pretrained(") : text.index("    def _check_pattern(")]
    card = text[text.index('CARD = """') : text.index("def _check_names(")]
    sums = text[text.index("        if not isinstance(self.terms") : text.index("        _check_tokens(self")]
    described = text[
        text.index("        terms: of what") : text.index(
            "\n    Raises:", text.index("        terms: of what")
        )
    ]
    return replaced(
        text,
        {
            choices: "",
            saving: "",
            card: "",
            sums: "",
            described: "",
            "    terms: dict[str, float] = field(default_factory=dict)\n": "",
            "from pathlib import Path\n": "",
            "import peft\nimport torch\nfrom huggingface_hub import ModelCard\n\nfrom cdvft.kernels.rule import BACKENDS, Backend\n"
            "from cdvft.registration import CDVFTPeftType\n": "import torch\n\nfrom peft.config import PeftConfig\nfrom peft.utils import PeftType\n",
            "class CDVFTConfig(peft.PeftConfig)": "class CDVFTConfig(PeftConfig)",
            "CDVFTPeftType.CDVFT": "PeftType.CDVFT",
            '    backend: Backend = "auto"\n': "",
            '    needs: str = "import cdvft"\n': "",
            "        needs: what a program must do before PEFT can read this; for who opens the file.\n": "",
        },
    )


def _layer() -> str:
    ours, merging, circulant = (
        parts(OURS / "layer.py"),
        parts(OURS / "merging.py"),
        _written("cd_linear.py.txt"),
    )
    own = without(ours["CDVFTLayer"], ["terms"])
    start, end = own.index("        delta = sum("), own.index("    def supports_lora_conversion")
    own = replaced(
        own,
        {
            own[start:end]: "        delta = _dense(self.factors(adapter))\n"
            "        return delta.mT if self.weight_is_transposed else delta\n\n",
            '"cdvft_alpha", "cdvft_backend", "cdvft_dropout", "cdvft_terms"': '"cdvft_alpha", "cdvft_dropout"',
            "        self.cdvft_backend: dict[str, Backend] = {}\n": "",
            "        self.cdvft_terms: dict[str, dict[str, float]] = {}  # a sum of adapters -> their weights\n": "",
            "        self._short_way: ShortWay | None = None\n": "",
            "        elif isinstance(dense, nn.Conv2d):\n"
            "            self.in_features, self.out_features = dense.in_channels, dense.out_channels\n": "",
            "        self.cdvft_backend[adapter_name] = config.backend\n": "",
            ", or a part of it where it stands for several.": ".",
            "return bool(self.terms(adapter))": "return adapter in self.cdvft_circulants",
            "def factors(self, adapter: str, weight: float = 1.0)": "def factors(self, adapter: str)",
            "as they are trained; alpha times a weight.": "as they are trained, and its alpha.",
            "Factors(_tensors(diagonals), _tensors(circulants), weight * self.cdvft_alpha[adapter])": (
                "Factors(list(diagonals), list(circulants), self.cdvft_alpha[adapter])"
            ),
        },
    )
    wrapper = without(ours["CDVFTLinear"], ["forward", "_base", "active_terms", "drops", "_shares"])
    check = "    def _check_mixed_batch("
    wrapper = replaced(
        wrapper,
        {
            check: f"{_written('layer_methods.py.txt')}\n{check}",
        },
    )
    return "\n\n".join(
        [
            f'"""The adapted linear layer: a frozen base layer plus alpha dW x, for any number of adapters."""\n\n{FUTURE}',
            _written("layer_imports.py.txt"),
            f"{ours['BASE_ONLY']}\n",
            f"{ours['MAX_BLOCKS']}\n",
            merging["MergeableLayer"],
            own,
            wrapper,
            circulant,
            ours["_dense"],
            ours["_initialize"],
        ]
    )


def _mixed_batches() -> str:
    text = without(_text("mixed_batches"), ["trainable"])
    start = text.index("    if tuner.training and any(getattr")
    text = replaced(text, {text[start : text.index("    check_known(tuner, names)")]: ""})
    return replaced(
        text,
        {
            ", trains_by_row: bool": "",
            "one call, within `training_by_row` or outside it.": "one call.",
            "or the model trains and its rows may not.": "or the model is in training mode.",
            "tuner.training and not trains_by_row": "tuner.training",
            'Call .eval() first, or train "\n'
            '            "within `with model.base_model.training_by_row(adapter_names):`."': 'Call .eval() first."',
        },
    )


def _targets() -> str:
    text = without(_text("targets"), ["QUERY_AND_VALUE", "DEFAULT_TARGETS"])
    start = text.index('"""Layers adapted by default, by model type')
    return replaced(
        text,
        {
            text[start : text.index("def settings_of_layer")]: "\n",
            "# Query and value as transformers names them before and since version 5; absent names match nothing.\n": "",
            "from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING\n": "",
            "from cdvft.conv2d import is_pointwise\n": "",
            "isinstance(dense, (nn.Linear, Conv1D)) or is_pointwise(dense)": "isinstance(dense, (nn.Linear, Conv1D))",
            'both outside nn.MultiheadAttention, nn.Conv2d with 1 x 1 kernels, stride "\n'
            '            f"1, no padding and no groups, and layers quantized by': (
                'both outside nn.MultiheadAttention, "\n            f"and layers quantized by'
            ),
            '"""Which layers are adapted by default, which can be,': '"""Which layers can be adapted,',
        },
    )


def _model() -> str:
    dropped = ["add_weighted_adapter", "delete_adapter", "training_by_row"]
    dropped += ["_get_adapter_state_dict", "_remap_adapter_state_dict_for_load"]
    text = _text("model")
    own = parts(OURS / "model.py")["CDVFTModel"]
    text = replaced(text, {own: without(own, [*dropped, "_trains_by_row"])})
    return replaced(
        text,
        {
            "import peft\n": "",
            "peft_config: peft.PeftConfig, model_config: dict) -> peft.PeftConfig": (
                "peft_config: PeftConfig, model_config: dict) -> PeftConfig"
            ),
            "from collections.abc import Iterator, Sequence\n": "from collections.abc import Iterator\n",
            "from peft.tuners.lora import LoraModel\n": "from peft.config import PeftConfig\nfrom peft.tuners.lora import LoraModel\n",
            "from peft.utils import get_quantization_kwargs\n": (
                "from peft.utils import TRANSFORMERS_MODELS_TO_CDVFT_TARGET_MODULES_MAPPING, get_quantization_kwargs\n"
            ),
            "from cdvft.conv2d import CDVFTConv2d\n": "",
            "check_adapter_names, check_known, handed_out, trainable\n": "check_adapter_names, handed_out\n",
            "from cdvft.registration import PREFIX\n": "",
            "    DEFAULT_TARGETS,\n": "",
            "from cdvft.weighted import add_saved, add_weighted, check_deletable, check_loadable, check_trainable, is_sum\n": "",
            "        if config.terms:\n            add_saved(self, adapter_name)\n            return\n": "",
            "prefix = PREFIX": 'prefix: str = "cdvft_"',
            "target_module_mapping = DEFAULT_TARGETS": (
                "target_module_mapping = TRANSFORMERS_MODELS_TO_CDVFT_TARGET_MODULES_MAPPING"
            ),
            "                wrapper = CDVFTConv2d if isinstance(target, nn.Conv2d) else CDVFTLinear\n": "",
            "wrapped = wrapper(target,": "wrapped = CDVFTLinear(target,",
            "names, self._trains_by_row)": "names)",
        },
    )
