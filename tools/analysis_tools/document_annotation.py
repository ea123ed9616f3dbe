"""Write docs/annotation.md: from scenes to a trained model, by doing it.

    python tools/analysis_tools/document_annotation.py --model student.pth

Makes synthetic scenes, draws in the page with a browser, runs every other
command of docs/annotation.md.in and fills in what they answer, with
pictures. The model is one that tools/quickstart.sh has trained; it makes the
drafts in the pictures. Needs Chromium, playwright and Pillow.
"""
import argparse
import io
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from PIL import Image, ImageColor

from opencd_gold.engine import cli
from opencd_gold.scenes.parts import write_atomically

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / 'docs' / 'annotation.md.in'
CONFIG = 'configs/gold/gold_efflite0_quickstart_synthetic-256x256.py'
COMMANDS = dict(
    annotate='python tools/annotate.py raw',
    labels='python tools/dataset_converters/labelme2mask.py raw '
    '--format tif',
    polygons='python tools/dataset_converters/labelme2mask.py raw '
    '--format gpkg --out polygons',
    tiles='python tools/dataset_converters/prepare_scenes.py raw '
    '--out data/mine --size 256',
    train=f'python tools/train.py {CONFIG} --data-root data/mine '
    '--work-dir work_dirs/mine',
    drafts='python tools/annotate.py new --checkpoint '
    'work_dirs/mine/best_IoU_iter_300.pth')
DRAWN = 'east'
DRAFTED = 'north'
_WINDOW = dict(width=1320, height=820)
# Of small things, in style.css.
_ACCENTS = ('#ff7b72', '#3fb984', '#ffd166', '#4c9aff', '#9ccaff',
            '#d55e00')
_LEAST = 250
_AROUND = 150


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True,
                        help='checkpoint that brings its config')
    parser.add_argument('--docs', type=Path, default=ROOT / 'docs',
                        help='folder of the page (default: docs)')
    parser.add_argument('--size', type=int, default=900,
                        help='of the scenes, in pixels (default: 900)')
    parser.add_argument('--iterations', type=int,
                        help='of the training (default: of the config)')
    return parser.parse_args()


class Page:
    """The page, as somebody uses it.

    Args:
        browser: Playwright's.
        address (str): Of the server.
    """

    def __init__(self, browser, address):
        self.page = browser.new_page(viewport=_WINDOW)
        self.page.goto(address)
        self.idle()

    def idle(self):
        """Wait until all is drawn and saved."""
        self.page.evaluate('annotator.waitForIdle()')

    def press(self, *keys):
        """Press keys, and wait."""
        for key in keys:
            self.page.keyboard.press(key)
        self.idle()

    def at(self, pane, point):
        """Where a point of the scene is on the screen."""
        return self.page.evaluate(
            f'annotator.toClient({pane}, {list(map(float, point))})')

    def look(self, point, scale):
        """Go to a place."""
        x, y = map(float, point)
        self.page.evaluate(f'annotator.goTo({{x: {x}, y: {y}, '
                           f'scale: {scale}}})')
        self.idle()

    def draw(self, outline, pane=0):
        """A polygon, vertex by vertex, at a scale that shows all of it."""
        low, high = outline.min(axis=0), outline.max(axis=0)
        scale = min(3, *([240, 480] / (high - low)))
        self.look((low + high) / 2, scale)
        self.page.keyboard.press('p')
        kept = [outline[0]]
        for point in outline[1:]:
            if np.linalg.norm(point - kept[-1]) > 6 / scale:
                kept.append(point)
        for point in kept:
            self.page.mouse.click(*self.at(pane, point))
        self.press('Enter', 'v')

    def open(self, name):
        """Open a pair."""
        self.page.locator('#pair-list .name', has_text=name).click()
        while self.page.evaluate('annotator.pair') != name:
            self.page.wait_for_timeout(50)
        self.idle()

    def picture(self):
        """PNG of 256 colors, a third of the size."""
        self.idle()
        return with_palette(Image.open(io.BytesIO(
            self.page.screenshot())).convert('RGB'))


def with_palette(image, exact=64):
    """PNG of 256 colors, the most frequent ones (of the bars) exact."""
    pixels = np.asarray(image).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    often = colors[np.argsort(-counts)[:exact]]
    accents = [ImageColor.getrgb(color) for color in _ACCENTS]
    fixed = np.concatenate([often, accents])
    rest = image.quantize(256 - len(fixed), kmeans=1).getpalette()
    palette = Image.new('P', (1, 1))
    palette.putpalette([*fixed.ravel().tolist(), *rest])
    content = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(
        content, 'PNG', optimize=True)
    return content.getvalue()


def outlines_of(path):
    """Outlines of what changed, largest first, as a person would draw."""
    with rasterio.open(path) as source:
        label = source.read(1)
    # One hand movement for what nearly touches.
    label = cv2.morphologyEx(label, cv2.MORPH_CLOSE, np.ones((9, 9)))
    found, _ = cv2.findContours(label, cv2.RETR_EXTERNAL,
                                cv2.CHAIN_APPROX_SIMPLE)
    found = sorted((contour for contour in found
                    if cv2.contourArea(contour) > _LEAST),
                   key=cv2.contourArea, reverse=True)
    return [cv2.approxPolyDP(contour, 2, True)[:, 0].astype(float)
            for contour in found]


