"""labelme2mask.py and mask2labelme.py: there, back, and what they refuse."""
import json

import cv2
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from running import run_tool
from scenes.conftest import write
from scipy import ndimage

TOOLS = ('labelme2mask', 'mask2labelme')
SHAPE = (120, 90)


@pytest.fixture
def call(monkeypatch):

    def run(tool, *arguments):
        return run_tool(monkeypatch, f'tools/dataset_converters/{tool}.py',
                        *arguments)

    return run


def noise(seed):
    rng = np.random.default_rng(seed)
    return ndimage.uniform_filter(rng.random(SHAPE), 5) > 0.5


def make(root, names=('x', ), crs='EPSG:32633', folder=''):
    for index, name in enumerate(names):
        for key in 'AB':
            target = root / folder / key
            target.mkdir(parents=True, exist_ok=True)
            write(target / f'{name}.tif', np.ones((3, *SHAPE), np.uint8),
                  crs=crs)
        label = root / folder / 'label'
        label.mkdir(exist_ok=True)
        cv2.imwrite(str(label / f'{name}.png'), np.uint8(255) * noise(index))
    return root


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize('tool', TOOLS)
def test_help(call, capsys, tool):
    assert call(tool, '--help') is None
    assert '--dry-run' in capsys.readouterr().out


def test_there_and_back(call, tmp_path):
    """Exactly, with holes, in the folders of a data set with splits."""
    root = make(tmp_path, ('x', 'y'), folder='train')
    make(tmp_path, folder='test')
    assert call('mask2labelme', root) is None
    stored = json.loads((root / 'annotations/train/y.json').read_text())
    assert stored['imagePath'] == '../../train/A/y.tif'
    assert stored['flags']['done']
    assert any(len(shape['rings']) > 1 for shape in stored['shapes'])
    assert call('labelme2mask', root, '--out', tmp_path / 'out') is None
    for name in ('train/x', 'train/y', 'test/x'):
        split, stem = name.split('/')
        np.testing.assert_array_equal(
            read(tmp_path / f'out/{name}.png'),
            read(root / split / 'label' / f'{stem}.png'))


def test_labels_are_not_replaced_unasked(call, tmp_path):
    root = make(tmp_path)
    assert call('mask2labelme', root) is None
    before = read(root / 'label/x.png')
    assert '--force replaces' in call('labelme2mask', root)
    assert '--force replaces' in call('mask2labelme', root)
    path = root / 'annotations/x.json'
    data = json.loads(path.read_text())
    data['shapes'] = data['shapes'][:1]
    path.write_text(json.dumps(data))
    assert call('labelme2mask', root, '--force', '--dry-run') is None
    np.testing.assert_array_equal(read(root / 'label/x.png'), before)
    assert call('labelme2mask', root, '--force') is None
    after = read(root / 'label/x.png')
    assert 0 < (after == 255).sum() < (before == 255).sum()
    assert call('mask2labelme', root, '--force', '--dry-run') is None
    assert json.loads(path.read_text()) == data
    assert sorted(path.name for path in (root / 'label').iterdir()) == [
        'x.png']


def test_states(call, tmp_path):
    root = make(tmp_path, ('x', 'y', 'z'))
    assert call('mask2labelme', root, '--state', 'draft') is None
    out = ('--out', tmp_path / 'out')
    assert '3 in another; --states' in call('labelme2mask', root, *out)
    # labelme alone says nothing of a state.
    path = root / 'annotations/y.json'
    data = json.loads(path.read_text())
    data['flags'] = {}
    path.write_text(json.dumps(data))
    (root / 'annotations/z.json').unlink()
    assert call('labelme2mask', root, *out) is None
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['y.png']
    assert call('labelme2mask', root, *out, '--force', '--states', 'done',
                'draft') is None
    assert len(list((tmp_path / 'out').iterdir())) == 2


def test_classes(call, tmp_path):
    root = make(tmp_path)
    values = np.uint8(noise(0)) + 2 * np.uint8(noise(1) & ~noise(0))
    cv2.imwrite(str(root / 'label/x.png'), values)
    assert 'has the values [0, 1, 2], expected 0 and 1' in call(
        'mask2labelme', root)
    names = ('--classes', 'built', 'cut')
    assert call('mask2labelme', root, *names) is None
    assert "class 'built', expected one of changed" in call(
        'labelme2mask', root, '--out', tmp_path / 'out')
    assert call('labelme2mask', root, '--out', tmp_path / 'out', *names
                ) is None
    np.testing.assert_array_equal(read(tmp_path / 'out/x.png'), values)


def test_unknown_pixels(call, tmp_path):
    root = make(tmp_path)
    values = np.uint8(noise(0))
    values[:40] = 255
    cv2.imwrite(str(root / 'label/x.png'), values)
    assert '--ignore-255' in call('mask2labelme', root)
    assert call('mask2labelme', root, '--ignore-255') is None
    assert call('labelme2mask', root, '--force') is None
    values[:40] = 0
    np.testing.assert_array_equal(read(root / 'label/x.png'), 255 * values)


