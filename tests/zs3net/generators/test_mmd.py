import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zeroshot.zs3net.generators import mmd

ESTIMATORS = ("biased", "biased_sqrt", "unbiased")
KERNELS = ([1.0], [0.5, 2.0], [2.0, 1.0, 8.0, 1.0, 0.7], [4.0, 25.0, 100.0, 400.0, 1600.0, 3600.0])


def by_pairs(x, y, variances, estimator):
    """Compute the MMD of one class by its definition, a loop over pairs in float64; x (n, d), y (m, d)."""

    def kernel(a, b):
        return sum(np.exp(-((a - b) ** 2).sum() / (2 * v)) for v in variances)

    def within(z):
        pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if estimator != "unbiased" or i != j]
        return sum(kernel(z[i], z[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    value = within(x) + within(y) - 2 * across
    return np.sqrt(value) if estimator == "biased_sqrt" else value


def populations(c=2, n=7, m=5, d=3, shift=0.7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(c, n, d)), rng.normal(shift, 1.3, size=(c, m, d))


def tensor(array):
    return torch.from_numpy(np.asarray(array)).float()


@pytest.mark.parametrize("variances", KERNELS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd_equals_a_loop_over_pairs(estimator, variances):
    x, y = populations()
    expected = [by_pairs(x[k], y[k], variances, estimator) for k in range(2)]
    actual = mmd.mmd(tensor(x), tensor(y), variances, estimator)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd_is_precise_far_from_the_origin(estimator):
    """Compare with a loop over pairs in float64. Multiples of 1/256 are exact in float32 after 1000 is added."""
    x, y = (np.round(256 * array) / 256 for array in populations(d=64))
    expected = [by_pairs(x[k], y[k], [32.0, 64.0], estimator) for k in range(2)]
    actual = mmd.mmd(tensor(x + 1000), tensor(y + 1000), [32.0, 64.0], estimator)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd_ignores_masked_rows(estimator):
    x, y = populations()
    mask = np.arange(7) < np.array([[7], [4]])
    filled = np.where(mask[:, :, None], x, 10)
    expected = [by_pairs(x[k][mask[k]], y[k], [0.5, 2.0], estimator) for k in range(2)]
    actual = mmd.mmd(tensor(filled), tensor(y), [0.5, 2.0], estimator, torch.from_numpy(mask))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd_has_a_finite_gradient_for_a_single_real_feature(estimator):
    """A single x has no pairs within x. Their mean is constant for the generator, so any finite value is correct."""
    x, y = populations(c=1, n=4)
    y = tensor(y).requires_grad_()
    mask = torch.tensor([[True, False, False, False]])
    value = mmd.mmd(tensor(x), y, [1.0, 2.0], estimator, mask)
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(y.grad).all() and y.grad.abs().max() > 0


finite = arrays.arrays(np.float64, (2, 5, 3), elements=st.floats(-3, 3, width=32))
quick = settings(max_examples=30, deadline=None)


@quick
@given(finite, finite, st.sampled_from(ESTIMATORS))
def test_mmd_is_symmetric(x, y, estimator):
    forward, back = (mmd.mmd(tensor(a), tensor(b), [0.5, 3.0], estimator) ** 2 for a, b in ((x, y), (y, x)))
    torch.testing.assert_close(forward, back, rtol=1e-4, atol=1e-5)


@quick
@given(finite, finite, st.permutations(range(5)), st.sampled_from(ESTIMATORS))
def test_mmd_is_invariant_to_row_order(x, y, order, estimator):
    expected = mmd.mmd(tensor(x), tensor(y), [0.5, 3.0], estimator) ** 2
    torch.testing.assert_close(
        mmd.mmd(tensor(x[:, order]), tensor(y), [0.5, 3.0], estimator) ** 2, expected, rtol=1e-4, atol=1e-5
    )


@quick
@given(finite, finite)
def test_biased_mmd_is_not_negative_and_zero_for_equal_populations(x, y):
    assert mmd.mmd(tensor(x), tensor(y), [0.5, 3.0], "biased").min() > -2e-6
    assert mmd.mmd(tensor(x), tensor(x), [0.5, 3.0], "biased").abs().max() < 2e-6


@quick
@given(finite, finite, st.floats(0.1, 50), st.sampled_from(ESTIMATORS))
def test_mmd_is_invariant_to_scaling_of_features_and_variances(x, y, scale, estimator):
    expected = mmd.mmd(tensor(x), tensor(y), [0.5, 3.0], estimator) ** 2
    scaled = mmd.mmd(tensor(scale * x), tensor(scale * y), [0.5 * scale**2, 3 * scale**2], estimator) ** 2
    torch.testing.assert_close(scaled, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradient_is_finite_for_equal_populations(estimator):
    x, _ = populations()
    y = tensor(x).requires_grad_()
    mmd.mmd(tensor(x), y, [0.5, 3.0], estimator).sum().backward()
    assert torch.isfinite(y.grad).all()


def test_unbiased_mmd_of_one_distribution_is_zero_on_average():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2000, 6, 4, generator=random)
    values = mmd.mmd(x, y, [4.0], "unbiased")
    standard_error = (values.std() / len(values) ** 0.5).item()
    assert abs(values.mean().item()) < 3 * standard_error and standard_error < 0.005
    assert mmd.mmd(x, y, [4.0], "biased").mean() > 0.1


def test_unbiased_mmd_of_gaussians_equals_the_closed_form():
    """Between N(0, 1) and N(a, 1) in one dimension: 2 s (1 - exp(-a^2 / (2 (v + 2)))) with s = sqrt(v / (v + 2))."""
    a, v = 1.5, 2.0
    expected = 2 * np.sqrt(v / (v + 2)) * (1 - np.exp(-(a**2) / (2 * (v + 2))))
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 200, 40, 1, generator=random)
    assert mmd.mmd(x, y + a, [v], "unbiased").mean().item() == pytest.approx(expected, abs=0.02)


def test_squared_distances_are_precise_far_from_the_origin():
    rng = np.random.default_rng(0)
    # Multiples of 1/256, so that 1000 + x is exact in float32.
    x, y = (np.round(rng.normal(size=(1, n, 256)) * 256) / 256 for n in (6, 4))
    expected = ((x[:, :, None] - y[:, None]) ** 2).sum(3)
    np.testing.assert_allclose(mmd.squared_distances(tensor(x + 1000), tensor(y + 1000)).numpy(), expected, rtol=1e-4)


def test_squared_distances_have_the_gradient_of_the_definition():
    x, y = (tensor(array).double().requires_grad_() for array in populations())
    weights = torch.arange(35.0, dtype=torch.float64).reshape(7, 5)
    (mmd.squared_distances(x, y) * weights).sum().backward()
    difference = (x[:, :, None] - y[:, None]).detach() * weights[:, :, None] * 2
    torch.testing.assert_close(x.grad, difference.sum(2))
    torch.testing.assert_close(y.grad, -difference.sum(1))


@pytest.mark.parametrize("variances", KERNELS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mmd_has_the_gradient_of_its_value(estimator, variances):
    """Compare with differences of the value, for x and y, with weights that differ and with a masked row."""
    x, y = (tensor(array).double().requires_grad_() for array in populations())
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 6] = False
    scale = torch.tensor([1.0, 3.0], dtype=torch.float64)

    def value(x, y):
        return mmd.mmd(x, y, variances, estimator, mask) * scale

    assert torch.autograd.gradcheck(value, (x, y), atol=1e-5, eps=1e-5)


def test_variances_follow_the_three_conventions():
    bandwidths = (2, 5.0, 40)
    assert mmd.variances(bandwidths, "paper", 7.0) == [4.0, 25.0, 1600.0]
    assert mmd.variances(bandwidths, "release", 7.0) == [2.0, 5.0, 40.0]
    assert mmd.variances(bandwidths, "median", 7.0) == [14.0, 35.0, 280.0]


def test_active_share_counts_kernels_with_a_mean_between_the_bounds():
    """Of the 12 pairs, 4 have the squared distance 0 and 8 have 2: two rows are at 0, two at sqrt 2."""
    x = torch.tensor([[[0.0], [0.0], [2**0.5], [2**0.5]]])

    def mean(variance):
        return (4 * 1 + 8 * np.exp(-2 / (2 * variance))) / 12

    assert 0.33 < mean(1e-3) < 0.34 and mean(1e3) > 0.99
    assert mmd.active_share(x, [1e-3, 1.0, 1e3]) == pytest.approx(2 / 3)
    assert mmd.active_share(x, [1e-3], low=0.35) == 0
    assert mmd.active_share(10 * torch.arange(4.0).reshape(1, 4, 1), [1.0, 1e4]) == 0.5


def test_active_share_ignores_masked_rows():
    x = torch.tensor([[[0.0], [1.0], [1e4]], [[5.0], [6.0], [7.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    # Distances of valid rows are 1, 1, 1 and 2, so a kernel of variance 1e3 is 0.999 for all of them: inactive.
    assert mmd.active_share(x, [1e3], mask) == 0
    assert mmd.active_share(x, [1e3]) == 1


@pytest.mark.parametrize("rows", [3, 6])
def test_median_equals_numpy_over_pairs_of_one_class(rows):
    """The number of pairs is odd, so the median is unique."""
    x, _ = populations(c=1, n=rows)
    pairs = [((x[0, i] - x[0, j]) ** 2).sum() for i in range(rows) for j in range(i)]
    assert len(pairs) % 2
    assert mmd.median_squared_distance(tensor(x)) == pytest.approx(np.median(pairs), rel=1e-5)


def test_median_ignores_masked_rows_and_pairs_between_classes():
    x = torch.tensor([[[0.0], [1.0], [99.0]], [[100.0], [102.0], [105.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    # The squared distances are 1; 4, 9, 25. The median of torch is the lower of the two middle values.
    assert mmd.median_squared_distance(x, mask) == pytest.approx(4.0)
