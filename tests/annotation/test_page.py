"""The page, driven in a browser as a person would."""
import json
from contextlib import ExitStack

import numpy as np
import pytest
import shapely
from annotation import browser as driving
from annotation.browser import Driver, serve, serve_tool, wait_for
from annotation.conftest import make_root, picture
from tiny import write_checkpoint

SQUARE = [[60, 60], [160, 60], [160, 160], [60, 160]]
OTHER = [[220, 80], [320, 80], [320, 200], [220, 200]]

pytest.importorskip(
    'playwright', reason='playwright is not installed: the page of '
    'tools/annotate.py was not tested')
if driving.find_browser() is None:
    pytest.skip('no Chromium is installed (apt install chromium): the page '
                'of tools/annotate.py was not tested',
                allow_module_level=True)


@pytest.fixture(scope='module')
def browser():
    with driving.open_browser() as found:
        yield found


@pytest.fixture
def windows(browser):
    """Opens windows that share nothing but, if asked for, their storage."""
    opened = []
    with ExitStack() as stack:
        def open_window(address, context=None):
            if context is None:
                context = browser.new_context(
                    viewport=dict(width=1280, height=800))
                stack.callback(context.close)
            opened.append(Driver(context.new_page(), address))
            return opened[-1]

        yield open_window
        for window in opened:
            assert window.errors == []


@pytest.fixture
def site(root):
    with serve(root) as address:
        yield address


@pytest.fixture
def window(site, windows):
    return windows(site)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    from opencd_gold.apis import ChangeInferencer
    return ChangeInferencer(write_checkpoint(
        tmp_path_factory.mktemp('model')), batch_size=1)


def stored(root, name='one'):
    """The labelme file."""
    return json.loads((root / 'annotations' / f'{name}.json').read_text())


def as_polygon(rings):
    return shapely.Polygon(rings[0], rings[1:])


def test_a_polygon_from_drawing_to_the_file(window, site, windows, root):
    page = window.page
    assert page.locator('.pane').count() == 3
    window.polygon(1, SQUARE)
    [shape] = window.shapes
    assert shape['label'] == 'changed' and shape['source'] == 'person'
    assert np.abs(np.array(shape['rings'][0]) - SQUARE).max() < 1.5
    # 100 x 100 pixels of 10 m.
    assert page.locator('#selection-text').inner_text() == (
        'changed · 1 km² · 4 vertices')

    # A hole, erased in another pane; the outline stays.
    window.press('e')
    before = as_polygon(shape['rings'])
    window.drag(0, [[100, 110], [120, 110]])
    [shape] = window.shapes
    assert len(shape['rings']) == 2
    radius = float(page.locator('#radius-text').inner_text().split()[0])
    lost = np.pi * radius ** 2 + 20 * 2 * radius
    assert before.area - as_polygon(shape['rings']).area == pytest.approx(
        lost, rel=0.05)

    # The brush extends the polygon that is selected.
    window.press('b')
    window.drag(2, [[158, 100], [190, 100]])
    [shape] = window.shapes
    assert shapely.Point(195, 100).within(as_polygon(shape['rings']))

    # A vertex, then back and forth.
    window.press('v')
    corner = min(shape['rings'][0], key=sum)
    window.drag(0, [corner, [40, 50]])
    moved = window.shapes
    assert shapely.Point(45, 53).within(as_polygon(moved[0]['rings']))
    window.press('Control+z')
    assert window.shapes == [shape]
    window.press('Control+z', 'Control+z', 'Control+z')
    assert window.shapes == []
    window.press(*['Control+Shift+Z'] * 4)
    assert window.shapes == moved

    file = stored(root)
    assert file['imageWidth'] == 400 and file['imageHeight'] == 300
    [entry] = file['shapes']
    assert entry['shape_type'] == 'polygon' and entry['label'] == 'changed'
    assert file['flags'] == dict(draft=True, done=False)
    drawn = as_polygon(moved[0]['rings'])
    assert shapely.make_valid(shapely.Polygon(
        entry['points'])).symmetric_difference(drawn).area < 1

    page.reload()
    assert window.document['shapes'] == moved
    assert window.get('saveState') == 'saved' and window.get('editable')


