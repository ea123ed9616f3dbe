"""One step of GOLD by two gloo processes equals that of one process.

DDP averages the gradients of the processes. That is the gradient of the
whole batch only where the loss of the whole batch is the mean of the losses
of its halves:

- Norms in evaluation mode (batch statistics would differ) and no dropout.
- The weighted cross entropy divides by the summed weights of the labels; the
  halves have the same number of changed pixels, so the sums are equal.
- Dice is a ratio of sums over the batch, no mean: it is left out.
- Every distillation term of GOLD is a mean over samples, and the total is
  linear in all terms, so the log-variances are compared as well.

Afterwards two steps in training mode: the second one fails where a parameter
had no gradient in the first, as unused parameters are not searched for.
"""
import pytest
from running import run_processes

from opencd_gold.compat import load_checkpoint_file


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp('gradients')
    script = __file__.replace('test_distributed', 'distributed_gradients')
    done = run_processes(2, script, folder)
    assert done.returncode == 0, done.stderr
    return load_checkpoint_file(folder / 'gradients.pth')


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def test_two_processes_give_the_gradient_of_the_whole_batch(found):
    assert list(found['two']) == list(found['one'])
    for name, expected in found['one'].items():
        assert expected.norm() > 0, name
        assert relative_error(found['two'][name], expected) < 1e-3, name


def test_halves_differ(found):
    """Otherwise the comparison above could not fail."""
    errors = sorted(
        relative_error(found['half'][name], expected)
        for name, expected in found['one'].items())
    assert len(errors) > 200
    assert errors[len(errors) // 10] > 0.01
