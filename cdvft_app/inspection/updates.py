"""The weight changes of finished runs of any method, for the lab of the Learn tab to fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from cdvft.blocks import matches
from cdvft_app import catalog
from cdvft_app.events import ADAPTER
from cdvft_app.inspection import layers, sources
from cdvft_app.inspection.sources import LiveRun, Source, Unavailable
from cdvft_app.store.runs import RunStore

WEIGHTS = "model.safetensors"  # what full fine-tuning keeps, in the run's adapter folder


@dataclass(frozen=True)
class ChangedLayer:
    """A layer that a run changed: `title` for the page."""

    module: str
    title: str
    d_out: int
    d_in: int


def list_sources(store: RunStore) -> Iterator[Source]:
    """Finished runs whose weight changes are kept, the latest first, recorded ones last."""
    for run in sources.latest_runs(store):
        if run.record.state != "finished":
            continue
        if _file(run).is_file() if run.record.method == "full" else run.steps():
            yield run
    yield from map(sources.RecordedRun, sources.recorded_keys())


def find(store: RunStore, run_id: object) -> Source:
    """Return the finished run of that id.

    Raises:
        Unavailable: there is none, or its weight changes are not kept.
    """
    record = store.get(run_id)
    if record is None or record.method != "full":
        source = sources.find(store, run_id)
        if record is not None and record.state != "finished":
            raise Unavailable(f"“{record.name}” has not finished; choose a run that has.")
        return source
    run = LiveRun.of(store, record)
    if record.state != "finished" or not _file(run).is_file():
        raise Unavailable(f"“{record.name}” keeps no weights; only finished runs do.")
    return run


def changed(source: Source) -> list[ChangedLayer]:
    """Return the layers that a run changed and that the catalogue or the run's snapshots list as linear."""
    if source.settings.method.key != "full":
        found = layers.layers(source)
        return [ChangedLayer(one.module, _title(one.depth, one.kind), one.d_out, one.d_in) for one in found]
    groups = catalog.resolve(source.settings).model.layers
    with _weights(source) as tensors:
        names = [key.removesuffix(".weight") for key in tensors.keys() if key.endswith(".weight")]  # noqa: SIM118
        sizes = {
            name: [(group.d_out, group.d_in) for group in groups if matches(name, group.name)]
            for name in names
        }
        shapes = {
            name: _as_linear(tensors.get_slice(f"{name}.weight").get_shape(), sizes[name])
            for name in names
            if sizes[name]
        }
    positions = layers.block_positions(shapes)
    return [ChangedLayer(name, _title(*positions[name]), *shapes[name]) for name in positions]


def _as_linear(kept: Sequence[int], known: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Return (d_out, d_in) of a weight that is kept with this shape: a Conv1D's the other way round."""
    turned = kept[::-1]
    return turned if tuple(kept) not in known and tuple(turned) in known else kept


def weight_change(source: Source, module: object) -> tuple[Any, ChangedLayer]:
    """Return the change after the last step as a tensor (d_out, d_in), and the layer it belongs to.

    For an adapter it is its update; for full fine-tuning the trained weights less the pretrained ones.

    Raises:
        Unavailable: the run changed no such layer, or the pretrained model is not on this machine.
        TooManyRequests: others use the pretrained model.
    """
    layer = next((one for one in changed(source) if one.module == module), None)
    if layer is None:
        raise Unavailable(f"This run changed no layer {str(module)[:80]!r}; choose one of its layers.")
    if source.settings.method.key == "full":
        return _difference(source, layer.module), layer
    from cdvft_app.inspection import numbers

    found = layers.find_layer(source, layer.module)
    return numbers.update(source, found, source.steps()[-1]), layer


def _difference(source: Source, module: str) -> Any:
    from cdvft_app.inspection import frozen

    with safe_open(_file(source), framework="pt") as tensors:
        trained = tensors.get_tensor(f"{module}.weight")
    with frozen.backbone(source) as loaded:
        pretrained = frozen.find_submodule(loaded.model, module)
        if pretrained is None:
            raise Unavailable(f"The pretrained model has no layer {module!r} to compare with.")
        return frozen.turned(pretrained, trained.float() - pretrained.weight.detach().float())


def _weights(source: Source) -> Any:
    return safe_open(_file(source), framework="numpy")


def _file(source: Source) -> Path:
    assert isinstance(source, LiveRun)
    return source.folder / ADAPTER / WEIGHTS


def _title(depth: int | None, kind: str) -> str:
    return kind if depth is None else f"layer {depth} · {kind}"