def test_split_merge_classes_and_vertices(window, root):
    window.polygon(0, SQUARE)
    window.press('k')
    for point in ([110, 40], [110, 180]):
        window.click(1, point)
    window.press('Enter', 'v')
    halves = [as_polygon(shape['rings']) for shape in window.shapes]
    assert len(halves) == 2
    assert halves[0].area == pytest.approx(halves[1].area, rel=0.05)

    window.click(0, [80, 100])
    window.press('2')
    assert sorted(shape['label'] for shape in window.shapes) == [
        'changed', 'flooded']
    window.click(2, [140, 100], 'Shift')
    window.press('j')
    [shape] = window.shapes
    assert as_polygon(shape['rings']).area == pytest.approx(
        sum(half.area for half in halves), rel=1e-3)

    # One vertex more by double click, one less by Delete.
    outline = shape['rings'][0]
    middle = np.mean(outline[:2], axis=0)
    window.page.mouse.dblclick(*window.at(0, middle + (middle - [110, 110])
                                          / 400))
    count = len(window.shapes[0]['rings'][0])
    assert count >= len(outline)
    window.move(1, window.shapes[0]['rings'][0][0])
    window.press('Delete')
    assert len(window.shapes[0]['rings'][0]) == count - 1
    window.move(1, [350, 20])
    window.press('Delete')
    assert window.shapes == [] and stored(root)['shapes'] == []


def test_crossing_lines_are_repaired(window):
    window.polygon(0, [[60, 60], [160, 160], [160, 60], [60, 160]])
    areas = [as_polygon(shape['rings']) for shape in window.shapes]
    assert len(areas) == 2 and all(area.is_valid for area in areas)
    assert sum(area.area for area in areas) == pytest.approx(5000, rel=0.05)


def set_slider(window, name, value):
    window.page.locator(f'#{name}').evaluate(
        '(slider, value) => { slider.value = value; '
        'slider.dispatchEvent(new Event("input")); }', value)
    window.idle()


def movable(ring):
    """A vertex apart from others, and where it can go without a crossing."""
    points = np.array(ring)
    for index, point in enumerate(points):
        away = np.linalg.norm(points - point, axis=1)
        away[index] = np.inf
        for step in ((3, 2), (-3, 2), (3, -2), (-3, -2)):
            moved = points.copy()
            moved[index] += step
            if away.min() > 1.5 and shapely.Polygon(moved).is_valid and (
                    moved > 0).all() and (moved < 300).all():
                return point.tolist(), moved[index].tolist()
    return None


def test_drafts_that_were_left_out_are_told(root, windows, model):
    def with_more(route):
        answer = route.fetch()
        body = answer.json()
        body['found'] = len(body['shapes']) + 7
        route.fulfill(response=answer, json=body)

    with serve(root, inferencer=model) as address:
        window = windows(address)
        window.page.route('**/shapes?*', with_more)
        window.page.locator('#run-whole').click()
        wait_for(lambda: window.get('job')['state'] == 'done')
        window.idle()
        count = window.page.locator('#draft-count')
        assert count.inner_text() == f'{len(window.get("drafts"))} drafts+'
        assert count.get_attribute('title') == (
            '7 smaller drafts are not shown')


def test_drafts_of_a_model(root, windows, model):
    with serve(root, inferencer=model) as address:
        window = windows(address)
        window.polygon(0, SQUARE)
        [drawn] = window.shapes
        window.page.locator('#run-whole').click()
        wait_for(lambda: window.get('job')['state'] == 'done')
        window.idle()
        counts = {}
        for value in (0.05, 0.3, 0.5, 0.7, 0.9):
            set_slider(window, 'threshold', str(value))
            counts[value] = len(window.get('drafts'))
        assert len(set(counts.values())) > 2
        set_slider(window, 'threshold', str(max(counts, key=counts.get)))
        drafts = window.get('drafts')
        assert len(drafts) > 3 and window.shapes == [drawn]

        set_slider(window, 'min-area', '30')
        least = 0.3 ** 2 * 2500
        large = window.get('drafts')
        assert 0 < len(large) < len(drafts)
        assert all(as_polygon(shape['rings']).area > least / 2
                   for shape in large)
        set_slider(window, 'min-area', '0')

        drafts = window.get('drafts')
        index = next(index for index, draft in enumerate(drafts)
                     if movable(draft['rings'][0]))
        first = drafts[index]
        second = drafts[(index + 1) % len(drafts)]
        rest = [draft for draft in drafts if draft not in (first, second)]
        window.press(*'.' * (index + 1))
        assert f'{index + 1} of {len(drafts)}' == window.page.locator(
            '#draft-count').inner_text()
        window.press('a')
        kept, accepted = window.shapes
        assert kept == drawn and accepted['source'] == 'model'
        assert accepted['rings'] == first['rings']
        assert accepted['probability'] == first['probability']
        # The next one is selected; a button of the card rejects it.
        window.page.locator('.draft-card .reject').click()
        assert [shape['rings'] for shape in window.get('drafts')] == [
            shape['rings'] for shape in rest]
        # What was judged does not come back at another threshold.
        set_slider(window, 'threshold', '0.05')
        set_slider(window, 'threshold', str(max(counts, key=counts.get)))
        assert len(window.get('drafts')) <= len(rest)

        window.press('Control+z')
        assert second['rings'] in [
            shape['rings'] for shape in window.get('drafts')]
        window.press('Control+Shift+Z', 'Shift+R')
        assert window.get('drafts') == [] and len(window.shapes) == 2

        window.press('f')
        vertex, moved = movable(accepted['rings'][0])
        window.click(2, shapely.Polygon(
            accepted['rings'][0]).representative_point().coords[0])
        window.drag(2, [vertex, moved])
        kept, corrected = window.shapes
        assert kept == drawn and corrected['source'] == 'person'
        assert corrected['rings'] != accepted['rings']
    assert len(stored(root)['shapes']) == 2


