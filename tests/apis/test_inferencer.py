"""Pairs of arrays, pictures and rasters; models by whatever names them."""
import cv2
import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from rasterio.transform import from_origin
from tiny import write_checkpoint, write_config

from opencd_gold.apis import ChangeInferencer, init_model
from opencd_gold.apis.backends import Ensemble, change_probability
from opencd_gold.scenes.grid import SceneError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    write_config(folder)
    for seed in range(2):
        write_checkpoint(folder, seed, name=f'tiny{seed}.pth')
    return folder


@pytest.fixture(scope='module')
def inferencer(folder):
    return ChangeInferencer(folder / 'tiny0.pth', device='cpu')


@pytest.fixture(scope='module')
def images():
    """Two pairs that differ."""
    rng = np.random.default_rng(0)
    blobs = [cv2.resize(rng.random((8, 9)), (72, 64)) for _ in range(4)]
    gray = [np.uint8(255 * blob) for blob in blobs]
    return [(np.stack([gray[0], gray[1], gray[2]], -1), gray[3]),
            (np.stack([gray[3], gray[0], gray[1]], -1), gray[2])]


def reference(folder, name, first, second):
    """Probability by mmseg's own way: the model's test_step."""
    model = init_model(folder / 'tiny.py', folder / name)
    second = second[..., None] if second.ndim == 2 else second
    pixels = torch.from_numpy(
        np.concatenate([first, second], 2).transpose(2, 0, 1).copy())
    with torch.no_grad():
        sample, = model.test_step(dict(inputs=[pixels], data_samples=None))
    return sample.seg_logits.data.softmax(0)[1].numpy()


def close(found, expected, atol=1e-4):
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, atol=atol)


def test_one_pair_of_arrays(inferencer, folder, images):
    result = inferencer(*images[0])
    expected = reference(folder, 'tiny0.pth', *images[0])
    close(result.probability, expected)
    np.testing.assert_array_equal(result.mask, result.probability > 0.5)
    assert 0 < result.statistics['changed_pixels'] < 64 * 72
    assert result.statistics == pytest.approx(dict(
        pixels=64 * 72, valid_pixels=64 * 72,
        changed_pixels=int(result.mask.sum()),
        changed_share=result.mask.mean(),
        mean_probability=expected.mean()), abs=1e-4)


def test_many_pairs_in_batches(folder, images):
    """Another size among them starts another batch; order stays."""
    inferencer = ChangeInferencer(folder / 'tiny0.pth', batch_size=2)
    seen = []
    pairs = [images[0], images[1], images[0],
             tuple(image[:32] for image in images[1]), images[1]]
    results = inferencer(*map(list, zip(*pairs)), advance=seen.append)
    assert seen == [2, 1, 1, 1]
    for pair, result in zip(pairs, results):
        close(result.probability, reference(folder, 'tiny0.pth', *pair))


def test_config_and_weights(folder, images):
    inferencer = ChangeInferencer(folder / 'tiny.py', folder / 'tiny1.pth')
    close(inferencer(*images[0]).probability,
          reference(folder, 'tiny1.pth', *images[0]))
    config = Config.fromfile(folder / 'tiny.py')
    again = ChangeInferencer(config, folder / 'tiny1.pth', fuse=False)
    close(again(*images[0]).probability,
          reference(folder, 'tiny1.pth', *images[0]))
    assert inferencer.spec.digest == again.spec.digest


def test_spec(inferencer):
    spec = inferencer.spec
    assert spec.channels == (3, 1)
    assert spec.mean == ((123., 116., 103.), (111., ))
    assert spec.classes == ('land', 'water')
    assert (spec.tile_size, spec.overlap, spec.threshold) == (512, 128, 0.5)


def test_teacher_is_left_behind(tmp_path):
    """A checkpoint of training with a teacher becomes the student."""
    path = 'configs/gold/gold_r18-light_1xb8-1500_ombria-256x256.py'
    inferencer = ChangeInferencer(
        'gold_r18-light_1xb8-1500_ombria-256x256', fuse=False)
    model = inferencer.backend.members[0].model
    assert type(model).__name__ == 'BitemporalDetector'
    assert not any('teacher' in name for name, _ in model.named_modules())
    assert inferencer.spec.name in path


@pytest.mark.parametrize('name, error, text', [
    ('no_such_model', ValueError, "no model 'no_such_model': expected"),
    ('gone.pth', FileNotFoundError, 'no checkpoint at gone.pth'),
    ('gone.py', FileNotFoundError, 'no config at gone.py'),
    ('gone.onnx', FileNotFoundError, 'no exported model at gone.onnx'),
    ([], ValueError, 'no model given'),
])
def test_no_such_model(name, error, text):
    with pytest.raises(error, match=text):
        ChangeInferencer(name)


def test_checkpoint_without_its_config(folder, tmp_path):
    stored = torch.load(folder / 'tiny0.pth')
    torch.save(dict(state_dict=stored['state_dict']), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='brings no config.*as the model'):
        ChangeInferencer(tmp_path / 'bare.pth')
    ChangeInferencer(folder / 'tiny.py', tmp_path / 'bare.pth')


