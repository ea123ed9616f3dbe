"""Figures of a change map: pooled, per image and per change area ratio.

Every figure comes from confusion matrices, one an image, rows the label and
columns the prediction; pixels whose label is ``ignore_index`` are left out.
With TP, FP, FN of the change class, N pixels and p_e the agreement expected
by chance:

- Precision = TP / (TP + FP), Recall = TP / (TP + FN),
  F1 = 2 Precision Recall / (Precision + Recall),
  IoU = TP / (TP + FP + FN);
- OA = trace / N, Kappa = (OA - p_e) / (1 - p_e),
  mIoU = mean of the classes' IoU.

What a zero denominator means: a class that neither the label nor the
prediction holds has no figures (NaN); a class that only one of them holds
has 0 for whichever ratio would be 0 / 0. Kappa is NaN where chance alone
agrees everywhere.
"""
import os.path as osp
from typing import Dict, List, Optional, Sequence

import mmcv
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable

from opencd_gold.registry import METRICS

_POOLED = ('IoU', 'F1', 'Precision', 'Recall', 'OA', 'Kappa', 'mIoU')
_PER_IMAGE = ('image_IoU', 'image_F1', 'authors_IoU')
_PER_RANGE = ('IoU', 'F1', 'Precision', 'Recall', 'OA')


def confusion_matrix(label: torch.Tensor,
                     prediction: torch.Tensor,
                     num_classes: int,
                     ignore_index: int = 255) -> np.ndarray:
    """Count pixels by label and prediction.

    Args:
        label (Tensor): Class indices, any shape.
        prediction (Tensor): Class indices, same shape.
        num_classes (int): Number of classes K.
        ignore_index (int): Label of the pixels to leave out. Default: 255.

    Returns:
        np.ndarray: int64 of shape ``(K, K)``, rows label, columns
        prediction.

    Raises:
        ValueError: If the shapes differ, or an index is no class.
    """
    if label.shape != prediction.shape:
        raise ValueError(
            f'label of shape {tuple(label.shape)} and prediction of shape '
            f'{tuple(prediction.shape)}: expected the same')
    valid = label != ignore_index
    label = label[valid].long()
    prediction = prediction[valid].long()
    for name, index in (('label', label), ('prediction', prediction)):
        wrong = index[(index < 0) | (index >= num_classes)]
        if len(wrong):
            raise ValueError(
                f'{name} holds class {int(wrong[0])}: expected 0 to '
                f'{num_classes - 1}' +
                (f' or {ignore_index} (ignored)' if name == 'label' else ''))
    counts = torch.bincount(
        label * num_classes + prediction, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).cpu().numpy()


def _divide(numerator, denominator, defined=True) -> np.ndarray:
    """Divide, with 0 for 0 / 0, and NaN where the figure is not defined."""
    zero = denominator == 0
    quotient = numerator / np.where(zero, 1, denominator)
    return np.where(defined, quotient, np.nan)


def _mean(values: np.ndarray, axis=None) -> np.ndarray:
    """Mean of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=axis)
    return _divide(
        np.where(defined, values, 0).sum(axis=axis), count, count > 0)


def change_scores(confusion: np.ndarray,
                  change_class: int = 1) -> Dict[str, np.ndarray]:
    """Scores of confusion matrices, by the formulas of this module.

    Args:
        confusion (np.ndarray): ``(..., K, K)``, rows label, columns
            prediction.
        change_class (int): Class that Precision, Recall, F1 and IoU are of.
            Default: 1.

    Returns:
        dict[str, np.ndarray]: IoU, F1, Precision, Recall, OA, Kappa and
        mIoU of shape ``(...)``, as fractions.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    labelled = confusion.sum(-1)
    predicted = confusion.sum(-2)
    total = labelled.sum(-1)
    union = labelled + predicted - hits
    present = union > 0
    iou = _divide(hits, union, present)
    accuracy = _divide(hits.sum(-1), total, total > 0)
    chance = _divide((labelled * predicted).sum(-1), total**2, total > 0)
    figures = dict(
        IoU=iou,
        F1=_divide(2 * hits, labelled + predicted, present),
        Precision=_divide(hits, predicted, present),
        Recall=_divide(hits, labelled, present))
    scores = {key: value[..., change_class] for key, value in figures.items()}
    scores.update(
        OA=accuracy,
        Kappa=_divide(accuracy - chance, 1 - chance, chance < 1),
        mIoU=_mean(iou, axis=-1))
    return scores


