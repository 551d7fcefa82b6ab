"""What changes in PEFT's own files, and which files come beside the tuner."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from upstream.source import replaced
from upstream.tuner import WRITTEN, modules

TUNER = "src/peft/tuners/cdvft"
MAPPING = "TRANSFORMERS_MODELS_TO_CDVFT_TARGET_MODULES_MAPPING"
BEFORE = "TRANSFORMERS_MODELS_TO_C3A_TARGET_MODULES_MAPPING"
"""The neighbour, C3A, marks the place in each of PEFT's lists."""

REGISTRATION: dict[str, dict[str, str]] = {
    "src/peft/utils/peft_types.py": {
        '    C3A = "C3A"\n': '    C3A = "C3A"\n    CDVFT = "CDVFT"\n',
        "    - C3A\n": "    - C3A\n    - CDVFT\n",
    },
    "src/peft/utils/constants.py": {
        f'{BEFORE}["gpt2"] = ["mlp.c_proj"]\n': (
            f'{BEFORE}["gpt2"] = ["mlp.c_proj"]\n\n'
            f"{MAPPING} = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.copy()\n"
        ),
    },
    **{
        f"src/peft/utils/{name}.py": {
            f"    {BEFORE},\n": f"    {BEFORE},\n    {MAPPING},\n",
            f'    "{BEFORE}",\n': f'    "{BEFORE}",\n    "{MAPPING}",\n',
        }
        for name in ("__init__", "other")
    },
    "src/peft/tuners/__init__.py": {
        "from .cpt import": "from .cdvft import CDVFTConfig, CDVFTModel\nfrom .cpt import",
        '    "C3AModel",\n': '    "C3AModel",\n    "CDVFTConfig",\n    "CDVFTModel",\n',
    },
    "src/peft/__init__.py": {
        "    C3AModel,\n": "    C3AModel,\n    CDVFTConfig,\n    CDVFTModel,\n",
        '    "C3AModel",\n': '    "C3AModel",\n    "CDVFTConfig",\n    "CDVFTModel",\n',
    },
}

C3A = "    #######\n    # C3A #\n    #######\n"
SAME = '{"target_modules": ["lin0"], "init_weights": False}'
OTHER = '{"target_modules": ["lin1"], "init_weights": False}'
CUSTOM = """    #########
    # CDVFT #
    #########
    ("Vanilla MLP 1 CDVFT", "MLP", CDVFTConfig, {"target_modules": "lin0"}),
    ("Vanilla MLP 2 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin0"]}),
    ("Vanilla MLP 3 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin1"]}),
    # note: these tests train by SGD at a rate of 0.5, which products of many vectors stand with a small alpha only
    ("Vanilla MLP 4 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin0", "lin1"], "m": 3, "alpha": 0.1}),
    ("Vanilla MLP 5 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin0"], "modules_to_save": ["lin1"]}),
    ("Vanilla MLP 6 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin0"], "init_weights": "zero_circulant"}),
    ("Vanilla MLP 7 CDVFT", "MLP", CDVFTConfig, {"target_modules": ["lin0"], "init_weights": "zero_input"}),
    ("transformers Conv1D 1 CDVFT", "EmbConv1D", CDVFTConfig, {"target_modules": ["conv1d"]}),
"""
ACTIVE = f"""    ("CDVFT Same", "cdvft", CDVFTConfig, {SAME}, {SAME}),
    ("CDVFT Different", "cdvft", CDVFTConfig, {SAME}, {OTHER}),
"""
MIXED = """    (
        "CDVFT mixed adapter",
        CDVFTConfig(target_modules=["lin0"], init_weights=False),
        CDVFTConfig(target_modules=["lin0"], m=3, block_size=4, init_weights=False),
    ),
"""
IMPORTED = {"    C3AConfig,\n    CartridgeConfig": "    C3AConfig,\n    CDVFTConfig,\n    CartridgeConfig"}
IMPORTED_BEFORE_DEFT = {"    C3AConfig,\n    DeftConfig": "    C3AConfig,\n    CDVFTConfig,\n    DeftConfig"}


