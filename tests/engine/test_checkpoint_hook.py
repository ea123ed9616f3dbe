import os
import random

import numpy as np
import pytest
import torch
from mmengine.fileio import LocalBackend, get_file_backend

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.engine.hooks import (
    AtomicCheckpointHook,
    AtomicLocalBackend,
)
from opencd_gold.engine.random_state import (
    capture_random_state,
    kept_random_state,
    restore_random_state,
    training_random_state,
)


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    target = tmp_path / 'last.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', target)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b'new and longer', target)
    assert target.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['last.pth']


def test_backend_writes_with_the_usual_rights(tmp_path):
    AtomicLocalBackend().put_text('ä', tmp_path / 'deep' / 'atomic')
    LocalBackend().put_text('ä', tmp_path / 'plain')
    written = tmp_path / 'deep' / 'atomic'
    assert written.read_text(encoding='utf-8') == 'ä'
    assert written.stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_hook_uses_the_backend():
    hook = AtomicCheckpointHook(by_epoch=False)
    backend = get_file_backend('x', backend_args=hook.backend_args)
    assert isinstance(backend, AtomicLocalBackend)
    with pytest.raises(ValueError, match='takes no backend_args'):
        AtomicCheckpointHook(backend_args=dict(backend='petrel'))


def test_metric_that_is_not_there_is_named():
    hook = AtomicCheckpointHook(save_best='IuO', rule='greater')
    with pytest.raises(KeyError, match="'IuO' is not among .* IoU, F1"):
        hook._save_best_checkpoint(None, dict(IoU=1., F1=2.))


def draw():
    return (random.random(), np.random.normal(), np.random.normal(),
            torch.rand(1).item())


def test_random_state_survives_a_checkpoint(tmp_path):
    np.random.normal()
    random.gauss(0, 1)
    torch.save(capture_random_state(), tmp_path / 'state.pth')
    expected = draw()
    draw()
    restore_random_state(load_checkpoint_file(tmp_path / 'state.pth'))
    assert draw() == expected


def test_kept_random_state_is_the_one_of_training():
    before = capture_random_state()
    with kept_random_state():
        draw()
        inside = training_random_state()
    expected = draw()
    for state in (before, inside):
        restore_random_state(state)
        assert draw() == expected
