"""What the fork server of `children` imports: the trainer, without the garbage collector on the way."""

from cdvft_app.catalog import libraries

with libraries.uncollected():
    import cdvft_app.training.trainer  # noqa: F401 (children find it imported)
