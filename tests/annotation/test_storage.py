"""Nothing is lost: files of labelme, versions, leases."""
import base64
import io
import json
import os

import numpy as np
import pytest
from annotation.conftest import make_root
from PIL import Image

from opencd_gold.annotation.errors import AnnotationError, Conflict, Locked
from opencd_gold.annotation.geometry import to_geometry
from opencd_gold.annotation.labelme import (
    Document,
    Shape,
    parse,
    serialize,
)
from opencd_gold.annotation.project import Project
from opencd_gold.annotation.storage import LEASE, Storage, version_of

RINGS = [[[10., 10.], [50., 10.], [50., 40.], [10., 40.]],
         [[20., 20.], [20., 30.], [30., 30.], [30., 20.]]]


class Clock:
    now = 0.

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def storage(root, clock):
    return Storage(Project.open(root), clock)


@pytest.fixture
def pair(storage):
    return storage.project.pairs[0]


def shapes(*labels, rings=RINGS):
    return [Shape(label, rings, id=f's{index}')
            for index, label in enumerate(labels)]


def save(storage, pair, drawn, base=0, window='w', state='draft', notes=''):
    return storage.save(pair, window, base, state, notes, drawn, 400, 300)


def read(storage, pair):
    return json.loads(storage.project.document(pair).read_text())


def rewrite(storage, pair, change):
    """What another program does to the file."""
    path = storage.project.document(pair)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_nothing_drawn_yet(storage, pair):
    document, version = storage.load(pair)
    assert (document.shapes, document.state, version) == ([], 'todo', 0)
    assert storage.summary(pair) == ('todo', 0)
    assert not storage.project.annotations.exists()


def test_file_is_what_labelme_expects(storage, pair):
    drawn = [Shape('changed', RINGS, 'a', 'model', 0.75)]
    save(storage, pair, drawn, notes='clouds in the north', state='done')
    data = read(storage, pair)
    assert data['imagePath'] == '../A/one.tif' and data['imageData'] is None
    assert (data['imageHeight'], data['imageWidth']) == (300, 400)
    assert data['flags'] == dict(draft=False, done=True)
    shape, = data['shapes']
    assert shape == dict(
        label='changed', shape_type='polygon', group_id=None, flags={},
        description='', id='a', source='model', probability=0.75,
        rings=RINGS, points=[
            [10, 10], [50, 10], [50, 40], [10, 40], [10, 20], [20, 20],
            [20, 30], [30, 30], [30, 20], [20, 20], [10, 20]])
    document, version = storage.load(pair)
    assert document.shapes[0].describe() == drawn[0].describe()
    assert document.notes == 'clouds in the north'
    assert storage.summary(pair) == ('done', 1)
    assert version == version_of(
        storage.project.document(pair).read_bytes()) < 2**53


def test_only_complete_files(storage, pair, monkeypatch):
    version = save(storage, pair, shapes('changed'))
    before = read(storage, pair)

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(AnnotationError, match='was not stored: .*disk full'):
        save(storage, pair, [], version)
    assert read(storage, pair) == before
    folder = storage.project.annotations
    assert sorted(path.name for path in folder.iterdir()) == [
        '.cache', 'one.json']


def test_stale_version(storage, pair):
    first = save(storage, pair, shapes('changed'))
    second = save(storage, pair, shapes('changed', 'changed'), first)
    with pytest.raises(Conflict, match='changed by somebody else') as error:
        save(storage, pair, [], first)
    assert error.value.details == dict(version=second)
    assert len(read(storage, pair)['shapes']) == 2


def test_changed_by_labelme(storage, pair):
    """The rings no longer give the points, so the points count."""
    version = save(storage, pair, shapes('changed', 'changed'))

    def move(data):
        data['shapes'][0]['points'][0] = [0, 0]
        data['flags']['done'] = True

    rewrite(storage, pair, move)
    document, now = storage.load(pair)
    assert now != version and document.state == 'done'
    moved, same = document.shapes
    assert same.rings == RINGS and moved.id == 's0'
    outline, hole = moved.rings
    assert [0, 0] in outline and [10, 10] not in outline
    assert sorted(hole) == sorted(RINGS[1])
    with pytest.raises(Conflict):
        save(storage, pair, [], version)
    save(storage, pair, document.shapes, now)


