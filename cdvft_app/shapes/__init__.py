"""The layers of any model by their shapes, from its configuration alone: no weights, no download of any.

>>> from cdvft_app.shapes import model_shapes
>>> llama = model_shapes("meta-llama/Meta-Llama-3-8B")
>>> [(shape.d_out, shape.d_in) for shape in llama.select(("q_proj", "v_proj"))[:2]]
[(4096, 4096), (1024, 4096)]
"""

from functools import lru_cache

from cdvft_app.catalog import libraries
from cdvft_app.shapes.model_shapes import ALL_LINEAR, ModelShapes

__all__ = ["ALL_LINEAR", "ModelShapes", "model_shapes"]


@lru_cache(maxsize=64)
def model_shapes(name: str, image_size: int | None = None) -> ModelShapes:
    """The shapes of a model by its full, short or timm name, of a local folder, or of a hub id.

    The first call imports torch and transformers, which know each architecture.

    Raises:
        InvalidChoice: the name leads nowhere, the hub does not answer, or its model cannot be counted.
    """
    libraries.load()
    from cdvft_app.shapes.reading import read_shapes

    return read_shapes(name, image_size)
