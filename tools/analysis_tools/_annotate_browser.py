"""The annotation page in a browser: to be measured, and for pictures."""
import os
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

_TOOL = Path(__file__).parents[1] / 'annotate.py'
_NAMES = ('chromium', 'chromium-browser', 'google-chrome')
_FLAGS = ('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
          '--disable-background-networking', '--disable-component-update',
          '--disable-sync')


def find_browser():
    """Path of Chromium, None where there is none.

    The environment variable ``OPENCD_GOLD_BROWSER`` names another.
    """
    named = os.environ.get('OPENCD_GOLD_BROWSER')
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def open_browser():
    """A headless browser of playwright, closed in the end.

    Raises:
        FileNotFoundError: If there is none.
    """
    from playwright.sync_api import sync_playwright
    path = find_browser()
    if path is None:
        raise FileNotFoundError(f'none of {", ".join(_NAMES)} is installed')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path,
                                             args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def start_tool(*arguments, **options):
    """tools/annotate.py in a process; yields its address and process id.

    Args:
        *arguments: Of the tool; any free port is taken.
        **options: Of the process.

    Raises:
        RuntimeError: If the server does not start.
    """
    with subprocess.Popen(
            [sys.executable, str(_TOOL), *map(str, arguments), '--port', '0',
             '--no-browser'], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, **options) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                found = re.search(r'http://\S+token=\S+', line)
                if found:
                    break
            else:
                raise RuntimeError(''.join(said))
            yield found[0], process.pid
        finally:
            process.terminate()
            process.stdout.close()


def measure(browser, address, zooms=24, size=(1280, 800)):
    """Time from wheel and keys to the redrawn panes.

    The wheel zooms in at a point off the middle, keys move the view at full
    resolution, the wheel zooms out again. Each event comes when the one
    before is answered in full, as the first look at a place is slowest.

    Args:
        browser: Of :func:`open_browser`.
        address (str): Of the page, with the token.
        zooms (int): Steps of the wheel each way. Default: 24.
        size (tuple[int, int]): Of the window, in pixels.

    Returns:
        dict: In milliseconds, ``redraw`` until all panes are drawn with what
        is there, ``sharp`` until all tiles of the place are; lists, one
        value an event, and ``redraw_median``, ``sharp_median``.
    """
    found = dict(redraw=[], sharp=[])
    page = browser.new_page(
        viewport=dict(width=size[0], height=size[1]))
    page.goto(address)
    page.evaluate('annotator.waitForIdle()')
    stage = page.locator('.stage').first.bounding_box()
    page.mouse.move(stage['x'] + 0.4 * stage['width'],
                    stage['y'] + 0.45 * stage['height'])
    arrows = [f'Arrow{way}' for way in ('Left', 'Down', 'Right', 'Up')]
    steps = [*[-240] * zooms, *arrows * (zooms // 4), *[240] * zooms]
    for step in steps:
        before = page.evaluate('[annotator.redraws.length, '
                               'annotator.view]')
        if isinstance(step, str):
            page.keyboard.press(step)
        else:
            page.mouse.wheel(0, step)
        # Nothing moves at the end of the range of scales.
        page.wait_for_timeout(50)
        page.evaluate('annotator.waitForIdle()')
        after = page.evaluate('[annotator.redraws.length, '
                              'annotator.view]')
        if after[0] > before[0] and after[1] != before[1]:
            for name, member in (('redraw', 'lastRedrawMs'),
                                 ('sharp', 'lastSharpMs')):
                found[name].append(page.evaluate(f'annotator.{member}'))
    page.close()
    for name in ('redraw', 'sharp'):
        found[f'{name}_median'] = statistics.median(found[name])
    return found
