"""Tests of PEFT's that do not apply to CDVFT, and why."""

from __future__ import annotations

FLOAT32 = "CDVFT's vectors are float32 whatever the base's dtype, by design: there is no bfloat16 FFT"

DESELECTED: dict[str, str] = {
    r"test_adapter_dtype_autocast\[\w+-False-dtype[01]-": FLOAT32,
    r"test_add_adapter_no_autocast_adapter_dtype": FLOAT32,
    r"test_from_pretrained\[|test_from_pretrained_cache_dir|test_save_pretrained_with_runtime_config": (
        "loads a LoRA configuration from the hub, which is out of reach, and never looks at CDVFT's"
    ),
}
"""Regular expressions of test names, and why each does not apply."""
