"""Checkpoints as people have them: state dicts of several modules, Clay v1's, and hyper-parameters that are more than plain values."""

import pathlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from embedder.errors import WeightsError
from embedder.models.checkpoint import PREFIX, UNREAD, Unread, read, recipe_for, shapes_of
from embedder.models.clay import build
from embedder.recipes import Model
from tests.golden import lightning, seeded

TINY = recipe_for("clay-v1.5-tiny")
WIDTHS_OF_V1 = {1024: 768, 3 * 1024: 3 * 768, 4 * 1024: 4 * 768, 64 * 1024: 64 * 768}
"""Clay v1 is v1.5 with 768 for 1024 and 12 blocks for 24: Clay-foundation/model at v1.0, clay_mae_base in src/model.py."""


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    """The encoder's weights."""
    return {name: seeded(f"{PREFIX}{name}", shape) for name, shape in shapes_of("clay-v1.5-tiny").items()}


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "file.ckpt")
    return folder / "file.ckpt"


def check_read(path: Path, expected: dict[str, Tensor]) -> None:
    found = read(path, "clay-v1.5-tiny")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


class TestLayout:
    @pytest.mark.parametrize(
        "prefix",
        [
            *("", "encoder.", "model.encoder.", "module.", "_orig_mod.", "module.encoder.", "_orig_mod.encoder."),
            *("module.model.encoder.", "_orig_mod.model.encoder.", "model._orig_mod.encoder.", "model.encoder._orig_mod."),
            *("_orig_mod.module.model.encoder.", "module._orig_mod.encoder."),
        ],
    )
    @pytest.mark.parametrize("form", ["bare", "lightning", "safetensors"])
    def test_weights_are_the_same_when_names_have_another_prefix(
        self, form: str, prefix: str, expected: dict[str, Tensor], tmp_path: Path
    ) -> None:
        state = {f"{prefix}{name}": tensor for name, tensor in expected.items()}
        if "encoder." in prefix:
            state |= {f"{prefix.partition('encoder.')[0]}decoder.mask_patch": torch.ones(3), "loss.weight": torch.ones(1)}
        if form == "safetensors":
            safetensors.torch.save_file(state, tmp_path / "file")
            check_read(tmp_path / "file", expected)
        else:
            check_read(saved(state if form == "bare" else lightning(state), tmp_path), expected)

    @pytest.mark.parametrize("whole", [True, False])
    @pytest.mark.parametrize("wrappers", [["DataParallel"], ["OptimizedModule"], ["OptimizedModule", "DataParallel"]])
    def test_weights_are_the_same_when_torch_has_wrapped_the_model(
        self, wrappers: list[str], expected: dict[str, Tensor], tmp_path: Path, *, whole: bool
    ) -> None:
        encoder = build(TINY)
        encoder.load_state_dict(expected, assign=True)
        model: nn.Module = nn.ModuleDict({"encoder": encoder}) if whole else encoder
        for wrapper in wrappers:
            model = nn.DataParallel(model) if wrapper == "DataParallel" else cast("nn.Module", torch.compile(model))
            assert type(model).__name__ == wrapper
        check_read(saved(model.state_dict(), tmp_path), expected)

    def test_refused_when_two_tensors_have_the_same_name(self, expected: dict[str, Tensor], tmp_path: Path) -> None:
        path = saved(expected | {"module.cls_token": torch.zeros(1, 1, 192)}, tmp_path)
        with pytest.raises(WeightsError, match=r"holds cls_token twice, also as module\.cls_token"):
            read(path, "clay-v1.5-tiny")

    @pytest.mark.parametrize("content", [{"weights": torch.ones(1)}, {"model": {"cls_token": torch.ones(1)}}, {"epoch": 1}])
    def test_refused_when_no_name_is_clays(self, content: dict[str, Any], tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"no state_dict .* not a Clay checkpoint; this run needs clay-v1.5-tiny"):
            read(saved(content, tmp_path), "clay-v1.5-tiny")


