"""Plans on tiny real models, for the tests of every room; what is heavy is loaded by who asks for it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

from cdvft_app.catalog import Plan, get_model, resolve, uploaded
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.results import requirements
from cdvft_app.settings import RunSettings, UploadedDataset
from cdvft_app.store.runs import RunStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    made = RunStore(tmp_path)
    yield made
    made.close()


@pytest.fixture
def model_of(tmp_path: Path) -> Callable[[object], str]:
    """`model_of(configuration)`: a model that has nothing else, by its name, which is a folder's."""

    def write(configuration: object) -> str:
        (tmp_path / "config.json").write_text(json.dumps(configuration))
        return str(tmp_path)

    return write


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    import tiny_models

    return tiny_models


@pytest.fixture(scope="session")
def bert_folder(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def roberta_folder(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.roberta(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="session")
def vit_folder(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.vit(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="session")
def text_rows(tiny: ModuleType) -> Rows:
    return Rows(tiny.reviews(60, seed=1), tiny.reviews(24, seed=2), ("negative", "positive"), None)


@pytest.fixture(scope="session")
def image_rows(tiny: ModuleType) -> Rows:
    return Rows(tiny.greys(24, seed=1), tiny.greys(12, seed=2), ("dark", "grey", "bright"), None)


@pytest.fixture(scope="session")
def llama_folder(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def answer_rows(tiny: ModuleType) -> Rows:
    return Rows(tiny.numbers(40, seed=1), tiny.numbers(12, seed=2), (), None)


@pytest.fixture(scope="session")
def text_plan(bert_folder: Path):
    """`text_plan(method, **settings)`: the sentiment recipe on the tiny BERT."""

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        defaults = {"epochs": 2.0, "batch_size": 8, "fourierft_n": 40, "c3a_block_size": 16, "lora_r": 2}
        defaults |= {"dora_r": 2, "vera_r": 4}
        plan = resolve(RunSettings(recipe="sentiment", method=method, **{**defaults, **chosen}))
        model = dataclasses.replace(get_model("minilm"), source="local", location=str(bert_folder))
        return dataclasses.replace(plan, model=model)

    return make


@pytest.fixture(scope="session")
def number_rows(text_rows: Rows) -> Rows:
    """Prices of the same texts: about 60 and about 540."""
    import numpy as np

    def priced(split):
        prices = 60 + 480 * split.labels + np.arange(len(split)) % 7
        return dataclasses.replace(split, labels=prices.astype(np.float32))

    return Rows(priced(text_rows.train), priced(text_rows.evaluation), (), None)


@pytest.fixture(scope="session")
def number_plan(text_plan, number_rows):
    """`number_plan(method, **settings)`: prices of one's own on the tiny BERT, learned in deviations."""
    prices = number_rows.train.labels.astype(float)
    data = UploadedDataset(
        sha256="5" * 64, title="flats", kind="text", inputs=("text",), label="price", train_rows=60,
        evaluation_rows=24, label_mean=prices.mean(), label_deviation=prices.std(),
    )  # fmt: skip

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        plan = text_plan(method, **chosen)
        settings = plan.settings.model_copy(update={"data": data})
        return dataclasses.replace(plan, settings=settings, dataset=uploaded.entry(data))

    return make


@pytest.fixture(scope="session")
def image_plan(vit_folder: Path):
    """`image_plan(method, **settings)`: the mnist recipe on timm's test ViT at 32 pixels."""

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        defaults = {"epochs": 1.0, "batch_size": 8, "fourierft_n": 40, "c3a_block_size": 16, "vera_r": 4}
        plan = resolve(RunSettings(recipe="mnist", method=method, **{**defaults, **chosen}))
        model = dataclasses.replace(
            get_model("vit_small"), source="local", location=str(vit_folder), architecture=None
        )
        settings = plan.settings.model_copy(update={"image_size": 32})
        return dataclasses.replace(plan, model=model, settings=settings)

    return make


@pytest.fixture(scope="session")
def answer_plan(llama_folder: Path):
    """`answer_plan(method, folder, **settings)`: the recipe addresses on a tiny causal model."""

    def make(method: str = "cdvft", folder: Path = llama_folder, **chosen: object) -> Plan:
        defaults = {"epochs": 2.0, "batch_size": 8, "fourierft_n": 40, "lora_r": 2, "max_length": 96}
        plan = resolve(RunSettings(recipe="addresses", method=method, **{**defaults, **chosen}))
        model = dataclasses.replace(get_model("smollm2"), source="local", location=str(folder))
        dataset = dataclasses.replace(plan.dataset, instruction="Say it.", fields=("n", "kind"))
        return dataclasses.replace(plan, model=model, dataset=dataset)

    return make


@pytest.fixture
def stub(monkeypatch):
    """A hub of the test's own, asked in place of the real one."""
    from hub_stub import hub

    with hub() as one:
        monkeypatch.setenv("HF_ENDPOINT", one.address)
        # Read when it was imported:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", one.address)
        template = one.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        for patience in ("STATUS_TIMEOUT", "SEARCH_TIMEOUT"):  # a busy machine is no hub out of reach
            monkeypatch.setattr(f"cdvft_app.catalog.hub.{patience}", 120.0)
        yield one


@pytest.fixture
def without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has no package for weights in 4 or 8 bits."""

    def of_others(name: str) -> str:
        if name == "bitsandbytes":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(requirements, "version", of_others)
    requirements.requirement.cache_clear()
    yield
    requirements.requirement.cache_clear()
