"""What is read from adapters against PEFT's own answers, and the measures against dense numpy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peft
import pytest
import scipy.linalg
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import cdvft
from cdvft.approximate import fit_block_circulant
from cdvft.circulant import block_circulant, circulant
from cdvft.factors import (
    circularity,
    delta_weight,
    effective_rank,
    factor_changes,
    factors,
    factors_from_folder,
    norm_ratio,
    shift_energy,
    singular_values,
    spectrum,
    weight_updates,
)
from cdvft.layer import CDVFTLayer, Factors

CONFIGS = {
    "default": {},
    "m = 3": {"m": 3, "alpha": 0.5},
    "small blocks with padding": {"m": 3, "block_size": 5},
}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def adapted(tiny, **kwargs: object) -> peft.PeftModel:
    config = cdvft.CDVFTConfig(target_modules=tiny.targets, init_weights=False, **kwargs)
    return peft.get_peft_model(tiny.model(), config)


def pefts_updates(model: nn.Module) -> dict[str, Tensor]:
    return {
        name.removeprefix("base_model.model."): layer.get_delta_weight("default").detach()
        for name, layer in model.named_modules()
        if hasattr(layer, "get_delta_weight")
    }


def assert_same(ours: dict[str, Factors], theirs: dict[str, Factors]) -> None:
    assert ours.keys() == theirs.keys()
    for name, layer in ours.items():
        torch.testing.assert_close(layer, theirs[name], rtol=0, atol=0)


# Reading


@pytest.mark.parametrize("kwargs", CONFIGS.values(), ids=CONFIGS)
def test_delta_weight_is_pefts(tiny, kwargs: dict) -> None:
    model = adapted(tiny, **kwargs)
    layers = factors(model)
    expected = pefts_updates(model)
    assert list(layers) == list(expected)
    for name, layer in layers.items():
        delta = delta_weight(layer)
        transposed = tiny.name == "gpt2"  # Conv1D stores (d_in, d_out)
        torch.testing.assert_close(delta.T if transposed else delta, expected[name])
        assert delta.shape == (layer.diagonals[-1].numel(), layer.diagonals[0].numel())


@pytest.mark.parametrize("kwargs", CONFIGS.values(), ids=CONFIGS)
def test_a_saved_folder_gives_the_same_factors(tiny, kwargs: dict, tmp_path: Path) -> None:
    model = adapted(tiny, **kwargs)
    model.save_pretrained(tmp_path)
    assert_same(factors_from_folder(tmp_path), factors(model))


def test_a_folder_knows_the_alpha_of_each_layer(bert, tmp_path: Path) -> None:
    model = adapted(
        bert, alpha=3.0, alpha_pattern={r".*layer\.1\..*query": 0.25}, modules_to_save=["classifier"]
    )
    model.save_pretrained(tmp_path)
    layers = factors_from_folder(tmp_path)
    assert_same(layers, factors(model))
    assert [layer.alpha for name, layer in layers.items() if "query" in name] == [3.0, 0.25]


def test_layers_of_a_folder_are_in_the_order_of_their_numbers(folder: Path) -> None:
    def rename(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if "layer.1." in name]:
            tensor = tensors.pop(name)
            for number in (10, 2):
                tensors[name.replace("layer.1.", f"layer.{number}.")] = tensor.clone()

    edit_vectors(folder, rename)
    assert [name.split(".")[3] for name in factors_from_folder(folder)] == ["0", "0", "2", "2", "10", "10"]


def test_factors_are_copies_and_names_are_those_of_the_base_model(bert) -> None:
    model = adapted(bert)
    layers = factors(model)
    base = dict(bert.model().named_modules())
    assert all(isinstance(base[name], nn.Linear) for name in layers)
    before = delta_weight(next(iter(layers.values())))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(delta_weight(next(iter(layers.values()))), before, rtol=0, atol=0)


def test_one_of_several_adapters(bert) -> None:
    model = adapted(bert)
    model.add_adapter("other", cdvft.CDVFTConfig(target_modules=["value"], m=3, init_weights=False))
    other = factors(model, "other")
    assert len(other) == 2 and all("value" in name for name in other)
    for update in weight_updates(model, "other"):
        torch.testing.assert_close(update.delta, delta_weight(other[update.layer]))
    assert len(list(weight_updates(model, "other"))) == 2


METHODS: dict[str, Callable[[list[str]], peft.PeftConfig]] = {
    "cdvft": lambda targets: cdvft.CDVFTConfig(target_modules=targets, init_weights=False),
    "lora": lambda targets: peft.LoraConfig(target_modules=targets, r=3, init_lora_weights=False),
    "fourierft": lambda targets: peft.FourierFTConfig(
        target_modules=targets, n_frequency=20, init_weights=False
    ),
    "c3a": lambda targets: peft.C3AConfig(target_modules=targets, block_size=8, init_weights=False),
}


@pytest.mark.parametrize("method", METHODS)
def test_weight_updates_are_what_merging_adds(method: str, bert) -> None:
    check_updates_against_merging(method, bert)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
@pytest.mark.parametrize("method", ["cdvft", "lora", "fourierft"])
def test_weight_updates_of_transposed_layers(method: str, gpt2) -> None:
    check_updates_against_merging(method, gpt2)


def check_updates_against_merging(method: str, tiny) -> None:
    torch.manual_seed(2)
    model = peft.get_peft_model(tiny.model(), METHODS[method](tiny.targets))
    updates = [(layer, delta, weight.clone()) for layer, delta, weight in weight_updates(model)]
    merged = dict(model.merge_and_unload().named_modules())
    assert len(updates) == (4 if tiny.name == "bert" else 6)
    for layer, delta, weight in updates:
        after = merged[layer].weight.detach()
        torch.testing.assert_close(
            weight + delta, after.T if tiny.name == "gpt2" else after, atol=1e-5, rtol=1e-4
        )
        assert norm_ratio(delta, weight) > 0


def test_the_effective_rank_of_lora_is_at_most_r_and_that_of_cdvft_is_not(bert) -> None:
    ranks = {}
    for method in ("lora", "cdvft"):
        torch.manual_seed(2)
        model = peft.get_peft_model(bert.model(), METHODS[method](bert.targets))
        ranks[method] = [effective_rank(singular_values(update.delta)) for update in weight_updates(model)]
    assert all(1 < rank <= 3 for rank in ranks["lora"])
    assert all(rank > 10 for rank in ranks["cdvft"])


@pytest.fixture
def folder(bert, tmp_path: Path) -> Path:
    adapted(bert).save_pretrained(tmp_path)
    return tmp_path


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_vectors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def shorten_a_circulant(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if "circulants" in name)
    tensors[name] = tensors[name][..., :-1].contiguous()


BROKEN: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no folder": (shutil.rmtree, ["adapter_config.json", "save_pretrained"]),
    "no vectors": (lambda at: (at / "adapter_model.safetensors").unlink(), ["adapter_model.safetensors"]),
    "no JSON": (lambda at: (at / "adapter_config.json").write_text("{"), ["cannot be read"]),
    "no method": (lambda at: (at / "adapter_config.json").write_text("{}"), ["cannot be read", "peft_type"]),
    "cut short": (lambda at: (at / "adapter_model.safetensors").write_bytes(b"\0" * 4), ["cannot be read"]),
    "another method": (lambda at: edit_config(at, peft_type="LORA"), ["'LORA'", "weight_updates"]),
    "bad setting": (lambda at: edit_config(at, m=1), ["m is 1"]),
    "m too large": (lambda at: edit_config(at, m=3), ["m = 3", "(24,)"]),
    "a missing vector": (lambda at: edit_vectors(at, lambda t: t.pop(next(iter(t)))), ["(24,)"]),
    "a wrong shape": (lambda at: edit_vectors(at, shorten_a_circulant), ["(1, 1, 23)"]),
    "no CDVFT vectors": (
        lambda at: edit_vectors(at, lambda t: (t.clear(), t.update(x=torch.ones(1)))),
        ["no vectors"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folders_are_explained(name: str, folder: Path) -> None:
    spoil, words = BROKEN[name]
    spoil(folder)
    with pytest.raises(ValueError) as caught:
        factors_from_folder(folder)
    for word in words:
        assert word in str(caught.value)


def test_models_without_the_adapter_are_explained(bert) -> None:
    model = adapted(bert)
    for read in (factors, lambda *args: list(weight_updates(*args))):
        with pytest.raises(ValueError, match="'missing'"):
            read(model, "missing")
        with pytest.raises(ValueError, match="'default'"):
            read(bert.model())
    model.merge_adapter()
    with pytest.raises(ValueError, match="unmerge_adapter"):
        list(weight_updates(model))


# Measures


@pytest.mark.parametrize("p", [1, 2, 7, 8])
def test_spectrum_holds_the_eigenvalues_and_singular_values_of_the_circulant(p: int) -> None:
    c = random(p)
    modulus, phase = spectrum(c)
    dense = scipy.linalg.circulant(c.numpy())
    eigenvalues = torch.polar(modulus, phase).numpy()
    fourier = np.exp(2j * np.pi * np.outer(np.arange(p), np.arange(p)) / p)  # eigenvectors as columns
    np.testing.assert_allclose(dense @ fourier, fourier * eigenvalues, atol=1e-12)
    np.testing.assert_allclose(np.sort(modulus)[::-1], np.linalg.svd(dense, compute_uv=False), atol=1e-12)


def test_spectrum_takes_blocks() -> None:
    c = random(2, 3, 4)
    modulus, _ = spectrum(c)
    assert modulus.shape == (2, 3, 4)
    torch.testing.assert_close(modulus[1, 2], spectrum(c[1, 2]).modulus)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3)])
def test_singular_values_are_numpys(shape: tuple[int, int]) -> None:
    matrix = random(*shape)
    np.testing.assert_allclose(singular_values(matrix), np.linalg.svd(matrix.numpy(), compute_uv=False))


def test_large_singular_values_are_refused() -> None:
    assert len(singular_values(torch.ones(2, 4096))) == 2
    with pytest.raises(ValueError, match=r"4096 x 1025.*1024"):
        singular_values(torch.ones(4096, 1025))


@pytest.mark.parametrize(
    ("values", "rank"),
    [([1, 1, 1, 1], 4), ([5, 5, 0, 0], 2), ([3, 0], 1), ([0, 0], 0), ([3, 1], 4 / 3**0.75)],
)
def test_effective_rank(values: list[float], rank: float) -> None:
    assert effective_rank(torch.tensor(values, dtype=torch.float32)) == pytest.approx(rank)
    assert effective_rank(1e-3 * torch.tensor(values, dtype=torch.float64)) == pytest.approx(rank)


def test_norm_ratio() -> None:
    assert norm_ratio(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 10.0]])) == pytest.approx(0.5)


def test_factor_changes_are_root_mean_squares() -> None:
    start = Factors([torch.zeros(4), torch.ones(2)], [torch.zeros(1, 1, 4)], 1.0)
    now = Factors([torch.tensor([2.0, 0, 0, 0]), torch.tensor([1.0, 1.0])], [torch.full((1, 1, 4), 3.0)], 1.0)
    assert factor_changes(start, now) == ([1.0, 0.0], [3.0])


SHAPES = [((6, 6), 6), ((6, 6), 3), ((6, 4), 2), ((5, 7), 3), ((7, 5), 7), ((6, 6), None), ((4, 6), None)]


@pytest.mark.parametrize(("shape", "p"), SHAPES)
def test_shift_energy_is_summed_entry_by_entry(shape: tuple[int, int], p: int | None) -> None:
    matrix = random(*shape)
    energy = shift_energy(matrix, p)
    expected = torch.zeros_like(energy)
    p = energy.shape[-1]
    for i, j in np.ndindex(*shape):
        expected[i // p, j // p, (i - j) % p] += matrix[i, j] ** 2
    torch.testing.assert_close(energy, expected)


@pytest.mark.parametrize(("shape", "p"), [case for case in SHAPES if case[1]])
def test_circularity_is_what_the_best_block_circulant_explains(shape: tuple[int, int], p: int) -> None:
    matrix = random(*shape)
    assert circularity(matrix, p) == pytest.approx(1 - fit_block_circulant(matrix, p).error ** 2)
    c = random(*shift_energy(matrix, p).shape)
    assert circularity(block_circulant(c, *shape), p) == pytest.approx(1)


def test_circularity_at_its_ends() -> None:
    assert circularity(torch.zeros(3, 3)) == 0
    alternating = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert circularity(alternating[:, None] * circulant(torch.rand(4))) == pytest.approx(0, abs=1e-7)


def test_diagonals_break_circularity_without_touching_the_rank(bert) -> None:
    layer: CDVFTLayer = next(m for m in adapted(bert).modules() if isinstance(m, CDVFTLayer))
    diagonals, circulants, alpha = layer.factors("default")
    ones = [torch.ones_like(a) for a in diagonals]
    plain, scaled = delta_weight(Factors(ones, circulants, alpha)), delta_weight(layer.factors("default"))
    assert circularity(plain.detach()) == pytest.approx(1)
    assert circularity(scaled.detach()) < 0.3
    assert torch.linalg.matrix_rank(plain) == torch.linalg.matrix_rank(scaled) == 24
