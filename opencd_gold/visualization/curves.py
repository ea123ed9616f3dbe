"""Curves of a training run from the scalars that mmengine logged."""
import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

_SCALARS = '*/vis_data/scalars.json'
_BOOKKEEPING = {
    'step', 'iter', 'epoch', 'time', 'data_time', 'memory', 'eta'
}
_METRICS = ('IoU', 'F1', 'Precision', 'Recall', 'authors_IoU')
_TEACHER = 'teacher/'
_SAYS_ITS_CURVE = ('Loss', 'Learning rate', 'Gradient norm')
_COLUMNS = 3


class History(NamedTuple):
    """Everything logged in a run, by key.

    Attributes:
        train (dict): ``{key: [(iteration, value), ...]}`` of training.
        val (dict): The same of validation.
    """

    train: Dict[str, List[Tuple[int, float]]]
    val: Dict[str, List[Tuple[int, float]]]


def read_history(source: Union[str, Path]) -> History:
    """Read the scalars of a run, also of one that was resumed.

    Each start of a run writes a log of its own. Where two overlap, because
    a run was stopped after its last checkpoint, the later one is believed.

    Args:
        source (str | Path): A work directory, or one ``scalars.json``.

    Returns:
        History: Validation is placed at the training iteration that it came
        after.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    source = Path(source)
    files = [source] if source.is_file() else sorted(source.glob(_SCALARS))
    if not files:
        raise FileNotFoundError(
            f'{source} holds no {_SCALARS}: expected the work directory of '
            'a run whose visualizer has a LocalVisBackend')
    kept: List[Tuple[int, bool, dict]] = []
    for file in files:
        records = _read_records(file)
        first = next((step for step, train, _ in records if train), None)
        if first is not None:
            kept = [record for record in kept if record[0] < first]
            kept.extend(records)
    history = History({}, {})
    for step, train, values in kept:
        curves = history.train if train else history.val
        for key, value in values.items():
            if key not in _BOOKKEEPING and isinstance(value, (int, float)):
                curves.setdefault(key, []).append((step, value))
    return history


def _read_records(file: Path) -> List[Tuple[int, bool, dict]]:
    """Iteration, whether of training, and values of each line."""
    records = []
    latest = 0
    for line in file.read_text().splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            # A run that was killed may leave half a line.
            continue
        train = 'iter' in values
        # An epoch-based run counts validation in epochs.
        latest = max(latest, int(values.get('iter', values.get('step', 0))))
        records.append((latest, train, values))
    return records


def group_curves(history: History) -> Dict[str, Dict[str, list]]:
    """Sort the curves into the axes of a figure.

    Args:
        history (History): What was logged.

    Returns:
        dict[str, dict[str, list]]: Curves by key for each title, without
        empty ones.
    """
    groups: Dict[str, Dict[str, list]] = {
        title: {}
        for title in ('Loss', 'Loss terms', 'Terms before weighting',
                      'Weights', 'Validation, %',
                      'Validation IoU by change area ratio, %',
                      'Training accuracy, %', 'Learning rate',
                      'Gradient norm', 'Other')
    }
    for key, curve in history.train.items():
        groups[_train_title(key)][key] = curve
    for key, curve in history.val.items():
        title = _val_title(key, history.val)
        if title:
            groups[title][key] = curve
    return {title: curves for title, curves in groups.items() if curves}


def _train_title(key: str) -> str:
    """Title of the axes that a training curve belongs to."""
    if key.startswith('term/'):
        return 'Terms before weighting'
    if 'weight' in key:
        return 'Weights'
    if 'loss' in key:
        return 'Loss' if key == 'loss' else 'Loss terms'
    if 'acc' in key:
        return 'Training accuracy, %'
    if key.rpartition('.')[-1] in ('lr', 'base_lr'):
        return 'Learning rate'
    return 'Gradient norm' if key == 'grad_norm' else 'Other'


def _val_title(key: str, curves: Dict[str, list]) -> Optional[str]:
    """Title of the axes that a figure of validation belongs to, if any."""
    name = key[len(_TEACHER):] if key.startswith(_TEACHER) else key
    if name.startswith('CAR['):
        if name.endswith('/IoU'):
            return 'Validation IoU by change area ratio, %'
        return None
    if name in _METRICS or not any(metric in curves for metric in _METRICS):
        return 'Validation, %'
    return None


def draw_curves(history: History, path: Union[str, Path]) -> None:
    """Draw a run: losses, terms, weights, validation, learning rate.

    A teacher's curves have the color of the student's, dashed.

    Args:
        history (History): What was logged.
        path (str | Path): File to write; its suffix says the format.

    Raises:
        ValueError: If nothing was logged.
        ImportError: Without matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    groups = group_curves(history)
    if not groups:
        raise ValueError('nothing was logged yet: no curve to draw')
    columns = min(_COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure((6 * columns, 3.8 * rows), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, curves) in zip(grid, groups.items()):
        _draw_axes(axes, title, curves)
    for axes in grid[len(groups):]:
        axes.set_visible(False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_axes(axes, title: str, curves: Dict[str, list]) -> None:
    """Draw the curves of one title."""
    colors: Dict[str, str] = {}
    for key, curve in curves.items():
        teacher = key.startswith(_TEACHER)
        name = key[len(_TEACHER):] if teacher else key
        color = colors.setdefault(name, f'C{len(colors) % 10}')
        # The second ten of many curves are dotted.
        style = ':' if list(colors).index(name) >= 10 else '-'
        steps, values = zip(*curve)
        axes.plot(
            steps, values, '--' if teacher else style, color=color, label=key,
            marker='.' if len(curve) < 30 else '', linewidth=1.3)
    axes.set_title(title, loc='left', fontsize=11, weight='bold')
    axes.set_xlabel('iteration')
    axes.grid(alpha=.3)
    axes.spines[['top', 'right']].set_visible(False)
    if title in ('Loss terms', 'Terms before weighting') and _spread(
            curves.values()):
        axes.set_yscale('log')
    if len(curves) > 1 or title not in _SAYS_ITS_CURVE:
        axes.legend(fontsize=7, ncols=1 + len(curves) // 9)


def _spread(curves: Sequence[list]) -> bool:
    """Whether the curves are positive and lie decades apart."""
    values = np.array([value for curve in curves for _, value in curve])
    values = values[np.isfinite(values)]
    return bool(
        len(values) and values.min() > 0
        and values.max() > 100 * values.min())
