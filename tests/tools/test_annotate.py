"""tools/annotate.py: what it serves, to whom, and what it refuses."""
import json
import os
import re
import signal
import socket
import time

import httpx
import pytest
import uvicorn
from annotation.browser import start_tool
from annotation.conftest import make_root
from fastapi.testclient import TestClient
from mmengine.logging import MMLogger
from running import run_tool
from tiny import write_checkpoint

TOOL = 'tools/annotate.py'
RINGS = [[[10, 10], [50, 10], [50, 40], [10, 40]]]
ADDRESS = r'http://(\S+?):(\d+)/\?token=([\w~.-]+)'


class Served(Exception):
    """The tool came as far as serving."""


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / 'data')


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the tool; return its error, or app, port and what it said."""
    # A logger writes to what was standard output when it was made.
    monkeypatch.setattr(MMLogger, '_instance_dict', {})

    def serve(server, sockets):
        raise Served(server.config.app, sockets)

    def run(*arguments):
        monkeypatch.setattr(uvicorn.Server, 'run', serve)
        try:
            return run_tool(monkeypatch, TOOL, *arguments, '--no-browser')
        except Served as found:
            app, (listener, ) = found.args
            with listener:
                port = listener.getsockname()[1]
            return app, port, capsys.readouterr().out

    return run


def test_help(monkeypatch, capsys):
    assert run_tool(monkeypatch, TOOL, '--help') is None
    assert 'DATA_ROOT' in capsys.readouterr().out


def test_address_opens_the_page(call, root):
    app, port, said = call(root)
    host, named, token = re.search(ADDRESS, said).groups()
    assert (host, int(named)) == ('127.0.0.1', port)
    assert len(token) >= 32
    assert '2 pairs, 2 with a third image' in said
    with TestClient(app, base_url=f'http://127.0.0.1:{port}') as client:
        assert client.get('/').status_code == 200
        assert client.get('/api/project').status_code == 401
        found = client.get('/api/project', headers={'X-Token': token}).json()
    assert found['model'] is None and len(found['pairs']) == 2
    assert call(root)[2].count(token) == 0


def test_options(call, root):
    app, port, said = call(
        root, '--classes', 'built:#112233', 'cut', '--sensors', 'sar', 'sar',
        '--token', 'of-my-own', '--port', 0)
    assert port and 'token=of-my-own' in said
    with TestClient(app, headers={'X-Token': 'of-my-own'}) as client:
        found = client.get('/api/project').json()
        assert found['classes'][0] == dict(name='built', color='#112233')
        pair = client.get(f'/api/pairs/{found["pairs"][0]["id"]}').json()
    assert [image['sensor'] for image in pair['images']] == [
        'sar', 'sar', 'optical']


def test_other_machines(call, root):
    app, _, said = call(root, '--host', '0.0.0.0', '--token', 'of-my-own',
                        '--port', 0, '--allow-host', 'proxy.example')
    assert f'http://{socket.gethostname()}:' in said
    with TestClient(app, headers={'X-Token': 'of-my-own'}) as client:
        for host, status in (('proxy.example', 200), ('localhost', 200),
                             (socket.gethostname(), 200),
                             ('evil.example', 403)):
            assert client.get('/api/project', headers={
                'Host': host}).status_code == status


def test_port_in_use(call, root):
    with socket.socket() as busy:
        busy.bind(('127.0.0.1', 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f'127.0.0.1:{port} cannot be listened on' in call(
            root, '--port', port)


@pytest.mark.parametrize('arguments, error', [
    (['--host', '0.0.0.0'], 'expected a --token'),
    (['--token', 'short'], '8 or more'),
    (['--token', 'with a blank'], '8 or more'),
    (['--port', 70000], 'expected 0 to 65535'),
    (['--threshold', 0.3], '--threshold is for drafts'),
    (['--bands-from', '1,2'], '--bands-from is for drafts'),
    (['--checkpoint', 'gone.pth'], 'no file gone.pth'),
    (['--classes', 'a:red'], "class 'a:red'"),
    (['--classes', 'a', 'a'], "'a' is given twice")])
def test_refused(call, root, arguments, error):
    assert error in call(root, *arguments)


def test_no_data(call, tmp_path):
    assert 'no such folder or list' in call(tmp_path / 'gone')
    assert 'holds no pairs' in call(tmp_path)


def test_checkpoint_draws_drafts(call, tmp_path):
    """A real network, of three and one bands."""
    root = make_root(tmp_path / 'data', ['one'])
    checkpoint = write_checkpoint(tmp_path)
    app, *_ = call(root, '--checkpoint', checkpoint, '--threshold', 0.4,
                   '--tile-size', 96, '--device', 'cpu', '--token',
                   'of-my-own')
    with TestClient(app, headers={'X-Token': 'of-my-own'}) as client:
        found = client.get('/api/project').json()
        assert found['model']['threshold'] == 0.4
        address = f'/api/pairs/{found["pairs"][0]["id"]}/drafts'
        job = client.post(address, json=dict(region=None)).json()['job']
        end = time.monotonic() + 60
        state = {}
        while state.get('state') != 'done' and time.monotonic() < end:
            state = client.get(f'/api/drafts/{job}').json()
            assert state['error'] is None
            time.sleep(0.02)
        shapes = [
            client.get(f'/api/drafts/{job}/shapes?threshold={threshold}')
            .json()['shapes'] for threshold in (0.05, 0.4)]
    assert shapes[0] and shapes[0] != shapes[1]
    assert call(root, '--checkpoint', __file__) is not None


def test_killed_server_loses_nothing(root):
    with start_tool(root, env=dict(os.environ, OMP_NUM_THREADS='1')) as (
            address, process), httpx.Client(timeout=60) as client:
        host, port, token = re.search(ADDRESS, address).groups()
        client.base_url = f'http://{host}:{port}'
        client.headers['X-Token'] = token
        pair = client.get('/api/project').json()['pairs'][0]['id']
        answer = client.put(f'/api/pairs/{pair}/document', json=dict(
            window='w', base_version=0, state='draft', notes='',
            shapes=[dict(id='a', label='changed', rings=RINGS)]))
        assert answer.status_code == 200
        assert client.get(f'/api/pairs/{pair}/tiles/B/0/0/0.png').content
        assert client.get('/api/project', headers={
            'Host': 'evil.example'}).status_code == 403
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    stored = json.loads((root / 'annotations/one.json').read_text())
    assert stored['shapes'][0]['rings'] == RINGS
    assert [path.name for path in (root / 'annotations').glob('*.tmp')] == []