def test_no_weights_is_said(folder, monkeypatch):
    said = []
    monkeypatch.setattr('opencd_gold.apis.loading.print_log',
                        lambda text, **_: said.append(text))
    ChangeInferencer(folder / 'tiny.py', fuse=False)
    assert said == [f'{folder / "tiny.py"}: no weights given, predicting '
                    'with initial ones']


def test_bgr_models_get_bgr(folder, images, tmp_path):
    """As a pipeline that loads in BGR, for a network without swap."""
    config = write_config(tmp_path, """
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='MultiImgLoadImageFromFile')]))
""")
    result = ChangeInferencer(config, folder / 'tiny0.pth')(*images[0])
    turned = images[0][0][..., ::-1]
    close(result.probability,
          reference(folder, 'tiny0.pth', turned, images[0][1]))


# flips, ensembles ----------------------------------------------------------


def test_flips(folder, images):
    first, second = images[0]
    result = ChangeInferencer(
        folder / 'tiny0.pth', flips=['horizontal', 'vertical',
                                     'diagonal'])(first, second)
    expected = np.mean([
        reference(folder, 'tiny0.pth', first[::y, ::x],
                  second[::y, ::x])[::y, ::x]
        for y in (1, -1) for x in (1, -1)
    ], 0)
    close(result.probability, expected)


def test_ensemble(folder, images, tmp_path):
    each = [reference(folder, f'tiny{i}.pth', *images[0]) for i in range(2)]
    result = ChangeInferencer([folder / 'tiny0.pth', folder / 'tiny1.pth'])
    close(result(*images[0]).probability, np.mean(each, 0))
    same = ChangeInferencer(
        folder / 'tiny.py', [folder / 'tiny0.pth', folder / 'tiny1.pth'])
    assert same.spec.digest == result.spec.digest
    config = folder / 'ensemble.py'
    config.write_text("""
inference = dict(
    members=[dict(model='tiny0.pth', weight=3),
             dict(model='tiny.py', weights='tiny1.pth')],
    flips=['horizontal'])
""")
    weighted = ChangeInferencer(config)
    turned = [reference(folder, f'tiny{i}.pth',
                        *(image[:, ::-1] for image in images[0]))[:, ::-1]
              for i in range(2)]
    close(weighted(*images[0]).probability,
          np.average([each[0], each[1], turned[0], turned[1]], 0,
                     [3, 1, 3, 1]))
    assert weighted.spec.digest != result.spec.digest
    assert len(ChangeInferencer(config, flips=()).backend.flips) == 1


@pytest.mark.parametrize('text, message', [
    ('members=[dict(weights="a.pth")]', r"members\[0\]: found \['weights'\]"),
    ('flip=["horizontal"]', r"inference has \['flip'\]"),
    ('members=[dict(model="tiny0.pth", weight=0)]', 'positive numbers'),
    ('members=[dict(model="tiny0.pth")], flips=["up"]', r"flips \['up'\]"),
])
def test_wrong_inference_in_a_config(folder, text, message):
    config = folder / 'wrong.py'
    config.write_text(f'inference = dict({text})\n')
    with pytest.raises(ValueError, match=message):
        ChangeInferencer(config)


def test_members_of_other_bands(folder, inferencer, tmp_path):
    other = write_config(tmp_path)
    other.write_text(other.read_text().replace('(3, 1, 3)', '(1, 1)').replace(
        '[[123., 116., 103.], 111., [123., 116., 103.]]', '[0., 0.]').replace(
            '[[58., 57., 57.], 50., [58., 57., 57.]]', '[1., 1.]').replace(
                'in_channels=3, **', 'in_channels=1, **'))
    with pytest.raises(ValueError, match=r'has channels \(1, 1\), expected'):
        ChangeInferencer([folder / 'tiny0.pth', other])


@pytest.mark.parametrize('classes', [1, 2, 3])
def test_change_probability(classes):
    logits = torch.randn(2, classes, 4, 5) * 30
    expected = logits[:, 0].sigmoid() if classes == 1 else (
        1 - logits.double().softmax(1)[:, 0])
    np.testing.assert_allclose(change_probability(logits.numpy()), expected,
                               atol=1e-6)


def test_ensemble_refuses_other_bands(inferencer):
    with pytest.raises(ValueError, match=r'found 3 bands, expected 3 \+ 1'):
        Ensemble([inferencer.backend])(np.zeros((1, 3, 8, 8), np.float32))


# input ---------------------------------------------------------------------


