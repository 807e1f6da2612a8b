"""What is learnt is what scikit-learn says."""

import numpy as np
import pytest

from embedder.analysis.classify import CLASS_STRENGTH, ITERATIONS, learn_classes, learn_nearest, one_hot

pytest.importorskip("sklearn")
RANDOM = np.random.default_rng(0)


def unit(rows: int) -> np.ndarray:
    vectors = RANDOM.standard_normal((rows, 24)) + 3  # far from the middle, as embeddings are
    made: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


@pytest.mark.parametrize("learnt", [[1, 3], [0, 2, 3]])
def test_probabilities_are_those_of_scikit_learn(learnt: list[int]) -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    vectors, asked, classes = unit(60), unit(700), np.array(learnt)[np.arange(60) % len(learnt)]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=CLASS_STRENGTH, max_iter=ITERATIONS)).fit(vectors, classes)
    found = learn_classes(vectors, classes, 5)(asked)
    assert found[:, learnt] == pytest.approx(model.predict_proba(asked), abs=1e-4)
    assert found[:, learnt].sum(axis=1) == pytest.approx(1)
    assert not np.delete(found, learnt, axis=1).any()


@pytest.mark.parametrize("neighbours", [1, 7, 100])
def test_the_nearest_are_those_of_scikit_learn(neighbours: int) -> None:
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415

    vectors, asked, classes = unit(60), unit(700), np.arange(60) % 3
    model = KNeighborsClassifier(min(neighbours, 60), metric="cosine").fit(vectors, classes)
    assert learn_nearest(vectors, one_hot(classes, 3), neighbours)(asked) == pytest.approx(model.predict_proba(asked))
