"""CDVFT: fine-tuning with circulant and diagonal vectors, as a PEFT tuner.

    import cdvft
    model = peft.get_peft_model(model, cdvft.CDVFTConfig(m=2, target_modules=["query", "value"]))

Importing the package makes the method known to PEFT, so it must come before `PeftModel.from_pretrained`.
"""

from cdvft.config import CDVFTConfig
from cdvft.layer import CDVFTLayer, CDVFTLinear, Factors
from cdvft.model import CDVFTModel
from cdvft.registration import register

__all__ = ["CDVFTConfig", "CDVFTLayer", "CDVFTLinear", "CDVFTModel", "Factors"]

register()
