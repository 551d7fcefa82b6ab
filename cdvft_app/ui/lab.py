"""The lab of the Learn tab: choose a matrix and see how well each family fits it, as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.ui.component import component
from cdvft_app.ui.lab_table import recorded_table
from cdvft_app.ui.state import AppState

TARGETS = (
    ("Random", "gaussian"),
    ("Low rank", "low_rank"),
    ("Circulant", "circulant"),
    ("Diagonal times circulant", "diagonal_circulant"),
    ("Toeplitz", "toeplitz"),
    ("Permutation", "permutation"),
    ("Real Fourier transform", "hartley"),
    ("Smooth kernel", "smooth_kernel"),
    ("Sparse", "sparse"),
    ("Lower triangle of ones", "lower_triangular"),
    ("A file of mine", "file"),
)
SIZES = (16, 32, 64, 128, 256)
EMPTY: dict[str, Any] = {"running": False, "status": "", "sentence": "", "fits": [], "pictures": {}}

TEXT = r"""## Fit a matrix

How much of a given matrix can each form say, with how many numbers? Choose a target and press Fit: this
server searches $m = 1, 2, \dots$ circulant-diagonal factors, and beside them the best low rank (by SVD),
the best Fourier entries (places counted, since they were chosen for the target), random ones as
FourierFT has them, and the best circulant blocks. Up to 64 x 64 it takes seconds; larger ones stop after
a minute with the best found by then.
"""
LATEX: list[dict[str, str | bool]] = [{"left": "$", "right": "$", "display": False}]


def lab(app: AppState) -> None:
    """Lay the lab out and connect it."""
    with gr.Column(elem_id="lesson-lab", elem_classes=["lab"]):
        gr.Markdown(TEXT, latex_delimiters=LATEX, elem_classes=["lesson-text"])
        with gr.Row(elem_classes=["lab-form"]):
            name = gr.Dropdown(list(TARGETS), value="smooth_kernel", label="Target", elem_id="lab-target")
            size = gr.Dropdown(list(SIZES), value=32, label="Size n", elem_id="lab-size")
            most_m = gr.Slider(1, 5, value=3, step=1, label="Factors up to m", elem_id="lab-m")
            with gr.Row(elem_classes=["lab-buttons"]):
                fit = gr.Button("Fit", variant="primary", elem_id="lab-fit")
                stop = gr.Button("Stop", elem_id="lab-stop")
        file = gr.File(
            label="A square .npy matrix up to 256 x 256, or a PNG or JPEG picture, up to 2 MB",
            file_types=[".npy", ".png", ".jpg", ".jpeg"],
            visible=False,
            elem_id="lab-file",
            height=120,
        )
        view = component("learn/lab_view.js", EMPTY, elem_id="lab-view", elem_classes=("lab-view",))
        gr.HTML(recorded_table(), apply_default_css=False, elem_classes=["lab-recorded"])

    name.input(
        lambda chosen: gr.File(visible=chosen == "file"),
        name,
        file,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )

    def run(chosen: object, n: object, m: object, path: str | None) -> Iterator[dict[str, Any]]:
        app.await_libraries()
        from cdvft_app.lessons.fitting import fitted

        try:
            target, about = _target(chosen, n, path)
            yield from fitted(target, m, about)  # type: ignore[arg-type]  # checked there
        except ValueError as error:
            yield EMPTY | {"status": "Not fitted", "sentence": str(error)}

    running = fit.click(
        run,
        [name, size, most_m, file],
        view,
        js="(...given) => { document.dispatchEvent(new Event('lab-started')); return given; }",
        show_progress="hidden",
        concurrency_limit=1,
        concurrency_id="lab",
        api_visibility="private",
    )
    stop.click(
        None,
        None,
        None,
        js="() => { document.dispatchEvent(new Event('lab-stopped')); }",
        cancels=[running],
        queue=False,
        api_visibility="private",
    )


def _target(chosen: object, n: object, path: str | None) -> tuple[Any, str]:
    """The matrix that was asked for, and a sentence about it."""
    from cdvft.approximate import TARGETS as KNOWN
    from cdvft.approximate import make_target

    if n not in SIZES:
        raise ValueError(f"n is {str(n)[:20]!r}; choose one of {', '.join(map(str, SIZES))}.")
    if chosen == "file":
        from cdvft_app.lessons.uploads import read_matrix

        if not path:
            raise ValueError("No file was given. Choose one, or another target.")
        return read_matrix(Path(path), int(str(n))), "This was your own file."
    if chosen not in KNOWN:
        raise ValueError(f"There is no target {str(chosen)[:40]!r}. Choose one from the list.")
    return make_target(str(chosen), int(str(n))), f"The target: {KNOWN[str(chosen)].description}"
