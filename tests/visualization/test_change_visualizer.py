import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample

from opencd_gold.registry import VISUALIZERS
from opencd_gold.visualization import ChangeVisualizer, error_map, to_display

HIT, MISS = (255, 255, 255), (0x56, 0xB4, 0xE9)
FALSE_ALARM, IGNORED = (0xD5, 0x5E, 0x00), (0x80, 0x80, 0x80)


def make_sample(label=None, prediction=None, teacher=None, sensors=None):
    sample = SegDataSample()
    if sensors:
        sample.set_metainfo(dict(sensors=sensors))
    for key, indices in (('gt_sem_seg', label), ('pred_sem_seg', prediction),
                         ('teacher_pred_sem_seg', teacher)):
        if indices is not None:
            sample.set_data({key: PixelData(data=torch.tensor(indices)[None])})
    return sample


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        rng.gamma(1., 1., (40, 60, 1)).astype(np.float32),
        rng.integers(0, 10000, (20, 30, 4)).astype(np.uint16)
    ]


@pytest.fixture
def maps():
    label = np.zeros((40, 60), np.int64)
    label[:20] = 1
    label[30:] = 255
    prediction = np.zeros((40, 60), np.int64)
    prediction[10:25] = 1
    return label, prediction


def test_error_map_colors():
    label = np.array([[1, 1, 0, 0, 255, 255]])
    prediction = np.array([[1, 0, 1, 0, 1, 0]])
    drawn = error_map(label, prediction)
    assert [tuple(pixel) for pixel in drawn[0].tolist()] == [
        HIT, MISS, FALSE_ALARM, (0, 0, 0), IGNORED, IGNORED
    ]


def test_eight_bit_optical_is_shown_as_it_is(images):
    assert np.array_equal(to_display(images[0], 'optical'), images[0])


@pytest.mark.parametrize('sensor, dtype', [('sar', np.uint8),
                                           ('optical', np.uint16),
                                           (None, np.float32)])
def test_stretch_between_percentiles(sensor, dtype):
    image = np.arange(101, dtype=dtype).reshape(1, 101, 1)
    drawn = to_display(image, sensor)
    assert drawn.shape == (1, 101, 3) and drawn.dtype == np.uint8
    assert (drawn[0, :3] == 0).all() and (drawn[0, 98:] == 255).all()
    # The 2nd and 98th percentile are 2 and 98.
    assert drawn[0, 26].tolist() == [int(24 / 96 * 255)] * 3


@pytest.mark.parametrize('bands, shown', [(1, [0, 0, 0]), (2, [0, 0, 0]),
                                          (3, [0, 1, 2]), (6, [0, 1, 2])])
def test_bands_that_are_shown(bands, shown):
    image = np.random.default_rng(0).integers(
        0, 256, (4, 5, bands), dtype=np.uint8)
    assert np.array_equal(to_display(image), image[..., shown])


def test_pixels_that_are_not_finite_are_black():
    image = np.array([[np.nan, np.inf, 1., 2., 3.]], np.float32)
    drawn = to_display(image, 'sar')
    assert (drawn[0, :2] == 0).all()
    assert drawn[0, 4, 0] == 255


def test_constant_and_empty_images_have_a_display():
    assert (to_display(np.full((3, 3), 7.)) == 128).all()
    assert (to_display(np.full((3, 3), np.nan)) == 0).all()
    # So few pixels differ that both percentiles are equal.
    lit = np.zeros((20, 20), np.float32)
    lit[3, 4] = 5
    assert to_display(lit)[3, 4, 0] == 255


def test_display_of_a_bad_shape():
    with pytest.raises(ValueError, match=r'\(2, 2, 2, 2\).*\(H, W, C\)'):
        to_display(np.zeros((2, 2, 2, 2)))


def panel_at(picture, row, column, height=171, width=256):
    """Cut a panel out, found by the frames of known size."""
    rows, top = [], 0
    for _ in range(2):
        # A line of titles (1.9 times the size of the letters) is above.
        top += round(1.9 * width / 19)
        rows.append(top)
        top += height
    left = 12 + column * (width + 12)
    return picture[rows[row]:rows[row] + height, left:left + width]


