"""Drafts: what the model saw, as polygons, while the page goes on."""
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from annotation.conftest import SIZE, make_client, make_root, picture
from rasterio.windows import Window

from opencd_gold.annotation import drafts as drafts_module
from opencd_gold.annotation.drafts import Drafts, LevelMap
from opencd_gold.annotation.errors import (
    AnnotationError,
    Conflict,
    NotFound,
)
from opencd_gold.annotation.geometry import burn
from opencd_gold.annotation.imagery import open_pair
from opencd_gold.annotation.project import Project

TILE, OVERLAP = 64, 16


def model(function=None, channels=(3, 1), threshold=0.5):
    """A network whose probability is the first band of A over 255."""

    def backend(pixels):
        if function is not None:
            function(pixels)
        return pixels[:, 0].astype(np.float32) / 255

    return SimpleNamespace(
        backend=backend, threshold=threshold, tile_size=TILE,
        overlap=OVERLAP, spec=SimpleNamespace(channels=channels, name='toy'))


@pytest.fixture
def info(root):
    project = Project.open(root)
    return open_pair(project.pairs[0], {})


@pytest.fixture
def start(info, tmp_path):
    made = []

    def begin(inferencer, region=None, wait=True):
        made.append(Drafts(inferencer, tmp_path / 'cache'))
        job = made[-1].start(info, region)
        if wait:
            finish(job)
        return made[-1], job

    yield begin
    for drafts in made:
        drafts.close()


def finish(job):
    end = time.monotonic() + 20
    while job.state in ('queued', 'running'):
        assert time.monotonic() < end
        time.sleep(0.005)


def mask_of(found):
    rings = [shape['rings'] for shape in found['shapes']]
    return burn(rings, [1] * len(rings), Window(0, 0, *SIZE[::-1]))


def seen():
    """What the model of these tests sees in the first pair."""
    return picture(0, 3)[..., 0] / 255


@pytest.mark.parametrize('threshold', [0.4, 0.8])
def test_polygons_of_the_whole_pair(start, threshold):
    _, job = start(model())
    assert (job.state, job.progress, job.error) == ('done', 1, None)
    found = job.shapes('changed', threshold, 0, simplify=0)
    expected = seen() > threshold
    # Probabilities are stored in steps of 1 / 254.
    clear = np.abs(seen() - threshold) > 0.005
    np.testing.assert_array_equal(mask_of(found)[clear], expected[clear])
    assert found['found'] == len(found['shapes']) > 3
    for shape in found['shapes'][:3]:
        inside = burn([shape['rings']], [1], Window(0, 0, *SIZE[::-1])) > 0
        assert shape['probability'] == pytest.approx(seen()[inside].mean(),
                                                     abs=0.005)
        assert shape['label'] == 'changed' and shape['source'] == 'model'


def test_threshold_area_and_simplification(start):
    _, job = start(model())
    every = job.shapes('changed', 0.7, 0)['shapes']
    # Pixels are of 100 square meters.
    large = job.shapes('changed', 0.7, 100 * 100)['shapes']
    assert 0 < len(large) < len(every)
    assert job.shapes('changed', 0.7, 0, limit=2)['found'] == len(every)
    assert job.shapes('changed', 0.7, 0, limit=2)['shapes'][0][
        'rings'] == every[0]['rings']
    rough, fine = (sum(len(ring) for shape in job.shapes(
        'changed', 0.7, 0, simplify)['shapes'] for ring in shape['rings'])
        for simplify in (1, 0))
    assert rough < fine / 2
    assert job.shapes('changed', 1, 0) == dict(shapes=[], found=0)


def test_region(start):
    """Alike to the whole pair, as what lies around is predicted, too."""
    _, job = start(model(), (99.5, 50, 260.2, 900))
    assert job.region == (99, 50, 261, 300)
    found = mask_of(job.shapes('changed', 0.6, 0, simplify=0))
    expected = seen() > 0.6
    clear = np.abs(seen() - 0.6) > 0.005
    inside = np.zeros(SIZE, bool)
    inside[50:300, 99:261] = True
    np.testing.assert_array_equal(found[clear & inside],
                                  expected[clear & inside])
    assert not found[~inside].any()


def test_cancel_while_running(start):
    reached, goes_on = threading.Event(), threading.Event()

    def slow(_):
        reached.set()
        assert goes_on.wait(20)

    drafts, job = start(model(slow), wait=False)
    assert reached.wait(20)
    waiting = drafts.start(job.info)
    assert waiting.state == 'queued' and job.state == 'running'
    with pytest.raises(Conflict, match='is running'):
        job.shapes('changed', 0.5, 0)
    assert drafts.cancel(waiting.key).state == 'cancelled'
    drafts.cancel(job.key)
    goes_on.set()
    finish(job)
    assert job.state == 'cancelled' and not job.path.exists()
    again = drafts.start(job.info)
    finish(again)
    assert again.state == 'done' and waiting.state == 'cancelled'