def _row(task_type: str) -> dict[str, str]:
    before = "    (\n        C3AConfig,\n"
    return {
        before: f'    (\n        CDVFTConfig,\n        {{"task_type": "{task_type}", "target_modules": None}},\n'
        f"    ),\n{before}"
    }


TESTS: dict[str, dict[str, str]] = {
    "tests/test_custom_models.py": {
        **IMPORTED_BEFORE_DEFT,
        f"{C3A}    # note": f"{CUSTOM}{C3A}    # note",
        '    (\n        "AdaMSS Same",\n': f'{ACTIVE}    (\n        "AdaMSS Same",\n',
        '    (\n        "GLoRA mixed adapter",\n': f'{MIXED}    (\n        "GLoRA mixed adapter",\n',
    },
    "tests/test_config.py": {
        **IMPORTED,
        "    (C3AConfig, {}),\n": "    (C3AConfig, {}),\n    (CDVFTConfig, {}),\n",
    },
    "tests/test_decoder_models.py": {**IMPORTED, **_row("CAUSAL_LM")},
    "tests/test_encoder_decoder_models.py": {**IMPORTED_BEFORE_DEFT, **_row("SEQ_2_SEQ_LM")},
    "tests/test_feature_extraction_models.py": {**IMPORTED_BEFORE_DEFT, **_row("FEATURE_EXTRACTION")},
    "tests/test_seq_classifier.py": {**IMPORTED_BEFORE_DEFT, **_row("SEQ_CLS")},
}

ARENA = "method_comparison/MetaMathQA/experiments/cdvft"
CONFIGURATIONS: dict[str, dict[str, Any]] = {"default": {"m": 2}, "m_3": {"m": 3}}
"""Of CDVFT in PEFT's comparison of methods, by name; not run yet."""
LEARNING_RATE = 1e-2
"""A start, not a result: 0.01 and 0.02 were the best of those tried on two small recipes here."""


def write(tree: Path) -> list[str]:
    """Put the tuner into a checkout or an unpacked source distribution of PEFT.

    Returns:
        the paths that were written, within the tree

    Raises:
        ValueError: if a place in PEFT's files is not found; nothing is then written.
    """
    made = {f"{TUNER}/{name}": text for name, text in modules().items()}
    for name, changes in {**REGISTRATION, **TESTS}.items():
        made[name] = replaced((tree / name).read_text(encoding="utf-8"), changes)
    made["docs/source/package_reference/cdvft.md"] = (WRITTEN / "cdvft.md").read_text(encoding="utf-8")
    made["examples/cdvft_finetuning/cdvft_finetuning.py"] = (WRITTEN / "cdvft_finetuning.py.txt").read_text(
        encoding="utf-8"
    )
    for name, settings in CONFIGURATIONS.items():
        folder = f"{ARENA}/llama-3.2-3B-{name}"
        adapter = {
            "peft_type": "CDVFT",
            "target_modules": ["q_proj", "v_proj"],
            "task_type": "CAUSAL_LM",
            **settings,
        }
        made[f"{folder}/adapter_config.json"] = f"{json.dumps(adapter, indent=2)}\n"
        made[f"{folder}/training_params.json"] = (
            f"{json.dumps({'optimizer_kwargs': {'lr': LEARNING_RATE, 'weight_decay': 0.0}}, indent=2)}\n"
        )
    for name, text in made.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    subprocess.run(
        ["ruff", "check", "--isolated", "--quiet", "--fix", "--select", "I,F401", TUNER],
        cwd=tree,
        check=False,
    )
    subprocess.run(
        ["ruff", "format", "--isolated", "--quiet", "--line-length", "119", TUNER], cwd=tree, check=True
    )
    return sorted(made)
