"""A small data root, and a server on it."""
import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from scenes.conftest import write

from opencd_gold.annotation.project import Project
from opencd_gold.annotation.server import create_app

TOKEN = 'token-of-the-tests'
SIZE = (300, 400)


def picture(seed, bands, size=SIZE):
    """Smooth texture, ``(H, W, bands)`` uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((size[0] // 8, size[1] // 8, bands))
    return np.uint8(1 + 254 * cv2.resize(coarse, size[::-1]).reshape(
        *size, bands))


def make_root(root, names=('one', 'two'), folders=('A', 'B', 'C')):
    """GeoTIFFs of three, one and three bands."""
    for index, folder in enumerate(folders):
        (root / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            pixels = picture(10 * index + number, 1 if index == 1 else 3)
            write(root / folder / f'{name}.tif', pixels.transpose(2, 0, 1))
    return root


def make_client(project, inferencer=None, **options):
    """A client that shows the token."""
    app = create_app(project, TOKEN, inferencer, **options)
    return TestClient(app, headers={'X-Token': TOKEN},
                      raise_server_exceptions=False)


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / 'data')


@pytest.fixture
def project(root):
    return Project.open(root, ['changed', 'flooded:#0072B2'])


@pytest.fixture
def client(project):
    with make_client(project) as client:
        yield client


@pytest.fixture
def pair(client):
    """Address of the first pair."""
    first = client.get('/api/project').json()['pairs'][0]
    return f'/api/pairs/{first["id"]}'
