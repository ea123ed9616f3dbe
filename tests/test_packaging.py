"""What an installation brings, and that the pins are of what it brings."""
import re
import runpy
import sysconfig

import pytest
import setuptools
from running import ROOT

import opencd_gold


@pytest.fixture
def packaging(monkeypatch, tmp_path):
    """Arguments of ``setup`` for an environment with the given packages."""

    def read(*installed):
        for name in installed:
            folder = tmp_path / f'{name}-2.1.0.dist-info'
            folder.mkdir()
            (folder / 'METADATA').write_text(
                f'Metadata-Version: 2.1\nName: {name}\nVersion: 2.1.0\n')
        said = {}
        monkeypatch.setattr(sysconfig, 'get_path', lambda *_: str(tmp_path))
        monkeypatch.setattr(setuptools, 'setup',
                            lambda **kwargs: said.update(kwargs))
        runpy.run_path(str(ROOT / 'setup.py'))
        return said

    return read


def names(lines):
    return {re.split('[<>=; ]', line)[0] for line in lines}


def test_mmcv_lite_where_no_mmcv_is(packaging):
    assert 'mmcv-lite' in names(packaging()['install_requires'])


def test_mmcv_lite_never_over_full_mmcv(packaging):
    required = names(packaging('mmcv')['install_requires'])
    assert 'mmcv-lite' not in required
    assert {'torch', 'mmengine', 'mmsegmentation'} <= required


def test_all_is_every_optional_package(packaging):
    extras = packaging()['extras_require']
    assert names(extras['all']) == set.union(
        *(names(extras[key]) for key in ('annotate', 'export', 'geo',
                                         'pretrained', 'scenes',
                                         'tensorboard')))


def test_version(packaging):
    assert packaging()['version'] == opencd_gold.__version__


def test_every_pin_is_of_something_required(packaging):
    said = packaging()
    required = names(said['install_requires']).union(
        *map(names, said['extras_require'].values()))
    lines = (ROOT / 'requirements/constraints.txt').read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith('#')]
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', pin) for pin in pins)
    # Asked for by mmengine and mmcv-lite.
    assert names(pins) - required == {
        'opencv-python', 'opencv-python-headless'
    }


def test_every_pin_has_its_reason():
    reason = False
    text = (ROOT / 'requirements/constraints.txt').read_text()
    for line in text.splitlines():
        if not line:
            reason = False
        elif line.startswith('#'):
            reason = True
        else:
            assert reason, line