def test_second_window_is_told(window, site, windows, root):
    window.polygon(0, SQUARE)
    second = windows(site)
    banner = second.page.locator('#banner-text')
    assert 'another window' in banner.inner_text()
    assert not second.get('editable')
    second.polygon(0, OTHER)
    assert len(second.shapes) == 1 and len(stored(root)['shapes']) == 1

    second.page.locator('#banner-action').click()
    second.wait('editable')
    second.polygon(0, OTHER)
    assert len(stored(root)['shapes']) == 2
    # The first is told at its next edit at the latest; nothing is lost.
    window.polygon(1, [[20, 220], [50, 220], [50, 270]])
    wait_for(lambda: window.get('saveState') == 'locked')
    assert 'another window' in window.page.locator(
        '#banner-text').inner_text()
    assert len(stored(root)['shapes']) == 2
    assert second.shapes == [shape for shape in second.shapes]
    assert len(window.get('document')['shapes']) == 2


def test_file_that_was_changed_elsewhere(window, root):
    window.polygon(0, SQUARE)

    def edit_file(right):
        path = root / 'annotations' / 'one.json'
        file = stored(root)
        file['shapes'][0]['points'] = [*OTHER, [right, 140]]
        path.write_text(json.dumps(file))

    edits = []

    def edit_then_save(route):
        if edits:
            edit_file(edits.pop())
        route.continue_()

    window.page.route('**/document', edit_then_save)

    for button, right in (('conflict-reload', 200),
                          ('conflict-overwrite', 205)):
        edits.append(right)
        window.polygon(0, [[20, 220], [50, 220], [50, 270]])
        mine = window.get('document')['shapes']
        wait_for(lambda: window.get('saveState') == 'conflict')
        theirs = stored(root)['shapes']
        assert theirs[0]['points'][-1] == [right, 140]
        dialog = window.page.locator('#conflict')
        assert dialog.is_visible()
        window.page.locator(f'#{button}').click()
        wait_for(lambda: window.get('saveState') == 'saved')
        assert not dialog.is_visible()
        rings = [shape['rings'] for shape in window.shapes]
        assert rings == (
            [[shape['points']] for shape in theirs] if right == 200
            else [shape['rings'] for shape in mine])
    assert [shape['rings'] for shape in stored(root)['shapes']] == rings

    # Where nothing is unsaved, the page shows what the file holds now.
    window.get('setView({x: 200, y: 150, scale: 1})')
    edit_file(210)
    wait_for(lambda: window.shapes[0]['rings'][0][-1] == [210, 140])


def test_killed_server_loses_nothing(root, windows):
    port = driving.free_port()
    with serve_tool(root, port) as process:
        window = windows(driving.address_of(port))
        window.polygon(0, SQUARE)
        assert len(stored(root)['shapes']) == 1
        process.kill()
        process.wait()
    window.page.keyboard.press('p')
    for point in OTHER:
        window.click(1, point)
    window.page.keyboard.press('Enter')
    wait_for(lambda: window.get('saveState') == 'failed')
    assert 'does not answer' in window.page.locator(
        '#banner-text').inner_text()
    # The page goes as well: the browser keeps what was not saved.
    window.page.on('dialog', lambda dialog: dialog.accept())
    context = window.page.context
    window.page.close()
    with serve(root, port=port):
        again = windows(driving.address_of(port), context)
        wait_for(lambda: again.get('saveState') == 'saved')
        assert len(again.shapes) == 2
        assert len(stored(root)['shapes']) == 2


