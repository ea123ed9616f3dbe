"""The server: what the page gets, and what nobody else gets."""
import json

import cv2
import numpy as np
import pytest
from annotation.conftest import SIZE, TOKEN, make_client, picture

from opencd_gold.annotation.server import PAGE, create_app, names_of

RINGS = [[[10, 10], [50, 10], [50, 40], [10, 40]]]
SHAPE = dict(id='a', label='changed', rings=RINGS, source='person',
             probability=None)


def document(base=0, window='w', shapes=(SHAPE, ), **others):
    return dict(dict(window=window, base_version=base, state='draft',
                     notes='', shapes=list(shapes)), **others)


def refused(answer, status, text):
    assert answer.status_code == status, answer.text
    assert text in answer.json()['error']


def test_project(client):
    found = client.get('/api/project').json()
    assert found['name'] == 'data' and found['model'] is None
    assert found['classes'] == [
        dict(name='changed', color='#d55e00'),
        dict(name='flooded', color='#0072b2')]
    assert [(pair['name'], pair['state'], pair['shapes'])
            for pair in found['pairs']] == [('one', 'todo', 0),
                                            ('two', 'todo', 0)]
    assert found['progress'] == dict(todo=2, draft=0, done=0)


def test_pair(client, pair):
    found = client.get(pair).json()
    assert (found['width'], found['height']) == SIZE[::-1]
    assert found['crs'] == 'EPSG:32633' and found['levels'] == 2
    assert (found['area_unit'], found['pixel_area']) == ('m2', 100)
    assert found['document'] == dict(version=0, state='todo', notes='',
                                     shapes=[])
    first, second, third = found['images']
    assert first == dict(
        key='A', title='A, before', sensor='optical', bands=3,
        band_names=['red', 'green', 'blue'], dtype='uint8',
        stretch=dict(mode='minmax', bands=[1, 2, 3], low=0, high=255))
    assert (second['sensor'], second['stretch']['mode']) == ('sar',
                                                            'percentile')
    assert third['key'] == 'C'


def test_tile(client, pair):
    answer = client.get(f'{pair}/tiles/A/0/1/0.png')
    assert answer.headers['content-type'] == 'image/png'
    assert answer.headers['cache-control'].startswith('private')
    shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8),
                         cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(shown[:256, :144, 2::-1],
                                  picture(0, 3)[:256, 256:])
    other = client.get(f'{pair}/tiles/A/0/1/0.png',
                       params=dict(mode='minmax', bands='2', low=0, high=51))
    shown = cv2.imdecode(np.frombuffer(other.content, np.uint8),
                         cv2.IMREAD_UNCHANGED)
    expected = np.clip(picture(0, 3)[:256, 256:, 1].astype(int) * 5, 0, 255)
    np.testing.assert_array_equal(shown[:256, :144, 0], expected)


@pytest.mark.parametrize('path, status, text', [
    ('tiles/D/0/0/0.png', 404, "no image 'D'"),
    ('tiles/A/2/0/0.png', 404, 'no tile 2/0/0'),
    ('tiles/A/0/9/0.png', 404, 'no tile 0/9/0'),
    ('tiles/A/0/x/0.png', 422, 'column'),
    ('tiles/A/0/0/0.png?mode=log', 422, "mode 'log'"),
    ('tiles/A/0/0/0.png?bands=7', 422, 'expected one or three'),
    ('tiles/A/0/0/0.png?bands=../x', 422, 'bands'),
    ('tiles/A/0/0/0.png?mode=percentile&low=9&high=1', 422, 'percentiles'),
    ('gone', 404, 'Not Found')])
def test_wrong_tiles(client, pair, path, status, text):
    refused(client.get(f'{pair}/{path}'), status, text)


def test_store_and_load(client, pair, root):
    assert client.post(f'{pair}/lease', json=dict(window='w')).json() == dict(
        held=True, version=0)
    version = client.put(f'{pair}/document', json=document(
        notes='two clouds')).json()['version']
    found = client.get(pair).json()['document']
    assert found == dict(version=version, state='draft', notes='two clouds',
                         shapes=[SHAPE])
    stored = json.loads((root / 'annotations/one.json').read_text())
    assert stored['shapes'][0]['points'] == RINGS[0]
    progress = client.get('/api/project').json()
    assert progress['progress'] == dict(todo=1, draft=1, done=0)
    assert progress['pairs'][0]['shapes'] == 1
    answer = client.put(f'{pair}/document', json=document())
    refused(answer, 409, 'changed by somebody else')
    assert answer.json()['version'] == version
    assert client.put(f'{pair}/document', json=document(
        version, state='done')).status_code == 200


