"""Packaging; what to install is said in ``requirements/*.txt``."""
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name):
    """Lines of ``requirements/<name>.txt`` that name a package."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in map(str.strip, lines)
            if line and not line.startswith('#')]


def full_mmcv_is_installed():
    """Whether the environment installed into has mmcv with compiled ops.

    mmcv and mmcv-lite write the same files, so mmcv-lite must not be
    installed over the full one. The search goes by the environment's folders
    and not by import, which an isolated build would not allow.
    """
    folders = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    return any(
        (found.metadata['Name'] or '').lower() == 'mmcv'
        for found in distributions(path=list(folders)))


def version():
    """The version, read without importing the package."""
    values = {}
    exec((ROOT / 'opencd_gold' / 'version.py').read_text(), values)
    return values['__version__']


optional = {name: requirements(name)
            for name in ('annotate', 'export', 'geo', 'pretrained', 'scenes',
                         'tensorboard')}
optional['annotate'] += optional['scenes']
install_requires = requirements('runtime')
if not full_mmcv_is_installed():
    install_requires += requirements('lite')

setup(
    name='opencd_gold',
    version=version(),
    description='Heterogeneous change detection with distillation, '
    'in the style of OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['opencd_gold', 'opencd_gold.*']),
    package_data={'opencd_gold.annotation': ['page/*']},
    python_requires='>=3.10',
    install_requires=install_requires,
    extras_require={
        **optional,
        'all': sorted(set(sum(optional.values(), []))),
        'tests': requirements('tests'),
    },
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