@METRICS.register_module()
class ChangeMetric(BaseMetric):
    """Change detection figures in percent, for a set of images.

    Keys of the result; all are percent (0 to 100; Kappa from -100), NaN
    where not defined (see the module's formulas):

    - ``IoU``, ``F1``, ``Precision``, ``Recall`` of the change class, ``OA``,
      ``Kappa``, ``mIoU``: from one confusion matrix pooled over the set;
    - ``image_IoU``, ``image_F1``: mean over the images whose label or
      prediction holds the change class;
    - ``authors_IoU``: mean over images of the mean over classes of the IoU,
      a class that an image's label and prediction both lack left out of
      that image's mean. It is the figure that the authors of OMBRIA give
      (https://doi.org/10.1109/JSTARS.2022.3155559), not to be mixed with
      ``IoU``: all background scores 33 there, and 0 by ``IoU``;
    - ``CAR[0.00-0.05]/IoU`` and so on (also ``F1``, ``Precision``,
      ``Recall``, ``OA``): pooled over the images whose change area ratio,
      changed / valid pixels of the label, lies in the range. The upper
      bound belongs to a range, the lower one to the range below;
    - ``background/...``: all of the first three items for a map that is
      background everywhere;
    - ``teacher/...``: all but ``background`` for
      ``teacher_pred_sem_seg``, where the data samples hold it.

    ``save_best='IoU', rule='greater'`` of mmengine's ``CheckpointHook``
    chooses a checkpoint by the pooled IoU; the rule has to be said, mmengine
    cannot infer it from this key. An undefined (NaN) figure is never the
    best.

    Departure: Precision, Recall, F1 and IoU of GOLD's reference carry an
    epsilon of 1.2e-7 in each denominator; here a zero denominator is settled
    as above, and all others are the same to seven digits.

    Args:
        car_ranges (Sequence[float]): Increasing bounds of the change area
            ratio, fractions from 0 to 1; empty for none.
            Default: (0, 0.05, 0.2, 1).
        change_class (int): Index of the change class; class 0 is the
            background. Default: 1.
        num_classes (int, optional): Number of classes K >= 2. Default: the
            number of the data set's ``classes``.
        ignore_index (int): Label of the pixels to leave out. Default: 255.
        output_dir (str, optional): Where predicted maps are written as PNG,
            named by the stem of the sample's first image: 0 and 255 with two
            classes, class indices with more. Default: None, none written.
        format_only (bool): Write the maps and compute nothing, for images
            without labels. Default: False.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Default: ``'cpu'``.
        prefix (str, optional): Put before every key, with a slash.
            Default: None.

    Raises:
        ValueError: If ``car_ranges`` do not increase from 0 or above to 1 or
            below, if ``format_only`` comes without ``output_dir``, or if a
            class index is out of range.
    """

    # Not None, so that mmengine does not warn that keys have no prefix.
    default_prefix = ''

    def __init__(self,
                 car_ranges: Sequence[float] = (0, 0.05, 0.2, 1),
                 change_class: int = 1,
                 num_classes: Optional[int] = None,
                 ignore_index: int = 255,
                 output_dir: Optional[str] = None,
                 format_only: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        bounds = tuple(car_ranges)
        if (len(bounds) == 1 or list(bounds) != sorted(set(bounds))
                or bounds and not 0 <= bounds[0] < bounds[-1] <= 1):
            raise ValueError(
                f'car_ranges={car_ranges!r}: expected two or more increasing '
                'fractions from 0 to 1, or none')
        if format_only and not output_dir:
            raise ValueError('format_only=True expects output_dir to write '
                             f'to, found {output_dir!r}')
        if num_classes is not None and num_classes < 2:
            raise ValueError(f'num_classes={num_classes}: expected 2 or more')
        self.car_ranges = bounds
        self.change_class = change_class
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.output_dir = output_dir
        self.format_only = format_only
        self._written: Dict[str, str] = {}

    def _count_classes(self) -> int:
        """Number of classes, of the argument or the data set."""
        classes = self.num_classes or len(
            (self.dataset_meta or {}).get('classes', ()))
        if classes < 2:
            raise ValueError(
                'ChangeMetric expects num_classes, or a data set whose '
                f'metainfo has two classes or more; found {self.dataset_meta}')
        if not 1 <= self.change_class < classes:
            raise ValueError(f'change_class={self.change_class}: expected 1 '
                             f'to {classes - 1}')
        return classes

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Count one batch.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): With ``pred_sem_seg`` and
                ``gt_sem_seg``, both ``dict(data=Tensor)`` of shape
                ``(1, H, W)``, optionally ``teacher_pred_sem_seg``, and
                ``img_path``, a list of paths or one.
        """
        num_classes = self._count_classes()
        for sample in data_samples:
            prediction = sample['pred_sem_seg']['data'].squeeze(0)
            if self.output_dir:
                self._write_map(prediction, sample, num_classes)
            if self.format_only:
                self.results.append(())
                continue
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'{sample.get("img_path")} has no label: expected one, '
                    'or format_only=True')
            label = sample['gt_sem_seg']['data'].squeeze(0)
            self.results.append(
                tuple(
                    self._count(label, sample[key]['data'].squeeze(0), sample,
                                num_classes)
                    for key in ('pred_sem_seg', 'teacher_pred_sem_seg')
                    if key in sample))

    def _count(self, label, prediction, sample, num_classes) -> np.ndarray:
        """Confusion matrix of one image; errors name its label."""
        try:
            return confusion_matrix(
                label.to(prediction.device), prediction, num_classes,
                self.ignore_index)
        except ValueError as error:
            name = sample.get('seg_map_path') or sample.get('img_path')
            raise ValueError(f'{name}: {error}') from None

    def _write_map(self, prediction, sample, num_classes) -> None:
        """Write a predicted map as PNG."""
        path = sample['img_path']
        path = path if isinstance(path, str) else path[0]
        stem = osp.splitext(osp.basename(path))[0]
        first = self._written.setdefault(stem, path)
        if first != path:
            raise ValueError(
                f'{path} and {first} have the same stem: their maps would '
                f'both be {osp.join(self.output_dir, stem)}.png')
        scale = 255 if num_classes == 2 else 1
        mmcv.imwrite((prediction.cpu().numpy() * scale).astype(np.uint8),
                     osp.join(self.output_dir, f'{stem}.png'))

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """Compute the figures of the set.

        Args:
            results (list[tuple[np.ndarray]]): For each image the confusion
                matrix of the prediction, then the teacher's where it is
                there.

        Returns:
            dict[str, float]: The figures, percent, by the keys that the
            class names.
        """
        logger = MMLogger.get_current_instance()
        if self.format_only:
            print_log(f'{len(results)} maps are in {self.output_dir}', logger)
            return {}
        classes = self._count_classes()
        student = np.array([result[0] for result in results],
                           dtype=np.int64).reshape(-1, classes, classes)
        table = PrettyTable(['', *_POOLED, *_PER_IMAGE, 'images'])
        table.align = 'r'
        table.align[''] = 'l'
        metrics = self._rows('', student, table)
        if results and all(len(result) == 2 for result in results):
            teacher = np.array([result[1] for result in results])
            metrics.update(self._rows('teacher/', teacher, table))
        background = np.zeros_like(student)
        background[..., 0] = student.sum(-1)
        metrics.update(
            self._row('background/', background, _POOLED + _PER_IMAGE, table))
        print_log(f'change figures in percent\n{table}', logger)
        return metrics

    def _rows(self, prefix: str, confusions: np.ndarray,
              table: PrettyTable) -> Dict[str, float]:
        """Figures of the whole set, then of each change area ratio."""
        metrics = self._row(prefix, confusions, _POOLED + _PER_IMAGE, table)
        total = confusions.sum((-2, -1))
        ratio = _divide(
            confusions[:, self.change_class].sum(-1), total, total > 0)
        bounds = self.car_ranges
        for low, high in zip(bounds, bounds[1:]):
            chosen = (ratio > low) & (ratio <= high)
            if low == bounds[0]:
                chosen |= ratio == low
            name = f'{prefix}CAR[{_bound(low)}-{_bound(high)}]/'
            metrics.update(
                self._row(name, confusions[chosen], _PER_RANGE, table))
        return metrics

    def _row(self, prefix: str, confusions: np.ndarray, keys: Sequence[str],
             table: PrettyTable) -> Dict[str, float]:
        """Figures ``keys`` of a set of images, entered in the table."""
        scores = change_scores(confusions.sum(0), self.change_class)
        single = change_scores(confusions, self.change_class)
        scores.update(
            image_IoU=_mean(single['IoU']),
            image_F1=_mean(single['F1']),
            authors_IoU=_mean(single['mIoU']))
        scores = {key: float(scores[key]) * 100 for key in keys}
        table.add_row([prefix.rstrip('/') or 'prediction'] + [
            f'{scores[key]:.2f}' if key in scores else ''
            for key in _POOLED + _PER_IMAGE
        ] + [len(confusions)])
        return {prefix + key: value for key, value in scores.items()}


def _bound(value: float) -> str:
    """A bound with two digits, or as many as it has."""
    return f'{value:.2f}' if round(value, 2) == value else f'{value:g}'