def test_second_window(client, pair, root):
    client.post(f'{pair}/lease', json=dict(window='first'))
    answer = client.post(f'{pair}/lease', json=dict(window='second'))
    refused(answer, 423, 'open in another window')
    assert answer.json()['held'] is False
    refused(client.put(f'{pair}/document', json=document(window='second')),
            423, 'another window')
    assert not (root / 'annotations/one.json').exists()
    assert client.post(f'{pair}/lease', json=dict(
        window='second', take=True)).json()['held']
    refused(client.post(f'{pair}/lease', json=dict(window='first')), 423,
            'another window')
    client.request('DELETE', f'{pair}/lease', json=dict(window='second'))
    assert client.post(f'{pair}/lease', json=dict(
        window='first')).status_code == 200


@pytest.mark.parametrize('change, text', [
    (dict(state='finished'), 'state'), (dict(colour='red'), 'colour'),
    (dict(shapes=[dict(SHAPE, rings=[])]), 'shapes.0.rings'),
    (dict(shapes=[dict(SHAPE, rings=[[[0, 0], [1, 1]]])]), 'shapes.0.rings'),
    (dict(shapes=[dict(SHAPE, rings=[[[0, 0], [1, 1], [1]]])]), 'rings.0.2'),
    (dict(shapes=[dict(SHAPE, rings=[[[0, 0], [1, 1], [1e9, 0]]])]),
     'rings.0.2.0'),
    (dict(shapes=[dict(SHAPE, label='river')]), 'expected one of changed, '
     'flooded'),
    (dict(shapes=[dict(SHAPE, source='ghost')]), 'source'),
    (dict(shapes=[SHAPE, SHAPE]), 'each another')])
def test_wrong_documents(client, pair, root, change, text):
    refused(client.put(f'{pair}/document', json=document(**change)), 422,
            text)
    assert not (root / 'annotations/one.json').exists()


def test_classes_of_labelme_stay(client, pair, root):
    path = root / 'annotations/one.json'
    path.parent.mkdir()
    path.write_text(json.dumps(dict(shapes=[dict(
        label='river', points=RINGS[0])])))
    found = client.get(pair).json()['document']
    assert found['shapes'][0]['label'] == 'river'
    assert client.put(f'{pair}/document', json=document(
        found['version'], shapes=found['shapes'])).status_code == 200


def test_damaged_file_stops_one_pair(client, pair, root):
    (root / 'annotations').mkdir()
    (root / 'annotations/one.json').write_text('{')
    refused(client.get(pair), 422, 'is no annotation of labelme')
    pairs = client.get('/api/project').json()['pairs']
    assert 'is no annotation' in pairs[0]['error']
    assert 'error' not in pairs[1]
    refused(client.put(f'{pair}/document', json=document()), 422,
            'is no annotation')
    assert (root / 'annotations/one.json').read_text() == '{'


def test_damaged_image(client, pair, root):
    content = (root / 'A/one.tif').read_bytes()
    (root / 'A/one.tif').write_bytes(content[:2000])
    refused(client.get(f'{pair}/tiles/A/0/0/0.png'), 422, 'one.tif')
    assert client.get('/api/project').status_code == 200


def operate(client, operation, **others):
    return client.post('/api/geometry', json=dict(operation=operation,
                                                  **others))


def test_geometry(client):
    rings = RINGS
    found = operate(client, 'brush', path=[[30, 25]], radius=5,
                    add_to=rings).json()['shapes']
    assert len(found) == 1
    found = operate(client, 'erase', path=[[30, 0], [30, 60]], radius=2,
                    polygons=[rings, [[[90, 90], [99, 90], [99, 99]]]])
    results = found.json()['results']
    assert [len(result) for result in results] == [2, 1]
    found = operate(client, 'split', rings=rings, line=[[30, 0], [30, 60]])
    assert len(found.json()['shapes']) == 2
    found = operate(client, 'merge', polygons=[rings, rings]).json()
    assert len(found['shapes']) == 1
    found = operate(client, 'simplify', tolerance=1, rings=[
        [[10, 10], [30, 10.5], [50, 10], [50, 40], [10, 40]]]).json()
    assert len(found['shapes'][0]['rings'][0]) == 4
    found = operate(client, 'valid', rings=rings, size=[20, 400]).json()
    assert max(x for x, _ in found['shapes'][0]['rings'][0]) == 20
    refused(operate(client, 'split', rings=rings, line=[[0, 0], [1, 1]]),
            422, 'does not cut')
    refused(operate(client, 'melt', rings=rings), 422, 'operation')
    refused(operate(client, 'brush', path=[], radius=3), 422, 'path')


