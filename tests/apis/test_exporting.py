"""Exported models compute what torch does, and need no model code."""
import numpy as np
import onnx
import pytest
import torch
from running import ROOT, run_python, run_tool
from tiny import write_checkpoint, write_config

from opencd_gold.apis import ChangeInferencer
from opencd_gold.apis.backends import load_exported
from opencd_gold.apis.exporting import export
from opencd_gold.apis.model_spec import KEY, ModelSpec

KINDS = ('onnx', 'pt2')
# Networks as they are shipped.
SYSTEMS = {
    'gold': 'gold_r18-light_1xb8-1500_ombria-256x256',
    'hetecd': 'hetecd_mit-b0-light_1xb8-1500_ombria-256x256',
    'changer': 'changer-efflite0_1xb8-1500_ombria-ac-256x256',
    'sgsln': 'sgsln_1xb8-1500_ombria-256x256',
    'hrmnet': 'hrmnet_efflite0_1xb8-1500_ombria-256x256',
}


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp('exported')
    checkpoint = write_checkpoint(folder)
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS:
            assert run_tool(
                patch, 'tools/export.py', checkpoint, '--out',
                folder / f'tiny.{kind}', '--tile-size', 64) is None
    return folder


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (3, 90, 75, 3), np.uint8),
            rng.integers(0, 256, (3, 90, 75), np.uint8))


@pytest.mark.parametrize('kind', KINDS)
def test_predicts_what_torch_does(exported, images, kind):
    """On another size and batch than any that was compared in exporting."""
    found = ChangeInferencer(exported / f'tiny.{kind}')(
        *map(list, images))
    expected = ChangeInferencer(exported / 'tiny.pth', fuse=False)(
        *map(list, images))
    for one, other in zip(found, expected):
        assert other.probability.std() > 0.01
        np.testing.assert_allclose(one.probability, other.probability,
                                   atol=1e-4)


@pytest.mark.parametrize('kind', KINDS)
def test_description(exported, kind):
    spec = load_exported(exported / f'tiny.{kind}').spec
    assert spec == ModelSpec(
        name='tiny', channels=(3, 1),
        mean=((123., 116., 103.), (111., )), std=((58., 57., 57.), (50., )),
        classes=('land', 'water'), palette=((0, 0, 0), (0, 0, 255)),
        threshold=0.5, tile_size=64, overlap=16, digest=spec.digest)
    assert spec.digest == ChangeInferencer(
        exported / 'tiny.pth').spec.digest


def test_onnx_has_free_sizes(exported):
    model = onnx.load(exported / 'tiny.onnx')
    onnx.checker.check_model(model)
    for tensor, bands in zip(model.graph.input, (3, 1)):
        axes = tensor.type.tensor_type.shape.dim
        assert [bool(axis.dim_param) for axis in axes] == [True, False, True,
                                                           True]
        assert axes[1].dim_value == bands
    assert [prop.key for prop in model.metadata_props] == [KEY]