def test_lost_answer_is_no_conflict(window, root):
    window.polygon(0, SQUARE)
    lost = []

    def store_and_cut(route):
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().json()['version'])
            route.abort()

    window.page.route('**/document', store_and_cut)
    window.polygon(1, OTHER)
    wait_for(lambda: window.get('saveState') == 'saved')
    assert window.get('document')['version'] == lost[0]
    assert len(stored(root)['shapes']) == 2
    window.polygon(2, [[20, 220], [50, 220], [50, 270]])
    assert len(stored(root)['shapes']) == 3


def test_closing_at_once_saves(window, root):
    window.page.keyboard.press('p')
    for point in SQUARE:
        window.click(0, point)
    window.page.keyboard.press('Enter')
    wait_for(lambda: len(window.get('document')['shapes']) == 1)
    window.page.goto('about:blank')
    wait_for(lambda: (root / 'annotations' / 'one.json').is_file()
             and stored(root)['shapes'])


def test_pairs_states_and_notes(window, root):
    page = window.page
    page.locator('#notes').fill('clouds in the east')
    page.locator('#notes').press('Control+Enter')
    wait_for(lambda: window.get('pair') == 'two')
    window.idle()
    file = stored(root)
    assert file['flags'] == dict(draft=False, done=True)
    assert 'clouds in the east' in json.dumps(file)
    assert page.locator('#progress-text').inner_text() == '1 of 2 done'
    page.locator('#filter').fill('on')
    assert page.locator('#pair-list .name').all_inner_texts() == ['one']
    page.locator('#filter').fill('')
    page.locator('#filter-state').select_option('todo')
    assert page.locator('#pair-list .name').all_inner_texts() == ['two']
    page.locator('#previous').click()
    wait_for(lambda: window.get('pair') == 'one')
    window.idle()
    assert page.locator('#notes').input_value() == 'clouds in the east'
    page.locator('[data-state=draft]:not(.sidebar *)').click()
    window.idle()
    assert stored(root)['flags'] == dict(draft=True, done=False)


def canvas_pixels(window, pane, points):
    """RGB of an image canvas at points of the grid."""
    return np.array(window.page.evaluate(
        """([pane, points]) => {
          const canvas = document.querySelectorAll('canvas.image')[pane];
          const box = canvas.getBoundingClientRect();
          return points.map((point) => {
            const [x, y] = annotator.toClient(pane, point);
            return Array.from(canvas.getContext('2d').getImageData(
              x - box.left, y - box.top, 1, 1).data.slice(0, 3));
          });
        }""", [pane, points]))


def test_panes_show_one_place(window, root):
    points = [[50.5, 40.5], [120.5, 200.5], [333.5, 250.5]]
    window.press('z')
    assert window.get('view')['scale'] == 1
    window.get('setView({x: 200, y: 150, scale: 1})')
    window.idle()
    inside = points[1:2]
    expected = picture(0, 3)[200, 120]
    assert np.abs(canvas_pixels(window, 0, inside)[0] - expected).max() <= 1
    gray = canvas_pixels(window, 1, inside)[0]
    assert gray.std() == 0

    # The point below the cursor stays when the wheel zooms.
    window.move(2, [180, 120])
    before = window.at(2, [180, 120])
    window.page.mouse.wheel(0, -400)
    window.wait('lastRedrawMs')
    window.idle()
    assert window.get('view')['scale'] > 1.5
    np.testing.assert_allclose(window.at(2, [180, 120]), before, atol=0.01)
    np.testing.assert_allclose(
        np.subtract(window.at(2, [10, 10]), window.at(0, [10, 10])),
        np.subtract(window.at(2, [90, 70]), window.at(0, [90, 70])))
    assert window.page.locator('.pane.crossed').count() == 3
    assert window.get('lastSharpMs') >= window.get('lastRedrawMs') > 0

    window.get('setView({x: 200, y: 150, scale: 1})')
    for button in ('left', 'middle'):
        old = window.get('view')
        window.drag(0, [[200, 150], [230, 140]], button)
        assert window.get('view')['x'] == pytest.approx(old['x'] - 30)
        assert window.get('view')['y'] == pytest.approx(old['y'] + 10)


