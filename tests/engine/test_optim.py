import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from mmengine.optim.optimizer.builder import build_optim_wrapper
from torch import nn

from opencd_gold.engine import Bf16OptimWrapper
from opencd_gold.registry import OPTIM_WRAPPERS, OPTIMIZERS


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


def adamw_steps(kind, **kwargs):
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = OPTIMIZERS.build(
        dict(type=kind, params=model.parameters(), lr=0.1, weight_decay=0.5,
             **kwargs))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 4)).pow(2).sum().backward()
        optimizer.step()
    return model, optimizer


def test_fused_adamw_is_adamw():
    plain, _ = adamw_steps('AdamW')
    fused, optimizer = adamw_steps('FusedAdamW')
    assert optimizer.param_groups[0]['fused']
    for ours, theirs in zip(fused.parameters(), plain.parameters()):
        torch.testing.assert_close(ours, theirs)


def test_fused_adamw_where_torch_cannot(monkeypatch):

    def refuse(self, params, fused=None, **kwargs):
        if fused:
            raise RuntimeError('fused=True needs CUDA')
        original(self, params, **kwargs)

    original = torch.optim.AdamW.__init__
    monkeypatch.setattr(torch.optim.AdamW, '__init__', refuse)
    model, optimizer = adamw_steps('FusedAdamW')
    assert not optimizer.param_groups[0]['fused']
    monkeypatch.undo()
    expected, _ = adamw_steps('AdamW')
    torch.testing.assert_close(model.weight, expected.weight)


@pytest.mark.parametrize('saved, loaded', [('AdamW', 'FusedAdamW'),
                                           ('FusedAdamW', 'AdamW')])
def test_checkpoints_of_adamw_and_fused_adamw(saved, loaded):
    _, before = adamw_steps(saved)
    model, after = adamw_steps(loaded)
    after.load_state_dict(before.state_dict())
    model(torch.ones(1, 4)).sum().backward()
    after.step()
    assert after.state[model.weight]['step'] == 4