def test_no_model(client, pair):
    refused(client.post(f'{pair}/drafts', json=dict(region=None)), 409,
            'start the server with --checkpoint')
    refused(client.get('/api/drafts/1'), 404, "no draft '1'")
    refused(client.get('/api/drafts/1/shapes'), 404, "no draft '1'")


@pytest.mark.parametrize('token', [None, '', 'token-of-the-test', 'tökén'])
def test_no_token(client, pair, token):
    headers = {'X-Token': token.encode()} if token else {'X-Token': ''}
    for path in ('/api/project', pair, f'{pair}/tiles/A/0/0/0.png',
                 '/api/drafts/1', '/api/anything'):
        refused(client.get(path, headers=headers), 401, 'the token')
    refused(client.put(f'{pair}/document', headers=headers,
                       json=document()), 401, 'the token')


def test_token_in_the_address_is_not_taken(client):
    refused(client.get(f'/api/project?token={TOKEN}',
                       headers={'X-Token': ''}), 401, 'the token')


@pytest.mark.parametrize('headers', [
    {'Host': 'evil.example'}, {'Host': 'evil.example:8765'}, {'Host': ''},
    {'Host': '[::1'}, {'Origin': 'http://evil.example'},
    {'Origin': 'null'}, {'Origin': 'http://localhost:1'},
    {'Sec-Fetch-Site': 'cross-site'}])
def test_foreign_requests(client, headers):
    refused(client.get('/api/project', headers=headers), 403, '')
    assert client.get('/', headers=headers).status_code == (
        200 if 'Sec-Fetch-Site' in headers else 403)


@pytest.mark.parametrize('headers', [
    {'Host': 'localhost:8765', 'Origin': 'http://localhost:8765'},
    {'Host': '127.0.0.1:9', 'Origin': 'http://127.0.0.1:9'},
    {'Host': '[::1]:8765'}, {'Sec-Fetch-Site': 'same-origin'}])
def test_own_requests(client, headers):
    assert client.get('/api/project', headers=headers).status_code == 200


def test_names_of_a_server():
    assert names_of('127.0.0.1') == {'127.0.0.1', 'localhost', '::1'}
    assert names_of('10.0.0.7') > {'10.0.0.7', 'localhost'}
    with pytest.raises(ValueError, match='token'):
        create_app(None, '')


def test_size_of_requests(project):
    with make_client(project, body_limit=2000) as client:
        body = b'x' * 2001
        headers = {'Content-Type': 'application/json'}
        refused(client.post('/api/geometry', content=body, headers=headers),
                413, 'more than 2000 bytes')
        # Without a length that could be looked at first.
        refused(client.post('/api/geometry', headers=headers,
                            content=iter([body[:1500], body[:1500]])),
                413, 'more than 2000 bytes')
        refused(client.post('/api/geometry', content=b'{', headers={
            **headers, 'Content-Length': 'many'}), 400, 'content-length')


@pytest.mark.parametrize('path', [
    '/page/../server.py', '/page/%2e%2e/server.py', '/page/..%2fserver.py',
    '/page//etc/passwd', '/page/%2e%2e%2f%2e%2e%2f%2e%2e%2fsetup.py',
    '/annotations/one.json', '/A/one.tif'])
def test_no_other_files(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and 'import' not in answer.text


def test_pairs_by_path(client):
    for key in ('one', '..%2fone', '../../etc', 'A%2fone.tif'):
        assert client.get(f'/api/pairs/{key}').status_code == 404


def test_page_holds_no_secret_and_is_shielded(client):
    assert {path.name for path in PAGE.iterdir()} > {'index.html'}
    answer = client.get('/', headers={'X-Token': ''})
    assert answer.status_code == 200 and TOKEN not in answer.text
    assert "default-src 'self'" in answer.headers['content-security-policy']
    assert answer.headers['x-frame-options'] == 'DENY'
    for path in PAGE.glob('*.js'):
        answer = client.get(f'/page/{path.name}')
        assert 'javascript' in answer.headers['content-type']
        assert answer.headers['cache-control'] == 'no-cache'
    assert client.get('/docs').status_code == 404
    assert client.get('/openapi.json').status_code == 404