def test_pictures(inferencer, images, tmp_path):
    first, second = images[0]
    cv2.imwrite(str(tmp_path / 'a.png'), first[..., ::-1])
    cv2.imwrite(str(tmp_path / 'b.png'), second)
    result = inferencer(tmp_path / 'a.png', str(tmp_path / 'b.png'))
    np.testing.assert_array_equal(result.probability,
                                  inferencer(first, second).probability)
    written = result.save(tmp_path / 'out')
    assert [path.name for path in written] == [
        'a_overlay.png', 'a_probability.png', 'a_mask.png']
    np.testing.assert_array_equal(
        cv2.imread(str(written[2]), cv2.IMREAD_UNCHANGED), 255 * result.mask)
    np.testing.assert_allclose(
        cv2.imread(str(written[1]), cv2.IMREAD_UNCHANGED),
        254 * result.probability, atol=0.5 + 1e-4)
    overlay = cv2.imread(str(written[0]))[..., ::-1]
    assert (overlay[result.mask == 0] == first[result.mask == 0]).all()
    np.testing.assert_allclose(
        overlay[result.mask == 1],
        first[result.mask == 1] / 2 + np.array([213, 94, 0]) / 2, atol=1)


def test_rasters(inferencer, images, tmp_path):
    first, second = images[0]
    for name, image, nodata in (('a', first.transpose(2, 0, 1), None),
                                ('b', second[None], int(second[5, 5]))):
        with rasterio.open(
                tmp_path / f'{name}.tif', 'w', driver='GTiff', width=72,
                height=64, count=len(image), dtype='uint8', nodata=nodata,
                crs='EPSG:32633',
                transform=from_origin(0, 0, 2, 2)) as target:
            target.write(image)
    result = inferencer(tmp_path / 'a.tif', tmp_path / 'b.tif')
    missing = second == second[5, 5]
    np.testing.assert_array_equal(result.mask == 255, missing)
    np.testing.assert_array_equal(np.isnan(result.probability), missing)
    assert result.statistics['changed_area_m2'] == 4 * (
        result.mask == 1).sum()
    paths = result.save(tmp_path / 'out', 'map')
    with rasterio.open(paths[2]) as source:
        assert source.crs == 'EPSG:32633' and source.nodata == 255
        assert source.transform == from_origin(0, 0, 2, 2)
        np.testing.assert_array_equal(source.read(1), result.mask)
    with rasterio.open(paths[1]) as source:
        np.testing.assert_array_equal(source.read(1), result.probability)
    scene = inferencer.predict_scene(
        tmp_path / 'a.tif', tmp_path / 'b.tif', tmp_path / 'scene')
    with rasterio.open(scene.mask) as source:
        np.testing.assert_array_equal(source.read(1), result.mask)
        assert source.tags()['MODEL'] == inferencer.spec.name
    assert scene.statistics['changed_pixels'] == (result.mask == 1).sum()


def test_nan_in_an_array_is_nodata(inferencer, images):
    first, second = images[0][0], images[0][1].astype(np.float32)
    second[3, 4] = np.nan
    result = inferencer(first, second)
    assert np.argwhere(result.mask == 255).tolist() == [[3, 4]]


def test_large_picture_in_tiles(folder, images):
    tiled = ChangeInferencer(folder / 'tiny0.pth', tile_size=48, overlap=16)
    whole = ChangeInferencer(folder / 'tiny0.pth')
    found = tiled(*images[0]).probability
    expected = whole(*images[0]).probability
    assert (found != expected).any()
    assert np.abs(found - expected).mean() < np.abs(
        expected - expected.mean()).mean()


@pytest.mark.parametrize('first, second, text', [
    ((8, 8, 4), (8, 8), r'img_from has the shape \(8, 8, 4\), expected'),
    ((8, 8, 3), (8, 8, 3), r'img_to has the shape .* expected \(H, W, 1\)'),
    ((8, 8, 3), (8, 9), 'img_from is 8 x 8, img_to 8 x 9 .*the same'),
])
def test_wrong_arrays(inferencer, first, second, text):
    with pytest.raises(ValueError, match=text):
        inferencer(np.zeros(first, np.uint8), np.zeros(second, np.uint8))


def test_lists_of_other_length(inferencer, images):
    with pytest.raises(ValueError, match='two lists of the same length'):
        inferencer([images[0][0]], [images[0][1]] * 2)
    with pytest.raises(ValueError, match='two lists of the same length'):
        inferencer([images[0][0]], images[0][1])


def test_wrong_bands_of_a_scene(inferencer, tmp_path):
    for name in 'ab':
        with rasterio.open(
                tmp_path / f'{name}.tif', 'w', driver='GTiff', width=8,
                height=8, count=1, dtype='uint8', crs='EPSG:32633',
                transform=from_origin(0, 0, 2, 2)) as target:
            target.write(np.ones((1, 8, 8), np.uint8))
    with pytest.raises(SceneError, match=r'a\.tif has 1 bands, expected 3'):
        inferencer.predict_scene(tmp_path / 'a.tif', tmp_path / 'b.tif',
                                 tmp_path / 'out')


@pytest.mark.parametrize('option, text', [
    (dict(batch_size=0), 'batch_size 0'), (dict(threshold=2), 'threshold 2')])
def test_wrong_options(folder, option, text):
    with pytest.raises(ValueError, match=text):
        ChangeInferencer(folder / 'tiny0.pth', **option)
