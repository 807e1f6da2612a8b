"""A class and a colour for every chip, of databases whose vectors a test knows."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from embedder.analysis.classify import CLASS_STRENGTH, ITERATIONS
from embedder.analysis.validate import Validation
from embedder.errors import UsageError
from embedder.explore import classification
from embedder.explore import colours as colours_module
from embedder.explore.classification import classify, neighbours_for
from embedder.explore.colours import principal_colours, write_picture
from embedder.explore.labels import Labels
from embedder.explore.vectors.database import Database
from embedder.grid import Bounds, Chip
from tests.explore_output import opened, vectors, write_output

COLUMNS, ROWS = range(20, 44), 24
BOX = Bounds(west=-124.0, south=49.3, east=-123.8, north=49.5)


def is_wet(column: int, row: int) -> bool:
    return (column // 6 + row // 6) % 2 == 0


def on_ground(column: int) -> np.ndarray:
    """Vectors of a column's chips, around another centre where it is wet."""
    centres = np.random.default_rng(1).standard_normal((2, 768), dtype=np.float32)
    noise = np.random.default_rng(column).standard_normal((ROWS, 768), dtype=np.float32)
    return centres[[int(is_wet(column, row)) for row in range(ROWS)]] + 0.8 * noise


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    folder = tmp_path_factory.mktemp("ground")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        return opened(write_output(folder / "out", {column: ("e" * ROWS, on_ground(column)) for column in COLUMNS}))


@pytest.fixture(scope="module")
def labels() -> Labels:
    chips = np.array([(column, row) for column in COLUMNS for row in range(0, ROWS, 3)], np.int16)
    codes = np.array([int(is_wet(*place)) for place in chips.tolist()])
    return Labels(pixels=512, chips=chips, codes=codes, classes=("dry", "wet"))


@pytest.mark.parametrize("method", ["logistic", "knn"])
def test_every_chip_gets_the_class_that_scikit_learn_says(database: Database, labels: Labels, method: str) -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    found = classify(database, labels, method=method)
    everything = database.vectors(np.arange(database.rows))
    places = [database.position(Chip(column=column, row=row, pixels=512)) for column, row in labels.chips.tolist()]
    learnt = everything[np.array(places, np.int64)]
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=CLASS_STRENGTH, max_iter=ITERATIONS))
    knn = KNeighborsClassifier(neighbours_for(len(learnt)), metric="cosine")
    expected = (logistic if method == "logistic" else knn).fit(learnt, labels.codes).predict_proba(everything)
    assert found.layer.fields["probability"] == pytest.approx(expected.max(axis=1), abs=1e-4)
    assert (found.layer.fields["class"] == expected.argmax(axis=1)).all()
    assert found.layer.chips.tolist() == database.chips.tolist()
    assert found.labelled == {"dry": 96, "wet": 96}
    assert isinstance(found.validation, Validation)
    assert (found.validation.tested, found.validation.blocks, found.validation.most_frequent) == (192, 20, 0.5)
    accuracy, confusion = found.validation.scores.accuracy, np.array(found.validation.scores.confusion)
    assert accuracy.value == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-4)
    assert (accuracy.value or 0) > 0.95
    assert confusion.sum(axis=1).tolist() == [96, 96]


def test_equal_seeds_give_equal_answers_and_others_other_folds(database: Database, labels: Labels) -> None:
    pytest.importorskip("sklearn")
    noisy = Labels(pixels=512, chips=labels.chips, classes=labels.classes, codes=np.random.default_rng(0).permutation(labels.codes))
    one, again, other = (classify(database, noisy, method="knn", seed=seed) for seed in (1, 1, 2))
    assert one.validation == again.validation != other.validation
    for name, values in one.layer.fields.items():
        assert (values == again.layer.fields[name]).all()


def test_a_box_holds_the_chips_of_the_whole_year_s_answer(database: Database, labels: Labels) -> None:
    pytest.importorskip("sklearn")
    whole, part = (classify(database, labels, bounds=bounds).layer for bounds in (None, BOX))
    touched = [Chip(column=c, row=r, pixels=512).bounds for c, r in whole.chips.tolist()]
    inside = np.array([b.west < BOX.east and b.east > BOX.west and b.south < BOX.north and b.north > BOX.south for b in touched])
    assert 20 < inside.sum() < 60
    assert part.chips.tolist() == whole.chips[inside].tolist()
    assert (part.fields["class"] == whole.fields["class"][inside]).all()