def test_layout_with_guide(images, maps):
    sample = make_sample(*maps, sensors=['optical', 'sar', 'optical'])
    picture = ChangeVisualizer().draw(images, sample)
    assert picture.shape[1] == 12 + 3 * (256 + 12)
    errors = panel_at(picture, 1, 2)
    assert tuple(errors[20, 100]) == MISS
    assert tuple(errors[60, 100]) == HIT
    assert tuple(errors[96, 100]) == FALSE_ALARM
    assert tuple(errors[117, 100]) == (0, 0, 0)
    assert tuple(errors[160, 100]) == IGNORED
    prediction = panel_at(picture, 1, 1)
    assert tuple(prediction[60, 100]) == (255, 255, 255)
    first = panel_at(picture, 0, 0)
    assert first[20:150, 20:240].mean() == pytest.approx(
        images[0].mean(), abs=3)


def test_layout_without_guide_and_with_teacher(images, maps):
    label, prediction = maps
    sample = make_sample(label, prediction, label % 255)
    picture = ChangeVisualizer().draw(images[:2], sample)
    assert picture.shape[1] == 12 + 4 * (256 + 12)
    teacher_errors = panel_at(picture, 1, 3)
    assert tuple(teacher_errors[20, 100]) == HIT
    assert not (teacher_errors == MISS).all(-1).any()
    plain = ChangeVisualizer().draw(images[:2], make_sample(*maps))
    assert plain.shape[1] == 12 + 3 * (256 + 12)


def test_training_sample_is_one_row(images, maps):
    picture = ChangeVisualizer().draw(images, make_sample(maps[0]))
    assert picture.shape[1] == 12 + 4 * (256 + 12)
    assert picture.shape[0] < 256
    without_label = ChangeVisualizer().draw(
        images, make_sample(*maps), draw_gt=False, draw_pred=False)
    assert without_label.shape[1] == 12 + 3 * (256 + 12)


def test_prediction_without_label_has_no_errors(images, maps):
    picture = ChangeVisualizer().draw(images, make_sample(None, maps[1]))
    for color in (MISS, FALSE_ALARM):
        assert not (panel_at(picture, 1, 0) == color).all(-1).any()


@pytest.mark.parametrize('size, side', [(16, 256), (300, 300), (1000, 512)])
def test_size_of_panels(size, side):
    image = np.zeros((size, size, 3), np.uint8)
    picture = ChangeVisualizer().draw([image])
    assert picture.shape[1] == 12 + side + 12
    picture = ChangeVisualizer(panel_size=64).draw([image])
    assert picture.shape[1] == 12 + 64 + 12


def test_sheet_says_titles_once(images, maps):
    visualizer = ChangeVisualizer()
    row = (images, make_sample(*maps))
    sheet = visualizer.draw_sheet([row, row])
    alone = visualizer.draw_sheet([row])
    assert sheet.shape[1] == alone.shape[1] == 12 + 6 * (256 + 12)
    head = round(1.9 * 256 / 19)
    assert (sheet[:head, :268] < 200).any()
    assert (sheet[head + 171 + 2:2 * head + 171 - 2, :268] == 255).all()


def test_palette_of_the_data_set(images, maps):
    visualizer = ChangeVisualizer()
    visualizer.dataset_meta = dict(palette=[[10, 20, 30], [40, 50, 60]])
    picture = visualizer.draw(images, make_sample(*maps))
    assert panel_at(picture, 1, 1)[60, 100].tolist() == [40, 50, 60]


def test_out_file(tmp_path, images, maps):
    path = tmp_path / 'new' / 'picture.png'
    visualizer = ChangeVisualizer()
    sample = make_sample(*maps)
    visualizer.add_datasample('tile', images, sample, out_file=str(path))
    written = cv2.imread(str(path))[..., ::-1]
    assert np.array_equal(written, visualizer.draw(
        images, sample, caption='tile'))


def test_backends_get_the_picture(tmp_path, images, maps):
    visualizer = VISUALIZERS.build(
        dict(
            type='ChangeVisualizer',
            name=str(tmp_path),
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path)))
    assert isinstance(visualizer, Visualizer)
    visualizer.add_datasample('tile', images, make_sample(*maps), step=7)
    assert (tmp_path / 'vis_data/vis_image/tile_7.png').is_file()


def test_float_prediction_is_drawn(images, maps):
    label, prediction = maps
    bits = make_sample(label, prediction)
    bits.pred_sem_seg.data = bits.pred_sem_seg.data.bfloat16()
    visualizer = ChangeVisualizer()
    assert np.array_equal(
        visualizer.draw(images, bits),
        visualizer.draw(images, make_sample(*maps)))


def test_tiny_panels_are_refused():
    with pytest.raises(ValueError, match='panel_size=3'):
        ChangeVisualizer(panel_size=3)