def test_swipe_blink_and_stretch(window, root):
    page = window.page
    window.get('setView({x: 200, y: 150, scale: 1})')
    window.press('s')
    assert page.locator('.pane').count() == 1
    # Left of the divider A, right of it B.
    left, right = canvas_pixels(window, 0, [[150.5, 120.5], [250.5, 120.5]])
    assert np.abs(left - picture(0, 3)[120, 150]).max() <= 1
    assert right.std() == 0
    page.locator('.divider').press('ArrowLeft')
    assert page.locator('.divider').get_attribute('aria-valuenow') == '48'
    window.press('q')
    _, right = canvas_pixels(window, 0, [[150.5, 120.5], [250.5, 120.5]])
    assert np.abs(right - picture(20, 3)[120, 250]).max() <= 1
    window.polygon(0, SQUARE)
    assert len(window.shapes) == 1

    window.press('i')
    seen = set()

    def both():
        seen.add(tuple(canvas_pixels(window, 0, [[250.5, 120.5]])[0]))
        return len(seen) == 2

    wait_for(both)
    window.press('i')
    assert page.locator('.pane').count() == 3
    with page.expect_request(lambda request: 'mode=percentile' in request.url
                             and 'bands=2&' in request.url + '&'):
        page.get_by_label('Stretch of A').click()
        page.locator('#stretch-mode').select_option('percentile')
        page.get_by_label('Bands shown').select_option('1')
        page.locator('#stretch-bands select').last.select_option('2')
    window.idle()
    assert canvas_pixels(window, 0, [[50.5, 40.5]])[0].std() == 0


def test_help_lists_what_keys_do(window):
    window.page.keyboard.press('?')
    sheet = window.page.locator('#help')
    assert sheet.is_visible()
    for text in ('polygon', 'undo', 'accept all', 'swipe'):
        assert text in sheet.inner_text()
    window.page.keyboard.press('Escape')
    assert not sheet.is_visible()


def test_controls_have_names(window):
    assert window.page.evaluate("""() => [...document.querySelectorAll(
      'button, select, input, textarea')].filter((element) =>
        element.checkVisibility() && !element.getAttribute('aria-label')
        && !element.innerText.trim() && !element.labels?.length)
      .map((element) => element.outerHTML)""") == []


def test_wrong_token(site, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.split('?')[0] + '?token=wrong-token')
    page.locator('#fatal').wait_for(state='visible')
    assert 'tools/annotate.py printed' in page.locator(
        '#fatal-text').inner_text()
    context.close()


def test_many_polygons_move_with_the_panes(root, windows):
    rng = np.random.default_rng(0)
    corners = rng.uniform(5, [390, 290], (2000, 2))
    shapes = [dict(label='changed', shape_type='polygon', flags={},
                   group_id=None, description='',
                   points=(corner + [[0, 0], [4, 0], [4, 4], [0, 4]]
                           ).tolist()) for corner in corners]
    (root / 'annotations').mkdir()
    (root / 'annotations' / 'one.json').write_text(json.dumps(dict(
        version='5.0.1', flags={}, shapes=shapes, imagePath='../A/one.tif',
        imageData=None, imageHeight=300, imageWidth=400)))
    with serve(root) as address:
        window = windows(address)
        assert len(window.shapes) == 2000
        before, drawn = window.get('view'), len(window.get('redraws'))
        window.drag(0, [[100, 100], [200, 150], [120, 140], [180, 120]],
                    'middle')
        assert len(window.get('redraws')) > drawn + 3
        moved = window.get('view')
        assert moved['scale'] == before['scale']
        assert before['x'] - moved['x'] == pytest.approx(80, abs=2)
        assert before['y'] - moved['y'] == pytest.approx(20, abs=2)


