"""Print the parity table of a system: every array and its error.

    cd tests && python -m parity.table gold
"""
import importlib
import sys

import opencd_gold  # noqa: F401  makes mmseg importable beside mmcv-lite


def main(system):
    module = importlib.import_module(f'parity.test_{system}')
    figures = module.FIG
    config = getattr(module, 'REFERENCE', f'{system}_reference.py')
    model = module.load(config, system, figures.info['state'])
    print('| case | array | largest error | of |')
    print('| --- | --- | --- | --- |')
    for name in sorted(figures.cases):
        figures.seen.clear()
        module.CASES[name](model)
        for array, (error, scale) in sorted(figures.seen.items()):
            print(f'| {name} | `{array}` | {error:.1e} | {scale:.3g} |')


if __name__ == '__main__':
    main(sys.argv[1])