def test_labels_are_learnt_from_when_they_are_too_few_to_test(database: Database) -> None:
    pytest.importorskip("sklearn")
    chips = np.array([(20, 0), (20, 1), (26, 0), (26, 1)], np.int16)
    found = classify(database, Labels(pixels=512, chips=chips, codes=np.array([0, 0, 1, 1]), classes=("dry", "wet")))
    assert found.validation == "4 chips have both an embedding and classes: 10 are the least that say anything"
    wet = np.array([is_wet(*place) for place in found.layer.chips.tolist()])
    assert ((found.layer.fields["class"] == 1) == wet).mean() > 0.9


def test_too_many_labels_are_drawn_by_lot_and_a_rare_class_keeps_its_own(
    database: Database, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(classification, "MOST_LABELS", 60)
    monkeypatch.setattr(classification, "FEW_LABELS", 5)
    rare = Labels(pixels=512, chips=labels.chips, classes=("common", "rare"), codes=(np.arange(192) % 48 == 0).astype(np.int64))
    found = classify(database, rare, method="knn")
    assert found.labelled == {"common": 188 * 60 // 192, "rare": 4}
    assert found.notes == ("of 192 labelled chips 62 are learnt from, drawn by lot",)
    first, again, other = (classification.draw(rare.codes, seed).tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_what_can_t_be_answered_is_said(database: Database, labels: Labels) -> None:
    away = Bounds(west=-80, south=30, east=-79, north=31)
    with pytest.raises(UsageError, match="no method forest: choose logistic or knn"):
        classify(database, labels, method="forest")
    with pytest.raises(UsageError, match="no chip of 2020 is embedded in this box"):
        classify(database, labels, bounds=away)
    with pytest.raises(UsageError, match="no chip of 2020 is embedded in this box"):
        principal_colours(database, away)


def test_the_colours_are_the_principal_components_of_scikit_learn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    from sklearn.decomposition import PCA  # noqa: PLC0415

    monkeypatch.setattr(colours_module, "FIT_ROWS", 200)
    monkeypatch.setattr(colours_module, "FIT_TOGETHER", 100)
    found = principal_colours(database)
    everything = database.vectors(np.arange(database.rows)).astype(np.float64)
    fitted = everything[::3]
    assert found.fitted == len(fitted)
    model = PCA(3, svd_solver="full").fit(fitted)
    assert found.explained == pytest.approx(model.explained_variance_ratio_)
    for colour, place, axis in zip(found.colours.T, model.transform(everything).T, model.components_, strict=True):
        upwards = place * np.sign(axis[np.abs(axis).argmax()])
        low, high = np.percentile(upwards, [2, 98])
        assert np.abs(colour - np.clip((upwards - low) / (high - low), 0, 1) * 255).max() < 0.6
        assert {colour.min(), colour.max()} == {0, 255}


def test_the_picture_lies_where_the_chips_do(database: Database, tmp_path: Path) -> None:
    found = principal_colours(database, BOX)
    write_picture(found, tmp_path / "colours.tif", {"warnings": ["none"]})
    write_picture(found, tmp_path / "colours.png", {})
    with rasterio.open(tmp_path / "colours.tif") as tiff, rasterio.open(tmp_path / "colours.png") as png:
        assert (tiff.crs.to_epsg(), tiff.count, set(tiff.dtypes)) == (4326, 4, {"uint8"})
        assert [each.name for each in tiff.colorinterp] == ["red", "green", "blue", "alpha"]
        assert tiff.tags()["WARNINGS"] == '["none"]'
        assert tiff.tags()["RECIPE"] == "clay-v0.1"
        centres = [Chip(column=c, row=r, pixels=512).bounds.center for c, r in found.chips.tolist()]
        assert np.array(list(tiff.sample(centres)))[:, :3].tolist() == found.colours.tolist()
        assert (tiff.read(4) == 255).sum() == len(found.chips)
        times = 256 // max(tiff.shape)
        assert png.shape == tuple(times * side for side in tiff.shape)
        assert (png.read()[:, ::times, ::times] == tiff.read()).all()


def test_a_single_chip_is_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = principal_colours(opened(write_output(tmp_path / "out", {0: ("te", vectors(0, 1))})))
    assert (found.colours.tolist(), found.explained) == ([[128, 128, 128]], (0, 0, 0))
