"""The probe is the one logistic regression there is, and classes stand for all their prompts."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from models.linear_probe import fit_linear_probe
from models.zero_shot import class_scores, class_vectors

N, D, C = 61, 5, 3


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(C, (N,), generator=generator)
    centres = torch.randn(C, D, generator=generator)
    return centres[classes] + torch.randn(N, D, generator=generator), classes


@pytest.mark.parametrize("l2", [0.003, 0.3])
def test_the_probe_is_scikit_learns_logistic_regression(l2: float) -> None:
    features, classes = drawn()
    found = fit_linear_probe(features, classes, C, l2)
    wanted = LogisticRegression(C=1 / (N * l2), tol=1e-12, max_iter=10_000)
    wanted.fit(features.double().numpy(), classes.numpy())
    np.testing.assert_allclose(found.weight.numpy(), wanted.coef_, atol=1e-5)
    chances = found.scores(features).softmax(dim=1).numpy()
    np.testing.assert_allclose(chances, wanted.predict_proba(features.double().numpy()), atol=1e-5)


def test_what_cannot_be_fitted_is_refused() -> None:
    features, classes = drawn()
    with pytest.raises(ValueError, match="61 rows of features and 60 classes"):
        fit_linear_probe(features, classes[1:], C, 0.1)
    with pytest.raises(ValueError, match="l2 is above 0, not 0"):
        fit_linear_probe(features, classes, C, 0.0)


def test_a_class_is_the_unit_mean_of_its_prompts_unit_vectors() -> None:
    # Two prompts at right angles, of lengths 3 and 5: their directions count alike.
    embedded = torch.tensor([[[3.0, 0.0], [0.0, 5.0]], [[0.0, -7.0], [0.0, -2.0]]])
    vectors = class_vectors(embedded)
    half = 0.5**0.5
    torch.testing.assert_close(vectors, torch.tensor([[half, half], [0.0, -1.0]]))
    scores = class_scores(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, -0.8]]), vectors)
    assert scores.argmax(dim=1).tolist() == [0, 0, 1]
