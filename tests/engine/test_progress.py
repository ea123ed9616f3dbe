import pytest
from mmengine.logging import MessageHub

from opencd_gold.engine import current_epoch, fraction, training_progress


@pytest.fixture
def hub(request):
    hub = MessageHub.get_instance(request.node.name)
    yield hub
    MessageHub._instance_dict.pop(request.node.name)


def test_outside_a_run_nothing_is_done(hub):
    assert training_progress() == (0, 0, 0, 0)
    assert current_epoch() == 0
    assert fraction() == 0


def test_epoch_based_run(hub):
    hub.update_info_dict(dict(epoch=3, iter=35, max_epochs=5, max_iters=50))
    assert training_progress() == (3, 35, 50, 0.7)
    assert current_epoch(iters_per_epoch=1) == 3


def test_iteration_based_run(hub):
    hub.update_info_dict(dict(epoch=0, iter=35, max_epochs=1, max_iters=50))
    assert current_epoch(iters_per_epoch=10) == 3.5
    assert fraction() == 0.7
    with pytest.raises(ValueError, match='needs iters_per_epoch'):
        current_epoch()
    hub.update_info('iters_per_epoch', 20)
    assert current_epoch() == 1.75
    assert current_epoch(iters_per_epoch=10) == 3.5


@pytest.mark.parametrize('length', [0, -1])
def test_length_of_an_epoch_must_be_positive(hub, length):
    with pytest.raises(ValueError, match=f'positive, found {length}'):
        current_epoch(length)
