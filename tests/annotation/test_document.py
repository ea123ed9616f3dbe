"""The page docs/annotation.md shows commands that there are."""
import re
import runpy

import cv2
import pytest
from running import ROOT, run_tool

TOOL = ROOT / 'tools/analysis_tools/document_annotation.py'
PAGE = ROOT / 'docs/annotation.md'


@pytest.fixture(scope='module')
def commands():
    return runpy.run_path(str(TOOL))['COMMANDS']


def test_shipped_page_is_that_of_the_template(commands):
    answers = dict.fromkeys(
        (f'{name}_answer' for name in commands), '')
    expected = (ROOT / 'docs/annotation.md.in').read_text().format(
        images='images', **commands, **answers)

    def without_answers(text):
        return re.sub(r'```text\n.*?```', '', text, flags=re.S)

    assert without_answers(PAGE.read_text()) == without_answers(expected)


@pytest.mark.parametrize('name', [
    'annotate', 'labels', 'polygons', 'tiles', 'train', 'drafts'])
def test_options_of_commands(commands, name, monkeypatch, capsys):
    tool = commands[name].split()[1]
    assert run_tool(monkeypatch, tool, '--help') is None
    known = capsys.readouterr().out
    for option in re.findall(r'--[\w-]+', commands[name]):
        assert f'{option} ' in known or f'{option}\n' in known


def test_pictures():
    names = re.findall(r'\]\((images/\S+\.png)\)', PAGE.read_text())
    assert len(names) == 3
    for name in names:
        path = ROOT / 'docs' / name
        assert path.stat().st_size < 400 * 1024
        image = cv2.imread(str(path))
        assert image.shape[1] >= 1280 and image.std() > 20