def test_small_regions_and_fewer_vertices(call, tmp_path):
    root = make(tmp_path)

    def count(*options):
        assert call('mask2labelme', root, '--force', *options) is None
        data = json.loads((root / 'annotations/x.json').read_text())
        return len(data['shapes']), sum(
            len(shape['points']) for shape in data['shapes'])

    every, fewer, simple = (count(), count('--min-area', 30),
                            count('--simplify', 1))
    assert 0 < fewer[0] < every[0] and simple[1] < every[1] / 2
    assert 'expected 0 or positive' in call('mask2labelme', root,
                                            '--min-area', -1)


def test_geotiff_keeps_its_place(call, tmp_path):
    root = make(tmp_path)
    assert call('mask2labelme', root) is None
    assert call('labelme2mask', root, '--format', 'tif', '--out',
                tmp_path / 'out') is None
    with rasterio.open(tmp_path / 'out/x.tif') as found, rasterio.open(
            root / 'A/x.tif') as image:
        assert (found.crs, found.transform) == (image.crs, image.transform)
        np.testing.assert_array_equal(found.read(1), 255 * noise(0))
    # The label of another grid is put on that of A: half of it is beside.
    moved = from_origin(500000 + 45 * 10, 5400000, 10, 10)
    write(root / 'label/x.tif', np.uint8(noise(1)), moved)
    (root / 'label/x.png').unlink()
    assert call('mask2labelme', root, '--force') is None
    assert call('labelme2mask', root, '--out', tmp_path / 'back') is None
    expected = np.zeros(SHAPE, np.uint8)
    expected[:, 45:] = 255 * noise(1)[:, :45]
    np.testing.assert_array_equal(read(tmp_path / 'back/x.png'), expected)


@pytest.mark.parametrize('kind', ['gpkg', 'geojson'])
def test_vectors_and_back(call, tmp_path, kind):
    root = make(tmp_path)
    assert call('mask2labelme', root) is None
    assert call('labelme2mask', root, '--format', kind, '--out',
                tmp_path / 'out') is None
    path = tmp_path / f'out/x.{kind}'
    info, _, geometry, fields = pyogrio.raw.read(path)
    assert info['crs'] == ('EPSG:32633' if kind == 'gpkg' else 'EPSG:4326')
    columns = dict(zip(info['fields'], fields))
    assert set(columns['label']) == {'changed'}
    # Pixels are of 100 square meters on the map, and a little less or more
    # on the ground.
    assert columns['area_m2'].sum() == pytest.approx(
        noise(0).sum() * 100, rel=2e-3)
    if kind == 'gpkg':
        outlines = shapely.from_wkb(geometry)
        assert shapely.area(outlines).sum() == noise(0).sum() * 100
        assert shapely.total_bounds(outlines)[0] >= 500000
    (root / 'annotations/x.json').unlink()
    assert call('mask2labelme', root, '--labels', tmp_path / 'out',
                '--suffix', f'.{kind}') is None
    assert call('labelme2mask', root, '--force') is None
    back = read(root / 'label/x.png') > 0
    # GeoJSON has seven digits of a degree, a centimeter.
    np.testing.assert_array_equal(back, noise(0))


def test_vectors_without_fields_and_beyond_the_image(call, tmp_path):
    root = make(tmp_path)
    place = shapely.box(499900, 5399900, 500050, 5400100)
    other = shapely.box(500100, 5399000, 500200, 5399990)
    pyogrio.raw.write(
        root / 'label/x.gpkg', geometry=np.array(shapely.to_wkb(
            [place, other]), object), field_data=[], fields=[],
        geometry_type='Polygon', crs='EPSG:32633', driver='GPKG')
    assert 'are both labels of x; --suffix' in call('mask2labelme', root)
    assert call('mask2labelme', root, '--suffix', '.gpkg') is None
    assert call('labelme2mask', root, '--force') is None
    expected = np.zeros(SHAPE, np.uint8)
    expected[:10, :5] = 255
    expected[1:100, 10:20] = 255
    np.testing.assert_array_equal(read(root / 'label/x.png'), expected)


def test_refused(call, tmp_path):
    root = make(tmp_path, crs=None)
    assert 'no annotation in the state done, 0 in' in call(
        'labelme2mask', root)
    assert call('mask2labelme', root) is None
    assert 'has no CRS' in call('labelme2mask', root, '--format', 'gpkg')
    (root / 'label/x.png').rename(root / 'label/other.png')
    assert 'no label of any of 1 pairs' in call('mask2labelme', root)
    cv2.imwrite(str(root / 'label/x.png'), np.zeros((5, 6), np.uint8))
    assert 'has 5 x 6 pixels, expected 120 x 90' in call(
        'mask2labelme', root, '--force')
    (root / 'label/x.png').write_text('no image')
    assert 'x.png cannot be read' in call('mask2labelme', root, '--force')
    (root / 'label/x.gpkg').write_text('no file')
    assert 'x.gpkg: its image has no CRS' in call(
        'mask2labelme', root, '--force', '--suffix', '.gpkg')
    assert 'no such folder or list' in call('mask2labelme', root / 'gone')
