import logging
import os
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from sklearn import metrics as sklearn_metrics

from opencd_gold.evaluation import ChangeMetric, confusion_matrix
from opencd_gold.registry import METRICS

CLASSES = ('unchanged', 'changed')


def make_sample(label, prediction, teacher=None, path='place/one.tif'):
    sample = SegDataSample(
        metainfo=dict(
            img_path=[path, 'to/one.tif'], seg_map_path='label/one.png'))
    sample.gt_sem_seg = PixelData(data=torch.as_tensor(label)[None])
    sample.pred_sem_seg = PixelData(data=torch.as_tensor(prediction)[None])
    if teacher is not None:
        sample.teacher_pred_sem_seg = PixelData(
            data=torch.as_tensor(teacher)[None])
    return sample


def evaluate(samples, classes=CLASSES, **options):
    metric = METRICS.build(dict(type='ChangeMetric', **options))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=classes)
    for sample in samples:
        evaluator.process(data_samples=[sample])
    return evaluator.evaluate(len(samples))


def random_map(name, p, shape=(2, 64, 64)):
    generator = np.random.Generator(
        np.random.PCG64(zlib.crc32(name.encode())))
    return (generator.random(shape) < p).astype(np.int64)


@pytest.fixture
def two_images():
    """Two 4x5 images, counted by hand.

    First: label 4, prediction 4, hits 3, 20 pixels.
    Second: label 10, prediction 6, hits 6, one pixel of the label's
    background ignored where the prediction says change: 19 pixels and a
    prediction of 6 that counts.
    """
    label = np.zeros((2, 4, 5), np.int64)
    prediction = np.zeros((2, 4, 5), np.int64)
    label[0, 0, :4] = 1
    prediction[0, 0, 1:5] = 1
    label[1, :2] = 1
    prediction[1, 0] = 1
    prediction[1, 1, 0] = 1
    label[1, 3, 4] = 255
    prediction[1, 3, 4] = 1
    return [make_sample(*pair) for pair in zip(label, prediction)]


def test_hand_count(two_images):
    figures = evaluate(two_images)
    # TP 9, FP 1, FN 5, TN 24 of 39 pixels.
    assert figures['Precision'] == pytest.approx(90)
    assert figures['Recall'] == pytest.approx(900 / 14)
    assert figures['F1'] == pytest.approx(100 * 18 / 24)
    assert figures['IoU'] == pytest.approx(60)
    assert figures['OA'] == pytest.approx(3300 / 39)
    assert figures['mIoU'] == pytest.approx((60 + 2400 / 30) / 2)
    chance = (14 * 10 + 25 * 29) / 39**2
    assert figures['Kappa'] == pytest.approx(
        100 * (33 / 39 - chance) / (1 - chance))
    assert figures['image_IoU'] == pytest.approx(100 * (3 / 5 + 6 / 10) / 2)
    assert figures['image_F1'] == pytest.approx(100 * (6 / 8 + 12 / 16) / 2)
    assert figures['authors_IoU'] == pytest.approx(
        100 * ((3 / 5 + 15 / 17) / 2 + (6 / 10 + 9 / 13) / 2) / 2)
    assert set(map(type, figures.values())) == {float}


def test_background_row(two_images):
    figures = evaluate(two_images)
    assert figures['background/IoU'] == 0
    assert figures['background/Precision'] == 0
    assert figures['background/Kappa'] == 0
    assert figures['background/OA'] == pytest.approx(2500 / 39)
    assert figures['background/authors_IoU'] == pytest.approx(
        100 * (16 / 20 / 2 + 9 / 19 / 2) / 2)


def test_reference_values():
    """GOLD's reference scores of the same maps."""
    label = random_map('gold/y', 0.3)
    prediction = random_map('gold/p', 0.3)
    confusion = confusion_matrix(
        torch.from_numpy(label), torch.from_numpy(prediction), 2)
    assert confusion.tolist() == [[4005, 1755], [1722, 710]]
    figures = evaluate(
        [make_sample(*pair) for pair in zip(label, prediction)])
    reference = dict(
        OA=0.5755615,
        mIoU=0.3524286,
        IoU=0.16957249,
        F1=0.2899734,
        Precision=0.28803244,
        Recall=0.29194078)
    for key, value in reference.items():
        assert figures[key] == pytest.approx(100 * value, abs=1e-4)


def test_against_scikit_learn():
    label = random_map('label', 0.2)
    prediction = np.where(random_map('noise', 0.1) == 1, 1 - label, label)
    figures = evaluate(
        [make_sample(*pair) for pair in zip(label, prediction)])
    truth, found = label.ravel(), prediction.ravel()
    expected = dict(
        IoU=sklearn_metrics.jaccard_score(truth, found),
        F1=sklearn_metrics.f1_score(truth, found),
        Precision=sklearn_metrics.precision_score(truth, found),
        Recall=sklearn_metrics.recall_score(truth, found),
        OA=sklearn_metrics.accuracy_score(truth, found),
        Kappa=sklearn_metrics.cohen_kappa_score(truth, found),
        mIoU=sklearn_metrics.jaccard_score(truth, found, average='macro'))
    for key, value in expected.items():
        assert figures[key] == pytest.approx(100 * value)


