"""The layers of any model by their shapes, from its configuration alone: no weights, no download of any.

>>> from cdvft_app.shapes import model_shapes
>>> llama = model_shapes("meta-llama/Meta-Llama-3-8B")
>>> [(shape.d_out, shape.d_in) for shape in llama.select(("q_proj", "v_proj"))[:2]]
[(4096, 4096), (1024, 4096)]
"""

from cdvft_app.shapes.model_shapes import ALL_LINEAR, ModelShapes
from cdvft_app.shapes.reading import model_shapes

__all__ = ["ALL_LINEAR", "ModelShapes", "model_shapes"]