def test_what_is_not_known_is_kept(storage, pair):
    version = save(storage, pair, shapes('changed'))

    def add(data):
        data['made_by'] = 'someone'
        data['flags']['cloudy'] = True
        data['shapes'][0].update(group_id=7, flags={'sure': True})
        data['shapes'].append(dict(
            label='mark', points=[[1, 2]], shape_type='point', flags={}))

    rewrite(storage, pair, add)
    document, version = storage.load(pair)
    save(storage, pair, [*document.shapes, Shape('changed', RINGS, 'new')],
         version)
    data = read(storage, pair)
    assert data['made_by'] == 'someone' and data['flags']['cloudy']
    assert data['shapes'][0]['group_id'] == 7
    assert data['shapes'][0]['flags'] == {'sure': True}
    assert data['shapes'][1]['group_id'] is None
    assert data['shapes'][2] == dict(
        label='mark', points=[[1, 2]], shape_type='point', flags={})


def test_file_of_labelme_alone(storage, pair):
    path = storage.project.document(pair)
    path.parent.mkdir()
    path.write_text(json.dumps(dict(
        version='4.5.6', flags={}, imagePath='x.tif', imageData='aGk=',
        shapes=[
            dict(label='changed', points=[[1, 1], [5, 7]],
                 shape_type='rectangle'),
            dict(label='changed', points=[[50, 50], [60, 50]],
                 shape_type='circle'),
            dict(label='changed', points=[[0, 0], [9, 0], [9, 9]]),
            dict(label='changed', points=[[0, 0], [9, 0], [9, 9]]),
            dict(label='river', points=[[0, 0], [9, 9], [9, 0]],
                 shape_type='linestrip')])))
    document, version = storage.load(pair)
    assert document.state == 'draft' and len(document.others) == 1
    assert sorted(document.shapes[0].rings[0]) == [
        [1, 1], [1, 7], [5, 1], [5, 7]]
    radii = {((x - 50)**2 + (y - 50)**2)**.5
             for x, y in document.shapes[1].rings[0]}
    assert min(radii) == pytest.approx(max(radii)) == pytest.approx(10)
    ids = [shape.id for shape in document.shapes]
    assert len(set(ids)) == 4 and all(ids)
    assert [shape.id for shape in storage.load(pair)[0].shapes] == ids
    save(storage, pair, document.shapes, version)
    data = read(storage, pair)
    assert data['version'] == '4.5.6' and data['imageData'] is None
    assert [shape['label'] for shape in data['shapes']] == [
        'changed'] * 4 + ['river']


def test_odd_values_of_a_file(storage, pair):
    version = save(storage, pair, shapes('changed'))
    rewrite(storage, pair, lambda data: data['shapes'][0].update(
        id='x' * 101, probability=float('nan'), source='ghost', weight=7))
    document, now = storage.load(pair)
    shape, = document.shapes
    assert now != version and 0 < len(shape.id) <= 100
    assert (shape.probability, shape.source) == (None, 'person')
    save(storage, pair, document.shapes, now)
    assert read(storage, pair)['shapes'][0]['weight'] == 7


def test_mask_of_labelme(tmp_path):
    """As its segmentation makes them: a picture and where it lies."""
    mask = np.zeros((6, 8), bool)
    mask[1:, 2:] = True
    mask[3, 4] = False
    content = io.BytesIO()
    Image.fromarray(mask).save(content, 'PNG')
    raw = dict(label='changed', shape_type='mask', flags={}, points=[
        [20., 30.], [27., 35.]],
        mask=base64.b64encode(content.getvalue()).decode())
    document = parse(json.dumps(dict(shapes=[raw])).encode(), tmp_path)
    shape, = document.shapes
    assert to_geometry(shape.rings).area == mask.sum() == 29
    assert to_geometry(shape.rings).bounds == (22, 31, 28, 36)
    assert shape.extra == dict(flags={}) and not document.others