def test_progress(start):
    found = []

    def note(_):
        found.append(job_of[0].progress if job_of else 0)

    job_of = []
    drafts, job = start(model(note), wait=False)
    job_of.append(job)
    finish(job)
    assert found == sorted(found) and 0.5 < found[-1] < 1


def test_failure_is_told(start):

    def fail(_):
        raise RuntimeError('out of memory')

    _, job = start(model(fail))
    assert (job.state, job.error) == ('failed', 'out of memory')
    _, job = start(model(channels=(3, 3)))
    assert job.state == 'failed' and 'has 1 bands, expected 3' in job.error


def test_old_jobs_are_forgotten(start):
    drafts, first = start(model(), (0, 0, 20, 20))
    assert first.path.stat().st_size == 400
    for _ in range(drafts_module._KEPT + 1):
        finish(drafts.start(first.info, (0, 0, 20, 20)))
    with pytest.raises(NotFound, match='long ago'):
        drafts.get(first.key)
    assert not first.path.exists()
    drafts.close()
    assert not list(first.path.parent.parent.iterdir())


def test_wrong_jobs(start, info):
    drafts, job = start(model(), (0, 0, 20, 20))
    for region in ((10, 10, 10, 20), (500, 0, 600, 10), (20, 0, 10, 9)):
        with pytest.raises(AnnotationError, match='expected a part of'):
            drafts.start(info, region)
    for numbers in ((1.5, 0), (0.5, -1), (0.5, 0, -1)):
        with pytest.raises(AnnotationError, match='threshold'):
            job.shapes('changed', *numbers)


def test_images_without_georeference(tmp_path):
    """Pictures as they are in the public sets."""
    import cv2
    root = tmp_path / 'pictures'
    for index, folder in enumerate('AB'):
        (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / folder / 'x.png'), picture(
            10 * index, 3)[..., ::-1])
    project = Project.open(root)
    info = open_pair(project.pairs[0], {})
    assert info.by_pixels and info.describe()['area_unit'] == 'px'
    drafts = Drafts(model(channels=(3, 3)), tmp_path / 'cache')
    job = drafts.start(info)
    finish(job)
    assert job.state == 'done', job.error
    found = mask_of(job.shapes('changed', 0.6, 0, simplify=0))
    assert (found == (seen() > 0.6)).mean() > 0.99
    drafts.close()


def test_blocks_that_hold_nothing_are_not_read(tmp_path):
    levels = LevelMap(tmp_path / 'levels', (1200, 1100))
    content = np.zeros((40, 50), np.uint8)
    content[:10, :10] = 200
    content[20:, 20:] = 255
    levels.write(500, 500, content)
    assert levels.highest.tolist() == [[200, 0, 0], [0, 0, 0], [0, 0, 0]]
    content[12:14, 12:14] = 100
    levels.write(500, 500, content)
    assert levels.highest[1, 1] == 100
    found = list(levels.regions(0.5))
    assert [region.pixels for region in found] == [100]
    assert [region.pixels for region in levels.regions(0.3)] == [100, 4]


def test_through_the_server(tmp_path):
    project = Project.open(make_root(tmp_path / 'data'))
    with make_client(project, model(threshold=0.6)) as client:
        found = client.get('/api/project').json()
        assert found['model'] == dict(name='toy', threshold=0.6)
        pair = found['pairs'][0]['id']
        job = client.post(f'/api/pairs/{pair}/drafts',
                          json=dict(region=[0, 0, 200, 200])).json()['job']
        end = time.monotonic() + 20
        while time.monotonic() < end:
            state = client.get(f'/api/drafts/{job}').json()
            if state['state'] == 'done':
                break
            assert client.get(f'/api/pairs/{pair}').status_code == 200
        assert state == dict(job=job, state='done', progress=1, error=None,
                             pair=pair, region=[0, 0, 200, 200])
        by_default, lower = (
            client.get(f'/api/drafts/{job}/shapes', params=params).json()
            for params in ({}, dict(threshold=0.5, min_area=20)))
        areas = [mask_of(answer).sum() for answer in (by_default, lower)]
        assert 0 < areas[0] < areas[1]
        answer = client.get(f'/api/drafts/{job}/shapes?threshold=2')
        assert answer.status_code == 422
        assert client.delete(f'/api/drafts/{job}').json()['state'] == 'done'
    assert list((tmp_path / 'data/annotations/.cache').iterdir()) == []
