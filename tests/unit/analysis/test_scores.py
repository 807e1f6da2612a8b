"""Scores from sums, against scikit-learn's from all chips."""

import numpy as np
import pytest

from embedder.analysis.scores import class_scores, confusions, errors, share_scores

metrics = pytest.importorskip("sklearn.metrics")
RANDOM = np.random.default_rng(0)
TRUE, SAID = RANDOM.integers(0, 3, 400), RANDOM.integers(0, 3, 400)


def test_class_scores_are_scikit_learn_s_when_sums_of_parts_add_up() -> None:
    rows = confusions(TRUE, SAID, 5)
    found = class_scores(np.stack([rows.sum(axis=0), rows[:100].sum(axis=0)]))
    for (accuracy, macro, *f1), part in zip(found, (slice(None), slice(100)), strict=True):
        assert accuracy == pytest.approx(metrics.accuracy_score(TRUE[part], SAID[part]))
        assert macro == pytest.approx(metrics.f1_score(TRUE[part], SAID[part], average="macro"))
        assert f1[:3] == pytest.approx(metrics.f1_score(TRUE[part], SAID[part], average=None))
        assert np.isnan(f1[3:]).all()  # classes that nobody knows


def test_share_scores_are_scikit_learn_s() -> None:
    true = RANDOM.dirichlet(np.ones(4), 300) * [1, 1, 1, 0]
    said = np.clip(true + 0.1 * RANDOM.standard_normal(true.shape), 0, 1)
    ((absolute, mean, *r2),) = share_scores(errors(true, said).sum(axis=0, keepdims=True))
    assert absolute == pytest.approx(metrics.mean_absolute_error(true, said))
    assert r2[:3] == pytest.approx(metrics.r2_score(true[:, :3], said[:, :3], multioutput="raw_values"))
    assert mean == pytest.approx(np.mean(r2[:3]))
    assert np.isnan(r2[3])  # a share that is 0 everywhere
