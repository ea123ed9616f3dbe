import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from mmengine.optim.optimizer.builder import build_optim_wrapper
from torch import nn

from opencd_gold.engine import Bf16OptimWrapper
from opencd_gold.registry import OPTIM_WRAPPERS


def make(model, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return Bf16OptimWrapper(optimizer=optimizer, **kwargs)


def test_forward_is_bfloat16_and_the_rest_float32():
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    wrapper = make(model)
    inputs = torch.randn(3, 4)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(inputs)
    assert output.dtype is torch.bfloat16
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype is torch.float32
    # d sum(x W^T) / d W is the sum of x over the batch, in each row.
    expected = before - 0.5 * inputs.bfloat16().float().sum(0)
    torch.testing.assert_close(model.weight, expected, atol=2e-2, rtol=1e-2)


def test_outside_the_context_nothing_is_cast():
    model = nn.Linear(4, 2)
    with make(model).optim_context(model):
        pass
    assert model(torch.randn(3, 4)).dtype is torch.float32


def test_gradients_accumulate():
    model = nn.Linear(4, 2)
    wrapper = make(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before = model.weight.detach().clone()
    for changed in (False, True):
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 4)).sum()
        wrapper.update_params(loss)
        assert torch.equal(model.weight, before) is not changed


def test_is_built_from_a_config():
    model = nn.Linear(4, 2)
    assert OPTIM_WRAPPERS.get('Bf16OptimWrapper') is Bf16OptimWrapper
    wrapper = build_optim_wrapper(
        model,
        dict(type='opencd_gold.Bf16OptimWrapper',
             optimizer=dict(type='SGD', lr=0.1)))
    assert isinstance(wrapper, Bf16OptimWrapper)


def test_why_mmengine_has_no_such_wrapper():
    model = nn.Linear(4, 2)
    if torch.cuda.is_available():
        pytest.skip('mmengine refuses a CPU only where there is no CUDA')
    with pytest.raises(AssertionError, match='only available'):
        AmpOptimWrapper(
            dtype='bfloat16',
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