def test_three_classes_against_scikit_learn():
    label = random_map('label', 0.3) + random_map('more', 0.3)
    prediction = random_map('found', 0.3) + random_map('again', 0.3)
    figures = evaluate(
        [make_sample(*pair) for pair in zip(label, prediction)],
        classes=('none', 'built', 'razed'),
        change_class=2)
    iou = sklearn_metrics.jaccard_score(
        label.ravel(), prediction.ravel(), average=None)
    assert figures['IoU'] == pytest.approx(100 * iou[2])
    assert figures['mIoU'] == pytest.approx(100 * iou.mean())
    assert figures['Kappa'] == pytest.approx(
        100 * sklearn_metrics.cohen_kappa_score(label.ravel(),
                                                prediction.ravel()))


def test_car_ranges():
    """Ratios 0, 1/20, 4/20 and 5/20, so that two lie on a bound."""
    samples = []
    for changed in (0, 1, 4, 5):
        label = np.zeros(20, np.int64)
        label[:changed] = 1
        prediction = label.copy()
        prediction[19] = 1
        samples.append(
            make_sample(label.reshape(4, 5), prediction.reshape(4, 5)))
    figures = evaluate(samples)
    assert figures['CAR[0.00-0.05]/IoU'] == pytest.approx(100 / 3)
    assert figures['CAR[0.05-0.20]/IoU'] == pytest.approx(400 / 5)
    assert figures['CAR[0.20-1.00]/IoU'] == pytest.approx(500 / 6)
    assert figures['CAR[0.20-1.00]/Recall'] == 100
    one = evaluate(samples[:1], car_ranges=(0.001, 0.0125))
    assert np.isnan(one['CAR[0.001-0.0125]/IoU'])
    assert not any('CAR' in key for key in evaluate(samples, car_ranges=()))


def test_car_leaves_ignored_pixels_out():
    label = np.array([[1, 0, 0, 0], [255] * 4])
    figures = evaluate([make_sample(label, np.zeros_like(label))],
                       car_ranges=(0, 0.2, 0.3))
    assert np.isnan(figures['CAR[0.00-0.20]/OA'])
    assert figures['CAR[0.20-0.30]/OA'] == 75


def test_teacher(two_images):
    for sample in two_images:
        label = sample.gt_sem_seg.data.clone()
        label[label == 255] = 0
        sample.teacher_pred_sem_seg = PixelData(data=label)
    figures = evaluate(two_images)
    assert figures['IoU'] == pytest.approx(60)
    for key in ('IoU', 'F1', 'Kappa', 'image_IoU', 'authors_IoU',
                'CAR[0.05-0.20]/F1'):
        assert figures[f'teacher/{key}'] == pytest.approx(100)
    assert 'teacher/background/IoU' not in figures


def test_no_change_and_no_prediction():
    empty = np.zeros((3, 3), np.int64)
    figures = evaluate([make_sample(empty, empty)])
    assert figures['OA'] == figures['mIoU'] == figures['authors_IoU'] == 100
    for key in ('IoU', 'F1', 'Precision', 'Recall', 'Kappa', 'image_IoU'):
        assert np.isnan(figures[key])


@pytest.mark.parametrize('changed', [0, 1])
def test_change_in_one_of_the_two_scores_zero(changed):
    label = np.zeros((3, 3), np.int64)
    label[0, 0] = changed
    prediction = np.zeros((3, 3), np.int64)
    prediction[0, 0] = 1 - changed
    figures = evaluate([make_sample(label, prediction)])
    for key in ('IoU', 'F1', 'Precision', 'Recall', 'image_F1'):
        assert figures[key] == 0
    assert figures['Kappa'] == 0
    assert figures['mIoU'] == pytest.approx(100 * 8 / 9 / 2)


def test_nothing_but_ignored_pixels():
    label = np.full((3, 3), 255)
    figures = evaluate([make_sample(label, np.zeros_like(label))])
    assert all(np.isnan(value) for value in figures.values())


def test_image_without_change_leaves_the_image_mean(two_images):
    empty = np.zeros((4, 5), np.int64)
    figures = evaluate([*two_images, make_sample(empty, empty)])
    assert figures['image_IoU'] == pytest.approx(60)
    assert figures['authors_IoU'] == pytest.approx(
        100 * ((3 / 5 + 15 / 17) / 2 + (6 / 10 + 9 / 13) / 2 + 1) / 3)