@pytest.mark.parametrize('content, error', [
    (b'{"shapes": [', 'is no annotation of labelme'),
    (b'[]', 'is no annotation of labelme'), (b'', 'is no annotation'),
    (b'{"shapes": [{"label": "x"}]}', r'shapes\[0\] cannot be read'),
    (b'{"shapes": [{"label": "x", "points": [[0, 0], [1, NaN], [2, 2]]}]}',
     'not finite')])
def test_damaged_file_is_not_replaced(storage, pair, content, error):
    path = storage.project.document(pair)
    path.parent.mkdir()
    path.write_bytes(content)
    for call in (lambda: storage.load(pair), lambda: storage.summary(pair),
                 lambda: save(storage, pair, [])):
        with pytest.raises(AnnotationError, match=error):
            call()
    assert path.read_bytes() == content


def test_leases(storage, pair, clock):
    storage.lease(pair, 'first')
    with pytest.raises(Locked, match='open in another window'):
        storage.lease(pair, 'second')
    with pytest.raises(Locked):
        save(storage, pair, shapes('changed'), window='second')
    assert not storage.project.annotations.exists()
    clock.now = LEASE - 1
    storage.lease(pair, 'first')
    clock.now = 2 * LEASE - 2
    with pytest.raises(Locked):
        storage.lease(pair, 'second')
    clock.now = 2 * LEASE
    storage.lease(pair, 'second')
    storage.lease(pair, 'first', take=True)
    with pytest.raises(Locked):
        storage.lease(pair, 'second')
    storage.release(pair, 'second')
    with pytest.raises(Locked):
        storage.lease(pair, 'second')
    storage.release(pair, 'first')
    storage.lease(pair, 'second')
    # The other pair is nobody's.
    storage.lease(storage.project.pairs[1], 'third')


def test_a_window_that_slept_may_save(storage, pair, clock):
    version = save(storage, pair, shapes('changed'), window='first')
    clock.now = 10 * LEASE
    save(storage, pair, [], version, window='first')


def test_wrong_documents(storage, pair):
    with pytest.raises(AnnotationError, match="state 'finished'"):
        save(storage, pair, [], state='finished')
    with pytest.raises(AnnotationError, match='expected an id for each'):
        save(storage, pair, [Shape('changed', RINGS)])
    with pytest.raises(AnnotationError, match='each another'):
        save(storage, pair, shapes('changed') * 2)
    with pytest.raises(AnnotationError, match='window'):
        storage.lease(pair, '')


def test_annotations_out_of_the_root(storage, pair, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    storage.project.annotations.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(AnnotationError, match='outside of'):
        save(storage, pair, shapes('changed'))
    assert not list((tmp_path / 'elsewhere').iterdir())


def test_two_servers(storage, pair):
    """Of two that know the same version, one stores."""
    other = Storage(storage.project)
    version = save(storage, pair, shapes('changed'))
    save(other, pair, shapes('changed'), version, notes='other')
    with pytest.raises(Conflict):
        save(storage, pair, [], version)


def test_outline_that_crosses_itself(tmp_path):
    path = tmp_path / 'x.json'
    content = json.dumps(dict(shapes=[dict(
        label='changed', id='bow', group_id=3,
        points=[[0, 0], [10, 10], [10, 0], [0, 10]])])).encode()
    document = parse(content, path)
    assert [shape.id for shape in document.shapes][0] == 'bow'
    assert len(document.shapes) == 2
    assert all(shape.extra == dict(group_id=3) for shape in document.shapes)
    again = parse(serialize(document, path, tmp_path / 'a.tif', 9, 9), path)
    assert [shape.describe() for shape in again.shapes] == [
        shape.describe() for shape in document.shapes]


def test_splits_have_folders(tmp_path):
    root = tmp_path / 'data'
    make_root(root / 'train', ['one'], ('A', 'B'))
    storage = Storage(Project.open(root))
    pair, = storage.project.pairs
    save(storage, pair, shapes('changed'))
    assert read(storage, pair)['imagePath'] == '../../train/A/one.tif'
    assert isinstance(storage.load(pair)[0], Document)
