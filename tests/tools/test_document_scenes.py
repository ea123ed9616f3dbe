"""The page docs/scenes.md says what the tools do today."""
import re
import runpy
import tempfile

import cv2
import pytest
from running import ROOT, run_tool
from tiny import write_checkpoint

TOOL = 'tools/analysis_tools/document_scenes.py'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """The page as it is written now, with a tiny model."""
    folder = tmp_path_factory.mktemp('page')
    checkpoint = write_checkpoint(folder)
    with pytest.MonkeyPatch.context() as patch:
        assert run_tool(patch, TOOL, '--model', checkpoint, '--docs',
                        folder / 'docs', '--size', 300) is None
    return folder / 'docs'


def without_answers(text):
    """The page without what depends on model and scenes."""
    text = re.sub(r'```text\n.*?```', '', text, flags=re.S)
    text = re.sub(r'^\|.*', '', text, flags=re.M)
    return re.sub(r'at most \d+ of', 'at most N of', text)


def test_shipped_page_is_up_to_date(page):
    shipped = (ROOT / 'docs/scenes.md').read_text()
    assert without_answers(shipped) == without_answers(
        (page / 'scenes.md').read_text())


def test_every_command_was_run(page):
    text = (page / 'scenes.md').read_text()
    commands = runpy.run_path(str(ROOT / TOOL))['COMMANDS']
    for command in commands.values():
        assert command in text
    assert re.search(r'north_A: [\d.]+% of the valid pixels changed', text)
    assert re.search(r'train *\| *1 \| *\d+ ', text)
    assert 'written to student.onnx' in text


def test_errors_are_those_of_today(page):
    text = (page / 'scenes.md').read_text()
    for part in ('do not overlap', 'has no CRS', 'has 3 bands, expected 1',
                 'cut_off.tif cannot be read'):
        assert part in text
    assert tempfile.gettempdir() not in text and str(ROOT) not in text


@pytest.mark.parametrize('folder', ['page', 'shipped'])
def test_pictures(page, folder):
    docs = page if folder == 'page' else ROOT / 'docs'
    names = re.findall(r'\]\((images/\S+\.png)\)',
                       (docs / 'scenes.md').read_text())
    assert len(names) == 3
    for name in names:
        assert cv2.imread(str(docs / name)).std() > 10


def test_onnx_map_is_that_of_torch(page):
    found = re.search(r'at most (\d+) of 254 levels',
                      (page / 'scenes.md').read_text())
    # Fused and unfused networks differ by rounding.
    assert int(found[1]) <= 2
