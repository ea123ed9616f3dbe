"""The commands of configs/mtkd/README.md, with two iterations each."""
import json
import re
import shlex

import cv2
import numpy as np
import pytest
import torch
from running import ROOT, run_tool

from opencd_gold.compat import load_checkpoint_file
from opencd_gold.datasets.synthetic import write_triplets

SHORT = {
    'tools/train.py': [
        'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.persistent_workers=False'
    ],
    'tools/test.py': [
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False'
    ]
}
# Small, medium and large change.
SHARES = (0.02, 0.1, 0.5)


def commands():
    """Words of the commands of the section "All steps"."""
    text = (ROOT / 'configs/mtkd/README.md').read_text()
    block = text.split('## All steps')[1].split('```bash')[1].split('```')[0]
    lines = block.replace('\\\n', ' ').splitlines()
    return [line.replace('$(best ', '$(best_')
            for line in lines if line.startswith('python ')]


@pytest.fixture
def data(tmp_path):
    """Triplets whose labels fall into all partitions, in each split."""
    root = tmp_path / 'data/ombria'
    write_triplets(root, dict(train=6, val=3, test=3), size=64, seed=1)
    for split in ('train', 'val', 'test'):
        for i, path in enumerate(sorted((root / split / 'label').iterdir())):
            label = np.zeros(64 * 64, np.uint8)
            label[:round(SHARES[i % 3] * len(label))] = 255
            cv2.imwrite(str(path), label.reshape(64, 64))
    return tmp_path


def test_all_steps(data, monkeypatch):
    monkeypatch.chdir(data)
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def best(match):
        path, = (data / 'work_dirs' / match[1]).glob('best_IoU_iter_*.pth')
        return str(path)

    ran = []
    for number, line in enumerate(commands()):
        line = re.sub(r'\$\(best_(\w+)\)', best, line)
        _, tool, *words = shlex.split(line)
        words = [str(ROOT / word) if word.startswith('configs/') else word
                 for word in words]
        if tool in SHORT:
            if '--cfg-options' not in words:
                words.append('--cfg-options')
            words += [*SHORT[tool], f'experiment_name=step{number}',
                      f'visualizer.name=step{number}']
            if '/step1/' in words[0] or '/step2/' in words[0]:
                words.append('model.backbone.pretrained=False')
        assert run_tool(monkeypatch, tool, *words) is None, line
        ran.append(tool)
    torch.set_num_threads(threads)
    assert ran.count('tools/train.py') == 6
    assert ran.count('tools/test.py') == 2

    lists = data / 'data/ombria/lists'
    for part in 'sml':
        assert len((lists / f'train_{part}.txt').read_text().split()) == 2
        assert len((lists / f'val_{part}.txt').read_text().split()) == 1
    found = {}
    for name in ('op', 'test'):
        result, = (data / 'work_dirs' / name).glob('*/*.json')
        found[name] = json.loads(result.read_text())
        assert 0 <= found[name]['IoU'] <= 100
    names = [name for name in found['op'] if 'CAR' in name or '/' in name]
    assert names
    assert set(names) <= set(found['test'])
    states = {
        name: load_checkpoint_file(
            data / f'work_dirs/{name}/iter_2.pth')['state_dict']
        for name in ('initial', 'small', 'mtkd', 'origin')
    }
    for state in states.values():
        assert set(state) == set(states['initial'])
    weight = 'decode_head.conv_seg.weight'
    values = [state[weight] for state in states.values()]
    for i, value in enumerate(values):
        for other in values[:i]:
            assert not torch.equal(value, other)
