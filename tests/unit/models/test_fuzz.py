"""Checkpoints that nobody saved so."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from embedder.errors import WeightsError
from embedder.models import checkpoint
from embedder.models.weights import slim
from tests.mutations import ODD_JSON, altered_json, damaged, fuzzed, right_or_refused
from tests.tiny_weights import TINY


@pytest.fixture(scope="module")
def slim_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slim("random:7", tmp_path_factory.mktemp("slim") / "slim.safetensors", TINY).path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def read(place: Path) -> tuple[dict[str, Tensor], int | None]:
    """As a slim file is made: the tensors, then the seed."""
    return checkpoint.read(place, TINY.model), checkpoint.seed_of(place)


def test_a_slim_file_is_right_or_refused_when_its_header_is_damaged(slim_file: Path, place: Path) -> None:
    whole = slim_file.read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    header, body = whole[8:length].rstrip(), whole[length:]
    expected = checkpoint.shapes_of(TINY.model)

    @fuzzed(25)
    @given(st.one_of(altered_json(header), damaged(header)), st.booleans())
    def check(header: bytes, is_cut: bool) -> None:  # noqa: FBT001 - hypothesis'
        place.write_bytes(len(header).to_bytes(8, "little") + header + (body[:-4] if is_cut else body))
        found = right_or_refused(lambda: read(place))
        assert found is None or {name: tuple(tensor.shape) for name, tensor in found[0].items()} == expected

    check()


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_a_slim_file_is_refused_when_its_header_is_of_another_length(slim_file: Path, place: Path, length: int) -> None:
    place.write_bytes(length.to_bytes(8, "little") + slim_file.read_bytes()[8:])
    with pytest.raises(WeightsError):
        read(place)


@pytest.mark.parametrize("seed", ["", "-1", "\u0661", "9" * 5_000, "1_0", "x", " 1"])
def test_a_slim_file_is_refused_when_its_seed_is_none(slim_file: Path, place: Path, seed: str) -> None:
    whole = slim_file.read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:length])
    header["__metadata__"]["seed"] = seed
    text = json.dumps(header).encode()
    place.write_bytes(len(text).to_bytes(8, "little") + text + whole[length:])
    with pytest.raises(WeightsError, match="random, of the seed"):
        read(place)


def test_a_checkpoint_is_right_or_refused_when_its_pickle_or_directory_is_damaged(tiny_ckpt: Path, place: Path) -> None:
    whole = tiny_ckpt.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        directory = archive.start_dir
    pickled = next(name for name in members if name.endswith("data.pkl"))
    expected = checkpoint.read(tiny_ckpt, TINY.model)

    def check_read() -> None:
        found = right_or_refused(lambda: read(place))
        assert found is None or all(found[0][name].shape == tensor.shape for name, tensor in expected.items())

    @fuzzed(12)
    @given(damaged(members[pickled]))
    def check_pickle(data: bytes) -> None:
        with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(name, data if name == pickled else content)
        check_read()

    @fuzzed(12)
    @given(damaged(whole[directory:]))
    def check_directory(data: bytes) -> None:
        place.write_bytes(whole[:directory] + data)
        check_read()

    check_pickle()
    check_directory()


@fuzzed(60)
@given(st.one_of(st.binary(max_size=64), st.sampled_from(ODD_JSON).map(lambda text: len(text).to_bytes(8, "little") + text.encode())))
def test_bytes_that_are_no_checkpoint_are_refused(data: bytes) -> None:
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - one for each example

    with TemporaryDirectory() as folder:
        place = Path(folder) / "weights"
        place.write_bytes(data)
        assert right_or_refused(lambda: read(place)) is None


def test_values_that_are_no_plain_numbers_are_refused(place: Path) -> None:
    name = next(iter(checkpoint.shapes_of(TINY.model)))
    shape = checkpoint.shapes_of(TINY.model)[name]
    for made in (torch.zeros(shape, dtype=torch.complex64), torch.zeros(shape).to_sparse(), torch.zeros(shape, device="meta")):
        state = {key: torch.zeros(size) for key, size in checkpoint.shapes_of(TINY.model).items()} | {name: made}
        torch.save(state, place)
        assert right_or_refused(lambda: read(place)) is None
