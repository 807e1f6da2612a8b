"""A checkpoint's own checksums, compared while it is hashed: damage anywhere is refused, or changes no number."""

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from embedder.errors import WeightsError
from embedder.models.archive import hash_file
from embedder.models.weights import slim
from tests.tiny_weights import TINY, one_line

TENSORS = {"a": torch.arange(10.0), "b": torch.ones(3, 3)}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of a few numbers, whose every part is soon tried."""
    torch.save({"state_dict": TENSORS}, tmp_path / "small.ckpt")
    return tmp_path / "small.ckpt"


@contextmanager
def no_checksums() -> Iterator[None]:
    torch.serialization.set_crc32_options(compute_crc32=False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(compute_crc32=True)


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def content_at(path: Path, name: str) -> int:
    """The first byte of a member's content."""
    with zipfile.ZipFile(path) as archive, archive.open(next(each for each in archive.namelist() if each.endswith(name))) as member:
        content = member.read()
    return path.read_bytes().index(content)


def loaded(path: Path) -> dict[str, Tensor] | None:
    """As torch reads it; None where it does not."""
    try:
        state: dict[str, Tensor] = torch.load(path, mmap=True, weights_only=True)["state_dict"]
    except Exception:  # noqa: BLE001 - a damaged pickle can raise anything
        return None
    return state


def test_sha256_is_that_of_the_file_when_it_is_an_archive_or_none(small: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"PL\x03\x04 no archive" * 100_000)
    for path in (small, tmp_path / "text"):
        found = hash_file(path)
        assert (found.sha256, found.damage, found.lacks_checksums) == (hashlib.sha256(path.read_bytes()).hexdigest(), None, False)


def test_refused_or_harmless_when_any_one_bit_is_flipped(small: Path) -> None:
    whole = small.read_bytes()
    refused = 0
    for bit in range(0, len(whole) * 8, 37):  # of all 14,568, tried once, none was accepted and harmful
        small.write_bytes(whole)
        flip(small, bit)
        found = hash_file(small)
        if found.damage or found.lacks_checksums:
            refused += 1
        elif (tensors := loaded(small)) is not None:
            assert tensors.keys() == TENSORS.keys()
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in tensors), bit
    assert refused > 100


def test_refused_when_one_bit_of_a_checkpoints_numbers_is_flipped(tiny_ckpt: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.ckpt"
    shutil.copy(tiny_ckpt, damaged)
    flip(damaged, 8 * content_at(damaged, "/data/3") + 2)
    with pytest.raises(
        WeightsError, match=r"is damaged .*/data/3' in it does not match its checksum.*download the checkpoint again"
    ) as error:
        slim(str(damaged), tmp_path / "slim", TINY)
    assert str(damaged) in one_line(error)


def test_refused_when_a_checkpoint_has_no_checksums_unless_its_sha256_is_given(tmp_path: Path, tiny_ckpt: Path) -> None:
    bare = tmp_path / "bare.ckpt"
    with no_checksums():
        torch.save(torch.load(tiny_ckpt), bare)
    with pytest.raises(WeightsError, match=r"saved without checksums .*--weights-sha256"):
        slim(str(bare), tmp_path / "slim", TINY)
    made = slim(str(bare), tmp_path / "slim", TINY, expected_sha256=hashlib.sha256(bare.read_bytes()).hexdigest())
    assert made.sha256 == slim(str(tiny_ckpt), tmp_path / "whole", TINY).sha256


def test_another_sha256_is_said_first_when_a_file_is_damaged_too(small: Path, tmp_path: Path) -> None:
    flip(small, 8 * content_at(small, "/data/0"))
    with pytest.raises(WeightsError, match=f"not {'0' * 64}"):
        slim(str(small), tmp_path / "slim", TINY, expected_sha256="0" * 64)


def test_refused_when_a_member_is_compressed(small: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(small) as archive, zipfile.ZipFile(tmp_path / "again.ckpt", "w", zipfile.ZIP_DEFLATED) as again:
        for name in archive.namelist():
            again.writestr(name, archive.read(name))
    assert "is compressed" in str(hash_file(tmp_path / "again.ckpt").damage)


def test_refused_when_an_archive_is_cut_off_or_stands_behind_another(small: Path) -> None:
    whole = small.read_bytes()
    for content in (whole[:700], whole[:700] + whole):
        small.write_bytes(content)
        assert hash_file(small).damage
