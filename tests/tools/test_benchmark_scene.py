"""tools/analysis_tools/benchmark_scene.py on scenes of 128 pixels."""
import json

from running import run_tool
from tiny import write_checkpoint

TOOL = 'tools/analysis_tools/benchmark_scene.py'


def test_figures(monkeypatch, tmp_path, capsys):
    checkpoint = write_checkpoint(tmp_path)
    assert run_tool(
        monkeypatch, TOOL, '--model', checkpoint, '--sizes', 128, '--naive',
        '--seams', '--seam-size', 128, '--tile-size', 64, '--overlap', 16,
        '--device', 'cpu', '--out', tmp_path / 'figures.json', '--folder',
        tmp_path / 'work') is None
    shown = capsys.readouterr().out
    assert 'x the loop naive\n' in shown and 'overlap 16: ' in shown
    assert 'x the loop naive-float32' in shown
    results = json.loads((tmp_path / 'figures.json').read_text())['results']
    scene, naive, plain, seams = results
    assert (scene['kind'], scene['size'], scene['tiles']) == (
        'scene', 128, 9)
    assert naive['tiles'] == plain['tiles'] == 9
    assert plain['kind'] == 'naive-float32'
    for result in (scene, naive, plain):
        assert 0 < result['forward'] < result['seconds']
        assert result['peak_bytes'] > 2**20
    assert seams['overlap 16']['mean'] < 0.5
    assert (tmp_path / 'work/maps128/a128_probability.tif').is_file()
    assert (tmp_path / 'work/maps128/naive_mask.tif').is_file()


def test_no_model(monkeypatch, tmp_path):
    message = run_tool(monkeypatch, TOOL, '--model', tmp_path / 'gone.pth',
                       '--sizes', 64)
    assert message.startswith('error: ') and 'gone.pth' in message


def test_sizes_are_numbers(monkeypatch, capsys):
    assert run_tool(monkeypatch, TOOL, '--model', 'x', '--sizes', 'big') == 2
    assert 'invalid int' in capsys.readouterr().err