def test_runs_without_model_code(exported, tmp_path, images):
    np.savez(tmp_path / 'images.npz', a=images[0][0], b=images[1][0])
    script = tmp_path / 'run.py'
    script.write_text(f"""
import sys
import numpy as np
from opencd_gold.apis import ChangeInferencer
images = np.load({str(tmp_path / 'images.npz')!r})
result = ChangeInferencer({str(exported / 'tiny.onnx')!r}, device='cpu')(
    images['a'], images['b'])
result.save({str(tmp_path / 'out')!r})
print([name for name in sys.modules
       if name.startswith(('opencd_gold.models', 'mmseg.models'))])
""")
    done = run_python(script, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[]'


def test_tool_predicts_a_scene_with_onnx(exported, tmp_path, monkeypatch):
    import rasterio
    from rasterio.transform import from_origin
    rng = np.random.default_rng(1)
    for name, bands in (('a', 3), ('b', 1)):
        with rasterio.open(
                tmp_path / f'{name}.tif', 'w', driver='GTiff', height=100,
                width=90, count=bands, dtype='uint8', crs='EPSG:32633',
                transform=from_origin(0, 0, 1, 1)) as target:
            target.write(rng.integers(0, 256, (bands, 100, 90), np.uint8))
    maps = {}
    for model in ('tiny.onnx', 'tiny.pth'):
        assert run_tool(
            monkeypatch, 'tools/predict.py', tmp_path / 'a.tif',
            tmp_path / 'b.tif', '--model', exported / model, '--out',
            tmp_path / model, '--tile-size', 64, '--quiet', '--device', 'cpu',
            '--flips', 'horizontal') is None
        with rasterio.open(tmp_path / model / 'a_probability.tif') as source:
            maps[model] = source.read(1).astype(int)
    assert np.abs(maps['tiny.onnx'] - maps['tiny.pth']).max() <= 1
    assert maps['tiny.pth'].std() > 1


@pytest.mark.parametrize('name', SYSTEMS.values(), ids=SYSTEMS)
def test_systems(name, tmp_path):
    """As torch.export, whose graph is what ONNX is made of."""
    report = export(name, tmp_path / 'model.pt2',
                    sizes=((1, 64, 96), (2, 128, 64), (3, 75, 101)))
    assert max(report.errors.values()) <= 1e-4


def test_bgr_is_part_of_the_file(exported, tmp_path, images):
    """Exported from a model that wants BGR, a file takes RGB."""
    config = write_config(tmp_path, """
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='MultiImgLoadImageFromFile')]))
""")
    export(config, tmp_path / 'bgr.pt2', exported / 'tiny.pth')
    found = ChangeInferencer(tmp_path / 'bgr.pt2')
    assert found.spec.color_order == 'rgb'
    expected = ChangeInferencer(config, exported / 'tiny.pth')
    np.testing.assert_allclose(
        found(images[0][0], images[1][0]).probability,
        expected(images[0][0], images[1][0]).probability, atol=1e-4)


def test_differing_file_is_not_left(exported, tmp_path, monkeypatch):
    monkeypatch.setattr('opencd_gold.apis.exporting._TOLERANCE', -1.)
    with pytest.raises(ValueError, match='differ from torch by .*nothing'):
        export(exported / 'tiny.pth', tmp_path / 'tiny.pt2')
    assert list(tmp_path.iterdir()) == []


def test_model_that_looks_at_its_data(exported, tmp_path, monkeypatch):
    from opencd_gold.apis.exporting import Deployed
    forward = Deployed.forward

    def branch(self, img_from, img_to):
        if img_from.mean() > 100:
            return forward(self, img_from, img_to)
        return forward(self, img_from + 1, img_to)

    monkeypatch.setattr(Deployed, 'forward', branch)
    with pytest.raises(ValueError, match='tiny cannot be exported: its'):
        export(exported / 'tiny.pth', tmp_path / 'tiny.onnx')
    assert list(tmp_path.iterdir()) == []


def test_model_of_one_batch_size(exported, tmp_path, monkeypatch):
    from opencd_gold.apis.exporting import Deployed
    forward = Deployed.forward

    def fixed(self, img_from, img_to):
        return forward(self, img_from + 0 * int(img_from.shape[0]), img_to)

    monkeypatch.setattr(Deployed, 'forward', fixed)
    with pytest.raises(ValueError, match='fixes the batch of img_from'):
        export(exported / 'tiny.pth', tmp_path / 'tiny.pt2')


@pytest.mark.parametrize('content, text', [
    (b'nonsense', 'cannot be'), (None, 'has no (metadata|extra file) ')])
@pytest.mark.parametrize('kind', KINDS)
def test_other_files(tmp_path, kind, content, text):
    path = tmp_path / f'other.{kind}'
    if content is not None:
        path.write_bytes(content)
    elif kind == 'onnx':
        node = onnx.helper.make_node('Identity', ['x'], ['y'])
        x, y = (onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, [1]) for name in 'xy')
        onnx.save(onnx.helper.make_model(
            onnx.helper.make_graph([node], 'g', [x], [y]), ir_version=10,
            opset_imports=[onnx.helper.make_opsetid('', 20)]), path)
    else:
        torch.export.save(
            torch.export.export(torch.nn.ReLU(), (torch.ones(2), )), path)
    with pytest.raises(ValueError, match=rf'other\.{kind}.?.*{text}'):
        ChangeInferencer(path)


def test_description_of_another_version(tmp_path):
    with pytest.raises(ValueError, match='version 99 .*expected 1'):
        ModelSpec.from_json('{"version": 99}', 'a.onnx')
    with pytest.raises(ValueError, match='is no description'):
        ModelSpec.from_json('{"version": 1, "colour": 2}', 'a.onnx')


@pytest.mark.parametrize('model, out, text', [
    ('tiny.pth', 'tiny.xml', 'expected one of the suffixes'),
    ('tiny.onnx', 'again.onnx', 'not exported yet'),
    ('gone.pth', 'tiny.onnx', 'no checkpoint at')])
def test_tool_refuses(exported, tmp_path, monkeypatch, model, out, text):
    message = run_tool(monkeypatch, 'tools/export.py', exported / model,
                       '--out', tmp_path / out)
    assert message.startswith('error: ') and text in message
