import pytest
import torch
import torch.nn.functional as F

from opencd_gold.models.layers import mean, mean_max
from opencd_gold.models.losses.maps import feature_distance

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def maps(layout, *shape):
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=layout).requires_grad_()


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('dim', [(2, 3), (1, )])
def test_mean_max_is_mean_and_amax(layout, dim):
    x = maps(layout, 2, 3, 4, 5)
    weights = torch.arange(1., 3)
    got = mean_max(x, dim)
    expected = x.mean(dim, keepdim=True), x.amax(dim, keepdim=True)
    grads = []
    for pair in (got, expected):
        total = sum(w * y.pow(2).sum() for w, y in zip(weights, pair))
        grads.append(torch.autograd.grad(total, x)[0])
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    torch.testing.assert_close(*grads)
    assert grads[0].stride() == x.stride()
    assert torch.autograd.gradcheck(lambda y: mean_max(y, dim), x)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('dim', [(2, 3), (1, )])
def test_mean(layout, dim):
    x = maps(layout, 2, 3, 4, 5)
    expected = x.mean(dim, keepdim=True)
    torch.testing.assert_close(mean(x, dim), expected, rtol=0, atol=0)
    grad, = torch.autograd.grad(mean(x, dim).sum(), x)
    share = 1 / 20 if dim == (2, 3) else 1 / 3
    torch.testing.assert_close(grad, torch.full_like(x, share))
    assert grad.stride() == x.stride()


def test_equal_largest_values_share_the_gradient():
    x = torch.tensor([[[[5., 5., 1.]]]], requires_grad=True)
    mean_max(x, (2, 3))[1].sum().backward()
    assert x.grad.tolist() == [[[[0.5, 0.5, 0.]]]]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_feature_distance_and_its_gradient(layout):
    x, y = maps(layout, 2, 3, 4, 5), maps(layout, 2, 3, 4, 5)
    y = (y * 0.3 - x * 0.7 + 0.2).detach().requires_grad_()
    euclidean = ((x - y).pow(2).sum(1) + 1e-6).sqrt()
    cosine = (F.normalize(x) * F.normalize(y)).sum(1)
    expected = (euclidean + 1 - cosine).unsqueeze(1) / 2
    torch.testing.assert_close(feature_distance(x, y), expected)
    with torch.no_grad():
        torch.testing.assert_close(feature_distance(x, y), expected)
    assert torch.autograd.gradcheck(feature_distance, (x, y))


def test_feature_distance_of_equal_maps():
    x = maps(torch.contiguous_format, 1, 3, 2, 2)
    distance = feature_distance(x, x.detach().clone())
    torch.testing.assert_close(
        distance, torch.full_like(distance, 0.5e-3), rtol=0, atol=1e-12)
    grad, = torch.autograd.grad(distance.sum(), x)
    assert grad.abs().max() < 1e-12
