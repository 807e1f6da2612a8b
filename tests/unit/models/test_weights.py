"""Weights: verified before they are parsed, never run, and slimmed to the same bytes each time."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file
from torch import Tensor

from embedder.errors import UsageError, WeightsError
from embedder.models import checkpoint
from embedder.models.checkpoint import PREFIX, load_encoder, shapes_of
from embedder.models.weights import slim
from embedder.recipes import RECIPES
from tests.golden import lightning, seeded
from tests.tiny_weights import TINY, one_line, tiny_state

V01 = RECIPES["clay-v0.1"]
Damage = Callable[[dict[str, Tensor]], object]


# Slim form


def test_slim_form_holds_the_encoder_alone_when_made_from_a_checkpoint(tiny_ckpt: Path, tmp_path: Path) -> None:
    made = slim(str(tiny_ckpt), tmp_path / "slim.safetensors", TINY)
    tensors = safetensors.torch.load_file(made.path)
    expected = {name.removeprefix(PREFIX): value for name, value in tiny_state().items() if name.startswith(PREFIX)}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    content = made.path.read_bytes()
    assert list(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])) == ["__metadata__", *sorted(expected)]
    with safetensors.safe_open(made.path, framework="pt") as file:
        assert file.metadata() == {"format": "worldcover-embeddings.encoder", "model": "clay-v1.5-tiny", "version": "1"}


def test_slim_info_is_that_of_the_files_when_made(tiny_ckpt: Path, tmp_path: Path) -> None:
    made = slim(str(tiny_ckpt), tmp_path / "slim.safetensors", TINY)
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.source_sha256 == hashlib.sha256(tiny_ckpt.read_bytes()).hexdigest()
    assert made.size == made.path.stat().st_size


def test_slim_form_has_the_same_bytes_when_made_again_or_from_a_slim_file(tiny_ckpt: Path, tmp_path: Path) -> None:
    reversed_ckpt = tmp_path / "reversed.ckpt"
    torch.save(lightning(dict(reversed(tiny_state().items()))), reversed_ckpt)
    first = slim(str(tiny_ckpt), tmp_path / "1.safetensors", TINY)
    again = slim(str(reversed_ckpt), tmp_path / "2.safetensors", TINY)
    of_slim = slim(str(first.path), tmp_path / "3.safetensors", TINY)
    assert first.path.read_bytes() == again.path.read_bytes() == of_slim.path.read_bytes()


def test_slim_form_is_fp32_when_the_checkpoint_is_reduced(tmp_path: Path) -> None:
    state = {name: value.to(torch.bfloat16 if "norm" in name else torch.float16) for name, value in tiny_state().items()}
    torch.save(lightning(state), tmp_path / "reduced.ckpt")
    tensors = safetensors.torch.load_file(slim(str(tmp_path / "reduced.ckpt"), tmp_path / "slim", TINY).path)
    assert all(torch.equal(tensor, state[f"{PREFIX}{name}"].float()) for name, tensor in tensors.items())
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_encoder_is_the_same_when_loaded_from_the_checkpoint_or_its_slim_form(tiny_ckpt: Path, tmp_path: Path) -> None:
    made = slim(str(tiny_ckpt), tmp_path / "slim.safetensors", TINY)
    a, b = load_encoder(made.path, TINY).state_dict(), load_encoder(tiny_ckpt, TINY).state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_nothing_is_left_when_slimming_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.ckpt").write_text("no checkpoint")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "slim.safetensors").write_text("the old one")
    with pytest.raises(WeightsError):
        slim(str(tmp_path / "bad.ckpt"), folder / "slim.safetensors", TINY)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("slim.safetensors", "the old one")]


# Random weights


def test_random_weights_are_the_golden_ones_when_the_seed_is_0(tiny_ckpt: Path, tmp_path: Path) -> None:
    random, golden = slim("random:0", tmp_path / "random", TINY), slim(str(tiny_ckpt), tmp_path / "golden", TINY)
    ours, theirs = safetensors.torch.load_file(random.path), safetensors.torch.load_file(golden.path)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (random.source_sha256, random.seed, golden.seed) == (None, 0, None)


def test_random_weights_are_told_from_others_when_they_come_from_a_file(tmp_path: Path) -> None:
    random = slim("random:7", tmp_path / "random.safetensors", TINY)
    again = slim(str(random.path), tmp_path / "again.safetensors", TINY)
    assert (again.seed, again.sha256) == (7, random.sha256)


def test_random_weights_differ_when_the_seed_does(tmp_path: Path) -> None:
    assert slim("random:1", tmp_path / "1", TINY).sha256 != slim("random:2", tmp_path / "2", TINY).sha256


@pytest.mark.parametrize("location", ["random:", "random:x", "random:-1", "random:1.5", "random:\u0662"])
def test_usage_error_when_the_seed_is_no_whole_number(location: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="random:0"):
        slim(location, tmp_path / "slim", TINY)


# SHA-256


def test_slim_form_is_made_when_the_sha256_is_the_expected(tiny_ckpt: Path, tmp_path: Path) -> None:
    expected = hashlib.sha256(tiny_ckpt.read_bytes()).hexdigest().upper()
    assert slim(str(tiny_ckpt), tmp_path / "slim", TINY, expected_sha256=expected).source_sha256 == expected.lower()


def test_nothing_is_parsed_when_the_sha256_is_another(tiny_ckpt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "write_slim", lambda *_: pytest.fail("parsed"))
    found = hashlib.sha256(tiny_ckpt.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=f"{found}, not {'0' * 64}"):
        slim(str(tiny_ckpt), tmp_path / "slim", TINY, expected_sha256="0" * 64)


@pytest.mark.parametrize(("location", "expected"), [("random:0", "0" * 64), ("x.ckpt", "0" * 63), ("x.ckpt", "g" * 64)])
def test_usage_error_when_the_sha256_makes_no_sense(location: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        slim(location, tmp_path / "slim", TINY, expected_sha256=expected)


# Files that are no checkpoint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"404: this is no checkpoint, says the page", "neither a PyTorch checkpoint nor"),
        (b"\x40\0\0\0\0\0\0\0{ no header, though it looks like one", "damaged safetensors"),
        (b"PK\x03\x04 and nothing more", "damaged"),
        (b"short", "neither"),
    ],
)
def test_refused_when_the_file_is_no_checkpoint(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(WeightsError, match=message) as error:
        slim(str(tmp_path / "file"), tmp_path / "slim", TINY)
    assert str(tmp_path / "file") in one_line(error)


def test_refused_when_the_file_is_any_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file.zip", "w") as file:
        file.writestr("data.txt", "text")
    with pytest.raises(WeightsError, match="no PyTorch checkpoint") as error:
        slim(str(tmp_path / "file.zip"), tmp_path / "slim", TINY)
    one_line(error)


def test_refused_when_the_path_is_a_folder_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        slim(str(tmp_path), tmp_path / "slim", TINY)
    with pytest.raises(WeightsError, match="no such file"):
        slim(str(tmp_path / "absent.ckpt"), tmp_path / "slim", TINY)


def test_refused_when_the_slim_path_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ordinary file"):
        slim("random:0", tmp_path, TINY)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("form", ["checkpoint", "slim"])
def test_refused_when_truncated(form: str, share: float, tiny_ckpt: Path, tmp_path: Path) -> None:
    whole = tiny_ckpt if form == "checkpoint" else slim("random:0", tmp_path / "whole", TINY).path
    content = whole.read_bytes()
    (tmp_path / "part").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="damaged") as error:
        slim(str(tmp_path / "part"), tmp_path / "slim", TINY)
    one_line(error)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_is_not_run_when_the_checkpoint_holds_some(form: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "it-ran", tmp_path / "hostile.ckpt"
    content = {"state_dict": tiny_state(), "callbacks": Hostile(f"touch {mark}")}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content["callbacks"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match="code") as error:
        slim(str(path), tmp_path / "slim", TINY)
    assert "posix.system" in one_line(error) or form != "zip"
    assert not mark.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())  # noqa: S301 - our own
    assert mark.exists()  # or else this test would prove nothing


def test_refused_when_there_is_no_state_dict(tmp_path: Path) -> None:
    for content in ({"weights": torch.ones(1)}, [torch.ones(1)], {"state_dict": 5}):
        torch.save(content, tmp_path / "file.ckpt")
        with pytest.raises(WeightsError, match="no state_dict"):
            slim(str(tmp_path / "file.ckpt"), tmp_path / "slim", TINY)


# Checkpoints with something wrong in them


CLS = f"{PREFIX}cls_token"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop(CLS), rf"lacks {CLS} \(1 of 85"),
        (lambda state: state.update({CLS: torch.ones(1, 1, 7)}), rf"{CLS} has shape \[1, 1, 7\], clay-v1.5-tiny needs \[1, 1, 192\]"),
        (lambda state: state.update({CLS: torch.full((1, 1, 192), torch.nan)}), f"{CLS} holds NaN"),
        (lambda state: state[CLS].view(-1)[5:6].fill_(-torch.inf), f"{CLS} holds NaN or infinite"),
        (lambda state: state.update({CLS: torch.ones(1, 1, 192, dtype=torch.int64)}), f"{CLS} holds torch.int64"),
        (lambda state: state.update({CLS: "text"}), f"lacks {CLS}"),
        (lambda state: [state.pop(name) for name in list(state) if name.startswith(PREFIX)], "not a Clay checkpoint"),
    ],
)
def test_refused_by_name_when_a_tensor_is_wrong(damage: Damage, message: str, tmp_path: Path) -> None:
    state = tiny_state()
    damage(state)
    torch.save(lightning(state), tmp_path / "file.ckpt")
    with pytest.raises(WeightsError, match=message) as error:
        slim(str(tmp_path / "file.ckpt"), tmp_path / "slim", TINY)
    one_line(error)


def test_weights_are_taken_when_they_are_finite_though_their_sum_is_not(tmp_path: Path) -> None:
    state = tiny_state() | {CLS: torch.full((1, 1, 192), 3e38)}
    torch.save(lightning(state), tmp_path / "file.ckpt")
    slim(str(tmp_path / "file.ckpt"), tmp_path / "slim", TINY)


def test_the_fitting_recipe_is_named_when_the_weights_are_of_another_model(tiny_ckpt: Path, tmp_path: Path) -> None:
    empty = {f"{PREFIX}{name}": torch.zeros(1).expand(shape) for name, shape in shapes_of("clay-v1.5").items()}
    torch.save(lightning(empty), tmp_path / "v15.ckpt")
    with pytest.raises(
        WeightsError, match=r"seems to hold the weights of clay-v1.5, not of clay-v0.1: use it with --recipe clay-v1.5,"
    ) as error:
        slim(str(tmp_path / "v15.ckpt"), tmp_path / "slim", V01)
    one_line(error)
    with pytest.raises(WeightsError, match=r"of clay-v1.5-tiny, not of clay-v1.5: which is for tests only"):
        slim(str(tiny_ckpt), tmp_path / "slim", RECIPES["clay-v1.5"])


def test_refused_when_the_slim_form_is_of_a_later_version(tmp_path: Path) -> None:
    made = slim("random:0", tmp_path / "slim", TINY).path
    made.write_bytes(made.read_bytes().replace(b'"version":"1"', b'"version":"2"', 1))
    with pytest.raises(WeightsError, match="slim format 2"):
        load_encoder(made, TINY)


def test_torch_and_boto3_are_not_imported_when_weights_is() -> None:
    code = "import sys, embedder.models.weights; sys.exit(bool({'torch', 'boto3'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own


def test_random_weight_has_the_golden_bytes_when_seeded() -> None:
    for name, shape in (("transformer.norm.weight", (192,)), ("transformer.norm.bias", (192,)), ("fc.weight", (3, 5))):
        found, golden = checkpoint.random_weight(name, shape, 7), seeded(f"{PREFIX}{name}", shape, 7)
        assert np.array_equal(found.numpy().view(np.int32), golden.numpy().view(np.int32))


def test_a_seed_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"seed": "of doubt"})
    with pytest.raises(WeightsError, match=r"foreign\.safetensors says that its weights are random, of the seed 'of doubt', which is none"):
        checkpoint.seed_of(path)