@pytest.mark.parametrize("model", ["clay-v0.1", "clay-v1.5"])
@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_clay_v1_is_named_when_its_checkpoint_is_given(model: Model, prefix: str, tmp_path: Path) -> None:
    shapes = {
        f"{prefix}{name}": tuple(WIDTHS_OF_V1.get(length, length) for length in shape)
        for name, shape in shapes_of("clay-v1.5").items()
        if not any(f"layers.{block}." in name for block in range(12, 24))
    }
    assert shapes[f"{prefix}transformer.layers.0.0.to_qkv.weight"] == (2304, 768)
    path = saved(lightning({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}), tmp_path)
    with pytest.raises(WeightsError, match=f"weights of Clay v1, which no recipe uses: give those of {model}, [Cc]lay") as refused:
        read(path, model)
    assert "--recipe" not in str(refused.value)
    assert "\n" not in str(refused.value)


HARMLESS = [
    *(np.dtype(kind).type(1) for kind in "?bhilqBHILQefdgFDG"),
    *(np.str_("small"), np.bytes_(b"small"), np.datetime64("2024-01-01"), np.timedelta64(1, "D"), np.dtype("f8"), np.dtype("u2,f4")),
    *(np.arange(3.0), np.array(["a", None], dtype=object)),
    *(pathlib.PosixPath("/data"), pathlib.PurePosixPath("data"), pathlib.PureWindowsPath("c:/data")),
]


class TestHyperParameters:
    def test_weights_load_when_numbers_are_numpys_and_paths_are_paths(self, expected: dict[str, Tensor], tmp_path: Path) -> None:
        check_read(saved(expected | {"hyper_parameters": HARMLESS, "more": {"in": (HARMLESS, [np.float64(1)])}}, tmp_path), expected)

    @pytest.mark.parametrize(
        ("value", "name", "older"),
        [
            (np.float64(1), b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"),
            (pathlib.PosixPath("/data"), b"cpathlib\nPosixPath\n", b"cpathlib._local\nPosixPath\n"),
            (pathlib.PosixPath("/data"), b"cpathlib\nPosixPath\n", b"cpathlib\nWindowsPath\n"),
        ],
        ids=["numpy 1", "python 3.13", "windows"],
    )
    def test_weights_load_when_another_version_wrote_the_file(
        self, value: object, name: bytes, older: bytes, expected: dict[str, Tensor], tmp_path: Path
    ) -> None:
        state = {f"{PREFIX}{name}": tensor for name, tensor in expected.items()}
        torch.save(lightning(state) | {"hyper_parameters": value}, tmp_path / "written.ckpt")
        with zipfile.ZipFile(tmp_path / "written.ckpt") as written, zipfile.ZipFile(tmp_path / "other.ckpt", "w") as other:
            for entry in written.namelist():
                content = written.read(entry)
                assert entry != "written/data.pkl" or name in content
                other.writestr(entry, content.replace(name, older) if entry == "written/data.pkl" else content)
        check_read(tmp_path / "other.ckpt", expected)

    def test_nothing_but_the_stand_in_is_called_when_a_checkpoint_is_read(
        self, expected: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load, seen = torch.load, []

        def looking(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - torch's own
            seen.append(torch.serialization.get_safe_globals())
            return load(*given, **named)

        before = torch.serialization.get_safe_globals()
        monkeypatch.setattr(torch, "load", looking)
        check_read(saved(expected, tmp_path), expected)
        added = set(seen[0]) - set(before)
        assert added == {(Unread, name) for name in UNREAD}
        assert set(torch.serialization.get_safe_globals()) == set(before)  # whose order torch does not keep

    def test_no_file_is_made_when_numpy_would_make_one(self, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
                return np.memmap, (str(tmp_path / "made"), "u1", "w+", 0, (1,))

        path = saved({"state_dict": {}, "hyper_parameters": [np.float64(1), tmp_path, Hostile()]}, tmp_path)
        with pytest.raises(WeightsError, match=r"holds code, which is not run \(numpy\.memmap\)"):
            read(path, "clay-v1.5-tiny")
        assert not (tmp_path / "made").exists()

    def test_no_number_is_made_when_the_checkpoint_holds_one(self, tmp_path: Path) -> None:
        path = saved([np.float64(1), Path("/data"), np.dtype("f8")], tmp_path)
        with torch.serialization.safe_globals([(Unread, name) for name in UNREAD]):
            values = torch.load(path, weights_only=True)
        assert [(type(value), vars(value)) for value in values] == [(Unread, {})] * 3


def test_unread_names_are_those_of_makers_of_values_alone() -> None:
    assert {name.rpartition(".")[2] for name in UNREAD} == {
        *("scalar", "_reconstruct", "dtype", "ndarray"),
        *("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
    }