def draw_scenes(page, truth, names):
    """Annotate all scenes by hand; a picture of the work."""
    picture = None
    for name in names:
        page.open(name)
        outlines = outlines_of(truth / f'{name}_E.tif')
        for index, outline in enumerate(outlines):
            page.draw(outline, index % 3)
        if name == DRAWN:
            page.page.locator('#notes').fill(
                'Banks as the SAR image shows them.')
            page.page.locator('#notes').blur()
            picture = show_vertices(page, outlines)
        page.press('Control+Enter')
    return picture


def show_vertices(page, outlines):
    """A selected polygon among others, a vertex below the cursor."""
    middles = np.array([outline.mean(axis=0) for outline in outlines])
    around = [(np.abs(middles - middle).max(axis=1) < _AROUND).sum()
              for middle in middles]
    index = max((index for index, outline in enumerate(outlines)
                 if len(outline) > 5), key=around.__getitem__)
    page.press('Escape', 'v')
    page.look(middles[index], 1.25)
    with_it = shapely.Polygon(outlines[index]).representative_point()
    page.page.mouse.click(*page.at(0, with_it.coords[0]))
    page.page.mouse.move(*page.at(1, outlines[index][0]))
    return page.picture()


def review_drafts(page):
    """Drafts of a model, one being judged; then swipe."""
    page.open(DRAFTED)
    page.press('f')
    page.page.locator('#run-whole').click()
    while (page.page.evaluate('annotator.job') or {}).get('state') not in (
            'done', 'failed'):
        page.page.wait_for_timeout(100)
    page.idle()
    page.page.locator('#min-area').fill('30')
    page.idle()
    page.press('.', 'a', 'a', 'a')
    # One in the middle, large enough for its probability.
    inside = [shapely.Polygon(draft['rings'][0]).representative_point()
              for draft in page.page.evaluate('annotator.drafts')
              if shapely.Polygon(draft['rings'][0]).area > 4 * _LEAST]
    places = np.array([point.coords[0] for point in inside])
    middle = np.median(places, axis=0)
    place = places[np.linalg.norm(places - middle, axis=1).argmin()]
    page.look(place, 1.1)
    page.page.mouse.click(*page.at(1, place))
    drafts_picture = page.picture()
    page.press('x', 's')
    page.look(place, 1.1)
    return drafts_picture, page.picture()


def walk(folder, args):
    """Do all of the page in ``folder``; its fields and pictures."""
    # Beside this file, found as that is run.
    from _annotate_browser import open_browser, start_tool
    from document_scenes import call, make_scenes
    shutil.copy(args.model, folder / 'student.pth')
    raw, new, truth = (folder / name for name in ('raw', 'new', 'truth'))
    make_scenes(raw, args.size)
    truth.mkdir()
    for path in raw.glob('*_E.tif'):
        path.rename(truth / path.name)
    shutil.copytree(raw, new)
    pictures, answers = {}, {}
    with open_browser() as browser:
        with start_tool(raw) as (address, _):
            names = sorted(path.stem[:-2] for path in raw.glob('*_A.tif'))
            pictures['annotation_draw'] = draw_scenes(
                Page(browser, address), truth, names)
        for name in ('labels', 'polygons', 'tiles'):
            answers[name] = call(COMMANDS[name], folder)
        train(call, folder, args.iterations)
        with start_tool(new, '--checkpoint', folder / 'student.pth',
                        '--device', 'cpu') as (address, _):
            (pictures['annotation_drafts'],
             pictures['annotation_swipe']) = review_drafts(
                 Page(browser, address))
    fields = dict(COMMANDS, images='images', **{
        f'{name}_answer': answer for name, answer in answers.items()})
    return fields, pictures


def train(call, folder, iterations):
    """Train on what was drawn, as the page says or shorter."""
    command = COMMANDS['train'].replace(CONFIG, str(ROOT / CONFIG))
    if iterations is not None:
        command += (f' --cfg-options train_cfg.max_iters={iterations} '
                    f'train_cfg.val_interval={iterations} '
                    f'default_hooks.checkpoint.interval={iterations}')
    call(command, folder)
    if not list((folder / 'work_dirs/mine').glob('best_*.pth')):
        raise cli.UsageError(f'{command}: left no best checkpoint')


def main():
    args = parse_args()
    with cli.clear_errors(), tempfile.TemporaryDirectory() as temporary:
        fields, pictures = walk(Path(temporary), args)
        (args.docs / 'images').mkdir(parents=True, exist_ok=True)
        for name, content in pictures.items():
            write_atomically(args.docs / 'images' / f'{name}.png', content)
        fields = {key: str(value).replace(f'{temporary}/', '')
                  for key, value in fields.items()}
        write_atomically(
            args.docs / 'annotation.md',
            TEMPLATE.read_text().format(**fields).encode())


if __name__ == '__main__':
    main()
