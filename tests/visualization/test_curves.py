import json

import cv2
import pytest

from opencd_gold.visualization.curves import (
    History,
    draw_curves,
    group_curves,
    read_history,
)


@pytest.fixture
def write_log(tmp_path):

    def write(name, records, tail=''):
        path = tmp_path / name / 'vis_data/scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text(
            ''.join(json.dumps(record) + '\n' for record in records) + tail)
        return path

    return write


def training(step, loss, **values):
    return dict(loss=loss, time=0.1, iter=step, step=step, **values)


def test_history(tmp_path, write_log):
    write_log('20260101', [
        training(5, 2.), training(10, 1.5),
        dict(IoU=40., time=0.1, step=10)
    ])
    history = read_history(tmp_path)
    assert history.train == dict(loss=[(5, 2.), (10, 1.5)])
    assert history.val == dict(IoU=[(10, 40.)])


def test_later_start_is_believed(tmp_path, write_log):
    """Killed after 15, resumed from the checkpoint of 5."""
    write_log('20260101', [
        training(5, 2.), training(10, 1.5), dict(IoU=40., step=10),
        training(15, 1.4)
    ], '{"loss": 1.')
    write_log('20260102', [training(10, 1.6), dict(IoU=41., step=10)])
    history = read_history(tmp_path)
    assert history.train['loss'] == [(5, 2.), (10, 1.6)]
    assert history.val['IoU'] == [(10, 41.)]


def test_log_of_validation_alone_is_left_out(tmp_path, write_log):
    write_log('20260101', [training(5, 2.)])
    write_log('20260102', [dict(IoU=41., step=0)])
    history = read_history(tmp_path)
    assert history.train['loss'] == [(5, 2.)]
    assert history.val == {}


def test_validation_by_epoch_is_placed_by_iteration(write_log):
    path = write_log('20260101', [
        training(50, 2., epoch=1), dict(IoU=1., step=1),
        training(100, 1., epoch=2), dict(IoU=2., step=2)
    ])
    assert read_history(path).val['IoU'] == [(50, 1.), (100, 2.)]


def test_work_dir_without_log(tmp_path):
    with pytest.raises(FileNotFoundError, match='LocalVisBackend'):
        read_history(tmp_path)


def test_groups():
    curve = [(1, 1.)]
    train = ('loss', 'loss_cd', 'term/student.ce', 'weight/task.cd',
             'decode.acc_seg', 'lr', 'grad_norm', 'speed')
    val = ('IoU', 'teacher/IoU', 'OA', 'background/IoU',
           'teacher/CAR[0.00-0.05]/IoU', 'CAR[0.00-0.05]/F1')
    groups = group_curves(
        History(dict.fromkeys(train, curve), dict.fromkeys(val, curve)))
    assert {title: list(curves) for title, curves in groups.items()} == {
        'Loss': ['loss'],
        'Loss terms': ['loss_cd'],
        'Terms before weighting': ['term/student.ce'],
        'Weights': ['weight/task.cd'],
        'Validation, %': ['IoU', 'teacher/IoU'],
        'Validation IoU by change area ratio, %':
        ['teacher/CAR[0.00-0.05]/IoU'],
        'Training accuracy, %': ['decode.acc_seg'],
        'Learning rate': ['lr'],
        'Gradient norm': ['grad_norm'],
        'Other': ['speed']
    }


def test_figures_of_another_metric_are_shown():
    groups = group_curves(History({}, dict(mAcc=[(1, 1.)])))
    assert list(groups['Validation, %']) == ['mAcc']


def test_picture(tmp_path):
    nan = float('nan')
    history = History(
        dict(loss=[(1, 2.), (2, nan)], lr=[(1, 0.1)]),
        {'IoU': [(2, 50.)], 'teacher/IoU': [(2, nan)]})
    draw_curves(history, tmp_path / 'new/curves.png')
    picture = cv2.imread(str(tmp_path / 'new/curves.png'))
    assert picture.shape == (380, 1800, 3)
    assert picture.std() > 10


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match='nothing was logged'):
        draw_curves(History({}, {}), tmp_path / 'curves.png')
