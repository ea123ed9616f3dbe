/** Keyboard shortcuts, and the sheet that lists them. */

/** [combinations, what the sheet shows, what it does, action] by group. */
export const SHORTCUTS = [
  ['View', [
    [[], 'Wheel', 'zoom at the cursor'],
    [['+', '='], '+', 'zoom in at the cursor', (app) => app.zoomBy(1.5)],
    [['-'], '−', 'zoom out', (app) => app.zoomBy(1 / 1.5)],
    [['f'], 'F', 'whole pair', (app) => app.viewer.fit()],
    [['g'], 'G', 'go to the selected polygon', (app) => app.goToSelection()],
    [['z'], 'Z', 'one image pixel to one screen pixel',
      (app) => app.zoomTo(1)],
    [[], 'Space + drag', 'move the view; also the middle button'],
    [['arrowleft'], '← ↑ → ↓', 'move the view', (app) => app.panBy(1, 0)],
    [['arrowright'], null, null, (app) => app.panBy(-1, 0)],
    [['arrowup'], null, null, (app) => app.panBy(0, 1)],
    [['arrowdown'], null, null, (app) => app.panBy(0, -1)],
    [['s'], 'S', 'swipe between two images, on and off',
      (app) => app.toggleMode('swipe')],
    [['i'], 'I', 'blink between two images, on and off',
      (app) => app.toggleMode('blink')],
    [['q'], 'Q', 'the next two images to swipe or blink',
      (app) => app.nextCompared()],
    [['h'], 'H', 'show or hide annotations',
      (app) => app.toggleAnnotations()],
    [['u'], 'U', 'fill polygons, or outlines alone',
      (app) => app.toggleFill()],
    [['x'], 'X', 'linked cross-hair', (app) => app.toggleCross()],
  ]],
  ['Draw', [
    [['v'], 'V', 'select, move vertices', (app) => app.tool('select')],
    [['m'], 'M', 'move the view by dragging', (app) => app.tool('pan')],
    [['p'], 'P', 'polygon', (app) => app.tool('polygon')],
    [['b'], 'B', 'brush', (app) => app.tool('brush')],
    [['e'], 'E', 'eraser', (app) => app.tool('erase')],
    [['['], '[  ]', 'smaller or larger brush',
      (app) => app.scaleRadius(1 / 1.2)],
    [[']'], null, null, (app) => app.scaleRadius(1.2)],
    [['k'], 'K', 'split by a line', (app) => app.tool('split')],
    [['enter'], 'Enter', 'close the polygon, cut along the line',
      (app) => app.tools.finish()],
    [['backspace'], 'Backspace', 'take the last point back',
      (app) => app.takeBack()],
    [['escape'], 'Esc', 'give up what is being drawn; select nothing',
      (app) => app.escape()],
  ]],
  ['Edit', [
    [[], 'Shift + click', 'add to the selection'],
    [['1', '2', '3', '4', '5', '6', '7', '8', '9'], '1 … 9',
      'class of the selected and of new polygons',
      (app, key) => app.setLabelByNumber(Number(key))],
    [['delete'], 'Delete', 'the vertex below the cursor, or the selected '
      + 'polygons', (app) => app.deleteSelected()],
    [['j'], 'J', 'merge the selected polygons', (app) => app.merge()],
    [['ctrl+a'], 'Ctrl + A', 'select all', (app) => app.selectAll()],
    [['ctrl+z'], 'Ctrl + Z', 'undo', (app) => app.undo()],
    [['ctrl+shift+z', 'ctrl+y'], 'Ctrl + Shift + Z', 'redo',
      (app) => app.redo()],
  ]],
  ['Pre-annotation', [
    [['d'], 'D', 'let the model mark the view',
      (app) => app.runDrafts(false)],
    [['shift+d'], 'Shift + D', '… or the whole pair',
      (app) => app.runDrafts(true)],
    [['.'], ',  .', 'previous or next draft',
      (app) => app.stepDraft(1)],
    [[','], null, null, (app) => app.stepDraft(-1)],
    [['a'], 'A', 'accept this draft', (app) => app.acceptDraft()],
    [['r'], 'R', 'reject this draft', (app) => app.rejectDraft()],
    [['shift+a'], 'Shift + A', 'accept all', (app) => app.acceptAll()],
    [['shift+r'], 'Shift + R', 'reject all', (app) => app.rejectAll()],
  ]],
  ['Pairs', [
    [['pagedown'], 'Page Down', 'next pair', (app) => app.stepPair(1)],
    [['pageup'], 'Page Up', 'previous pair', (app) => app.stepPair(-1)],
    [['ctrl+enter'], 'Ctrl + Enter', 'done, and on to the next',
      (app) => app.finishPair()],
    [['ctrl+s'], 'Ctrl + S', 'save now (it happens by itself)',
      (app) => app.session?.save()],
    [['?'], '?', 'this sheet', (app) => app.showHelp()],
  ]],
];

const ACTIONS = new Map(SHORTCUTS.flatMap(([, entries]) => entries.flatMap(
  ([combinations, , , action]) => combinations.map(
    (combination) => [combination, action]))));

const WRITTEN = 'textarea, select, input:not([type=range])';
const OF_SLIDERS = /^(arrow|page|home|end)/;

/** A name such as `ctrl+shift+z`; Shift counts with letters alone. */
export function combinationOf(event) {
  const key = event.key.toLowerCase();
  const shift = event.shiftKey && /^[a-z]$/.test(key);
  return [(event.ctrlKey || event.metaKey) && 'ctrl', event.altKey && 'alt',
    shift && 'shift', key].filter(Boolean).join('+');
}

/** Answer keys of the whole page. */
export function listen(app) {
  addEventListener('keydown', (event) => {
    const target = event.target.matches ? event.target : document.body;
    if (document.querySelector('dialog[open]')) {
      return;
    }
    const combination = combinationOf(event);
    if (target.matches(WRITTEN)) {
      if (combination === 'escape') {
        target.blur();
        return;
      }
      if (!/^ctrl\+(enter|s)$/.test(combination)) {
        return;
      }
    }
    if (target.matches('input[type=range], .divider')
      && OF_SLIDERS.test(combination)) {
      return;
    }
    if (target.matches('button') && /^( |enter)$/.test(combination)) {
      return;
    }
    if (combination === ' ') {
      event.preventDefault();
      app.tools.setSpace(true);
      return;
    }
    const action = ACTIONS.get(combination);
    if (action) {
      event.preventDefault();
      action(app, event.key);
      if (app.viewer.frame !== undefined) {
        app.viewer.measure(event);
      }
    }
  });
  addEventListener('keyup', (event) => {
    if (event.key === ' ') {
      app.tools.setSpace(false);
    }
  });
  addEventListener('blur', () => app.tools.setSpace(false));
}