def test_float_prediction_of_one_channel(two_images):
    """A thresholded sigmoid gives floats."""
    for sample in two_images:
        sample.pred_sem_seg.data = sample.pred_sem_seg.data.float()
    assert evaluate(two_images)['IoU'] == pytest.approx(60)


def test_table_is_logged(two_images, caplog):
    logger = MMLogger.get_instance('change_metric_table')
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        evaluate(two_images)
    text = caplog.text
    row = next(line for line in text.splitlines() if '| prediction' in line)
    assert [cell.strip() for cell in row.split('|')[2:4]] == ['60.00', '75.00']
    assert 'background' in text and 'CAR[0.05-0.20]' in text


def test_output_dir(tmp_path, two_images):
    two_images[1].set_metainfo(dict(img_path=['place/two.tif']))
    evaluate(two_images, output_dir=str(tmp_path))
    written = cv2.imread(str(tmp_path / 'two.png'), cv2.IMREAD_UNCHANGED)
    expected = two_images[1].pred_sem_seg.data[0].numpy() * 255
    assert np.array_equal(written, expected)
    assert (tmp_path / 'one.png').is_file()


def test_output_of_three_classes_holds_indices(tmp_path):
    prediction = np.array([[0, 1, 2]])
    sample = make_sample(prediction, prediction)
    evaluate([sample], classes='abc', output_dir=str(tmp_path))
    written = cv2.imread(str(tmp_path / 'one.png'), cv2.IMREAD_UNCHANGED)
    assert written.tolist() == [[0, 1, 2]]


def test_format_only_needs_no_label(tmp_path, two_images):
    for sample in two_images:
        del sample.gt_sem_seg
    with pytest.raises(ValueError, match='place/one.tif.*has no label'):
        evaluate(two_images)
    figures = evaluate(
        two_images, output_dir=str(tmp_path), format_only=True)
    assert figures == {}
    assert (tmp_path / 'one.png').is_file()


def test_same_stem_is_refused(tmp_path, two_images):
    two_images[1].set_metainfo(dict(img_path=['elsewhere/one.png']))
    with pytest.raises(ValueError, match='elsewhere/one.png and place/one'):
        evaluate(two_images, output_dir=str(tmp_path))


@pytest.mark.parametrize('value, message', [
    (2, 'label/one.png: label holds class 2: expected 0 to 1 or 255'),
    (-1, 'label/one.png: label holds class -1'),
])
def test_label_that_is_no_class(two_images, value, message):
    two_images[0].gt_sem_seg.data[0, 0, 0] = value
    with pytest.raises(ValueError, match=message):
        evaluate(two_images)


def test_sizes_that_differ(two_images):
    two_images[0].pred_sem_seg = PixelData(data=torch.zeros(1, 8, 8))
    with pytest.raises(ValueError, match=r'\(4, 5\) and pred.*\(8, 8\)'):
        evaluate(two_images)


@pytest.mark.parametrize('options, message', [
    (dict(car_ranges=(0.2, 0.1)), 'car_ranges'),
    (dict(car_ranges=(0, 5, 100)), 'car_ranges'),
    (dict(car_ranges=(0.5, )), 'car_ranges'),
    (dict(format_only=True), 'output_dir'),
    (dict(num_classes=1), 'num_classes=1'),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ChangeMetric(**options)


@pytest.mark.parametrize('options, classes', [
    (dict(), ()),
    (dict(change_class=2), CLASSES),
    (dict(change_class=0), CLASSES),
])
def test_bad_classes(two_images, options, classes):
    with pytest.raises(ValueError, match='two classes|change_class='):
        evaluate(two_images, classes=classes, **options)


def evaluate_share(folder):
    """Run in each of two processes: evaluate every other image."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    rank = torch.distributed.get_rank()
    label = random_map('label', 0.2, (5, 8, 8))
    prediction = random_map('found', 0.2, (5, 8, 8))
    metric = ChangeMetric(num_classes=2)
    # mmengine's sampler pads the shorter share with the first image.
    for index in ((0, 2, 4), (1, 3, 0))[rank]:
        metric.process(
            None, [make_sample(label[index], prediction[index]).to_dict()])
    torch.save(metric.evaluate(5), os.path.join(folder, f'{rank}.pt'))
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path):
    subprocess.run(
        [
            sys.executable, '-m', 'torch.distributed.run', '--standalone',
            '--nproc-per-node=2', __file__,
            str(tmp_path)
        ],
        check=True,
        timeout=300)
    label = random_map('label', 0.2, (5, 8, 8))
    prediction = random_map('found', 0.2, (5, 8, 8))
    alone = evaluate([make_sample(*pair) for pair in zip(label, prediction)])
    for rank in range(2):
        figures = torch.load(tmp_path / f'{rank}.pt')
        assert figures.keys() == alone.keys()
        for key, value in alone.items():
            assert figures[key] == pytest.approx(value, nan_ok=True)


if __name__ == '__main__':
    evaluate_share(sys.argv[1])