MODULES = """async () => {
  const view = await import('/page/view.js');
  const {History} = await import('/page/history.js');
  const shapes = await import('/page/shapes.js');
  const grid = {width: 1000, height: 500};
  const size = {width: 400, height: 300};
  const ring = [[0, 0], [10, 0], [10, 10], [0, 10]];
  const hole = [[4, 4], [6, 4], [6, 6], [4, 6]];
  const rings = [ring, hole];
  const history = new History('a', 2);
  history.commit('b', 'one');
  history.commit('c', 'two');
  history.commit('d', 'three');
  const undone = [history.undo(), history.undo(), history.undo()];
  const after = [history.present, history.redo(), history.present,
    history.canRedo];
  const shape = {id: 's', label: 'x', rings, source: 'model',
    probability: .5};
  return {
    screen: view.toScreen({x: 10, y: 20, scale: 2}, size, [15, 10]),
    grid: view.toGrid({x: 10, y: 20, scale: 2}, size, [210, 130]),
    fit: view.fitBox([0, 0, 1000, 500], {width: 424, height: 324}),
    levels: [4, 1, 0.5, 0.3, 0.25, 0.01].map(
      (scale) => view.levelFor(scale, 1, 5)),
    tiles: view.tilesIn([-50, 200, 300, 600], 0, grid, 256).length,
    bar: view.scaleBar(0.5, 10),
    undone, after,
    area: shapes.areaOf(rings),
    contains: [[1, 1], [5, 5], [11, 5]].map(
      (point) => shapes.contains(rings, point)),
    inside: shapes.contains(rings, shapes.pointInside(rings)),
    vertex: shapes.nearestVertex(rings, [6.4, 6.3], 1),
    edge: shapes.nearestEdge(rings, [10.5, 3], 1),
    without: shapes.removeVertex([ring, hole.slice(0, 3)],
      {ring: 1, index: 0}).length,
    gone: shapes.removeVertex([ring.slice(0, 3)], {ring: 0, index: 0}),
    simple: [[ring], rings, [[[0, 0], [10, 10], [10, 0], [0, 10]]],
      [ring, [[8, 8], [12, 8], [12, 12]]]].map(
        (polygon) => shapes.isSimple(polygon)),
    strokes: [[[5, 5]], [[20, 5]], [[-5, 1], [15, 1]]].map(
      (path) => shapes.strokeMeets(rings, path, 0.5)),
    replaced: shapes.replaced([shape], new Map([['s', [[ring], [hole]]]])),
    drafts: shapes.openDrafts([{rings: [hole]}, {rings: [[[20, 20],
      [30, 20], [30, 30]]]}, {rings: [[[40, 40], [50, 40], [50, 50]]]}],
      [[[[40, 39], [51, 40], [51, 51]]]], [{rings: [ring]}]).length,
  };
}"""


def test_modules_without_a_page(window):
    found = window.page.evaluate(MODULES)
    assert found['screen'] == [210, 130] and found['grid'] == [15, 10]
    assert found['fit'] == dict(x=500, y=250, scale=0.4)
    assert found['levels'] == [0, 0, 1, 2, 2, 4]
    # Columns 0 and 1 of rows 0 and 1.
    assert found['tiles'] == 4
    assert found['bar'] == [100, 2000]
    assert found['undone'] == ['three', 'two', None]
    assert found['after'] == ['b', 'two', 'c', True]
    assert found['area'] == 96
    assert found['contains'] == [True, False, False] and found['inside']
    assert (found['vertex']['ring'], found['vertex']['index']) == (1, 2)
    assert found['edge']['point'] == [10, 3] and found['edge']['index'] == 2
    assert found['without'] == 1 and found['gone'] is None
    assert found['simple'] == [True, True, False, False]
    assert found['strokes'] == [False, False, True]
    first, second = found['replaced']
    assert first['id'] == 's' and first['source'] == 'person'
    assert first['probability'] is None and second['id'] != 's'
    assert found['drafts'] == 1


def test_small_window_clips_nothing(window):
    clipped = window.page.evaluate("""() => [...document.querySelectorAll(
      '.topbar button, .viewbar button, .sidebar button, .tools button')]
      .filter((element) => element.offsetParent
        && !element.querySelector('.name')
        && element.scrollWidth > element.clientWidth + 1)
      .map((element) => element.outerHTML)""")
    assert clipped == []
    frame = window.page.evaluate(
        '[document.documentElement.scrollWidth, innerWidth]')
    assert frame[0] <= frame[1]


def test_measured_in_a_browser(root, browser):
    with serve(root) as address:
        found = driving.measure(browser, address, zooms=4)
    # The wheel cannot go beyond the ends of the scale.
    assert 8 <= len(found['redraw']) == len(found['sharp'])
    assert all(0 < redraw <= sharp for redraw, sharp in zip(
        found['redraw'], found['sharp']))
    assert found['redraw_median'] == pytest.approx(
        np.median(found['redraw']))


def test_geotiffs_of_one_date_pair(tmp_path, windows):
    root = make_root(tmp_path / 'two', names=('one', ), folders=('A', 'B'))
    with serve(root) as address:
        window = windows(address)
        assert window.page.locator('.pane').count() == 2
        window.polygon(1, SQUARE)
        assert len(stored(root)['shapes']) == 1
