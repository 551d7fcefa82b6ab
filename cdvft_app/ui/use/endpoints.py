"""Named endpoints of this tab: /predict and /export."""

from __future__ import annotations

from typing import Any, Literal

from gradio.data_classes import FileData

from cdvft_app.data.pictures import as_png_in_child
from cdvft_app.data.source import DataRefused
from cdvft_app.public.intake import TooMuch
from cdvft_app.results import inputs
from cdvft_app.results.answering import MAX_RUNS, Answering
from cdvft_app.results.exporters import AS_TRAINED, DEFAULT_RANK, EXPORTERS, exporter
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared import downloads
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.problem import refusal
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import looking

MAX_TEXTS = 100
To = Literal[tuple(EXPORTERS)]  # type: ignore[valid-type]


def register(app: AppState, answering: Answering) -> None:
    """Add the endpoints to the Blocks that are being built."""

    def predict(
        run_ids: list[str],
        texts: list[str] | None = None,
        second: list[str] | None = None,
        token: str = "",
        image: str | None = None,
    ) -> dict[str, Any]:
        """What finished runs of one race answer, and the frozen model with the first head.

        Args:
            run_ids: of one race.
            texts: what races on texts are asked, 100 at most.
            second: one for each of the texts, where two are compared.
            token: that start gave, for private runs.
            image: in place of texts for races on images: a file's bytes in base64.
        """
        if not (isinstance(run_ids, list) and 1 <= len(run_ids) <= MAX_RUNS):
            raise refusal(f"run_ids: give a list of 1 to {MAX_RUNS} runs of one race.")
        for given in (texts, second):
            if given is not None and not (isinstance(given, list) and 1 <= len(given) <= MAX_TEXTS):
                raise refusal(f"texts: give a list of 1 to {MAX_TEXTS} texts.")
        if not _are_texts([*(texts or []), *(second or [])]):
            raise refusal("texts: each must be a text.")
        if not _are_texts(run_ids):
            raise refusal("run_ids: each is the id of a run, a text.")
        if (texts is None) == (image is None):
            raise refusal("Give either texts or an image.")
        about = {"texts": texts or [], "second": second or [], "image": _image(image)}
        with looking(token):
            return _ask_or_refuse(answering, "answer", run_ids=run_ids, **about)

    def export(
        run_id: str,
        to: To = AS_TRAINED.key,  # type: ignore[valid-type]
        rank: int = DEFAULT_RANK,
        token: str = "",
    ) -> FileData:
        """A finished run as a zip, in one of several formats.

        Args:
            run_id: one that start gave.
            to: FORMATS.
            rank: of lora.
            token: that start gave, for a private run.
        """
        try:
            exporter(to)
        except ResultsError as error:
            raise refusal(str(error)) from None
        if isinstance(rank, bool) or not isinstance(rank, int):
            raise refusal("rank: it is a whole number.")
        if not isinstance(run_id, str):
            raise refusal("run_id: give the id of a finished run, a text.")
        asked = {"run_id": run_id, "to": to, "rank": rank}
        with looking(token):
            try:
                out = downloads.export(
                    f"{to}.zip", lambda out: answering.ask("export", **asked, out=str(out))
                )
            except (ResultsError, StoreError) as error:
                raise refusal(str(error)) from None
        return FileData(path=str(out), orig_name=out.name)  # as a mere path it would not be sent

    assert export.__doc__ is not None
    *keys, last = EXPORTERS
    export.__doc__ = export.__doc__.replace("FORMATS", f"{', '.join(keys)} or {last}")
    for call in (predict, export):
        named_endpoint(call, concurrency_limit=1, concurrency_id="use")


def _are_texts(given: list[Any]) -> bool:
    return all(isinstance(one, str) for one in given)


def _image(given: object) -> bytes | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise refusal("image: give the bytes of an image file in base64.")
    try:
        return own_picture(inputs.decoded(given))
    except ResultsError as error:
        raise refusal(str(error)) from None


def own_picture(data: bytes) -> bytes:
    """A picture that somebody gave, as one made here of its pixels.

    Raises:
        ResultsError: why it cannot be used.
    """
    if len(data) > inputs.MAX_BYTES:
        raise ResultsError(f"The image is too large; at most {inputs.MAX_BYTES // 2**20} MiB are read.")
    try:
        return as_png_in_child(data)
    except (DataRefused, TooMuch) as error:
        raise ResultsError(str(error)) from None


def _ask_or_refuse(answering: Answering, question: str, **about: Any) -> Any:
    try:
        return answering.ask(question, **about)
    except (ResultsError, StoreError) as error:
        raise refusal(str(error)) from None
