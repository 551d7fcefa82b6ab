"""What one layer of a run's pretrained model receives for a text somebody typed."""

from __future__ import annotations

from cdvft_app.catalog.backbones import TextBackbone
from cdvft_app.inspection import frozen
from cdvft_app.inspection.examples import layer_inputs
from cdvft_app.inspection.sources import Source, Unavailable
from cdvft_app.payloads.factors import LayerInputs

MAX_CHARACTERS = 400
MAX_TOKENS = 48


def inputs(source: Source, module: str, text: object) -> LayerInputs:
    """The vectors x that reach a module of the frozen model, one for each token of `text`.

    Raises:
        Unavailable: the text cannot be used, or the model is not on this machine; says why.
        Busy: others use the model.
    """
    if not isinstance(text, str) or not text.strip():
        raise Unavailable("Type a few words first.")
    if len(text) > MAX_CHARACTERS:
        raise Unavailable(f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are taken.")
    with frozen.backbone(source) as loaded:
        if not isinstance(loaded, TextBackbone):
            raise Unavailable("This run is about images; choose one of its pictures.")
        encoded = loaded.tokenizer(text.strip(), truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        x, y = frozen.run(loaded.model, [module], dict(encoded))[module]
        tokens = loaded.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    return layer_inputs(list(tokens), x.numpy(), y.norm(dim=-1).tolist())
