"""The shapes of any model's layers, from its configuration alone, without its weights.

>>> from cdvft_app.shapes import model_shapes
>>> llama = model_shapes("meta-llama/Meta-Llama-3-8B")
>>> [(shape.d_out, shape.d_in) for shape in llama.select(("q_proj", "v_proj"))[:2]]
[(4096, 4096), (1024, 4096)]
"""

from functools import lru_cache

from cdvft_app.catalog import libraries
from cdvft_app.shapes.layers import ALL_LINEAR, ModelShapes

__all__ = ["ALL_LINEAR", "ModelShapes", "backbone_shapes", "model_shapes"]


@lru_cache(maxsize=64)
def model_shapes(name: str, image_size: int | None = None) -> ModelShapes:
    """Return the shapes of a model by its full, short or timm name, of a local folder, or of a hub id.

    The first call imports torch and transformers, which have the architectures.

    Raises:
        InvalidChoice: there is no such model, the hub does not answer, or the model cannot be counted.
    """
    return _shapes(name, image_size, read_by_head=False)


@lru_cache(maxsize=64)
def backbone_shapes(name: str, image_size: int | None = None) -> ModelShapes:
    """Return `model_shapes` as a head reads the model: of one that writes, without its output layer."""
    return _shapes(name, image_size, read_by_head=True)


def _shapes(name: str, image_size: int | None, read_by_head: bool) -> ModelShapes:
    libraries.load()
    from cdvft_app.shapes.architectures import read_shapes

    return read_shapes(name, image_size, read_by_head)
