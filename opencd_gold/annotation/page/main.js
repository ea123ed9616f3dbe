/**
 * The page of tools/annotate.py: what connects its parts.
 *
 * `window.annotator` is for tests and measurements:
 *
 * - `view` {x, y, scale}, `mode`, `level`: what the panes show;
 * - `document` {version, state, notes, shapes}, `saveState`, `editable`;
 * - `drafts`, `selection`: lists of shapes; `draft`: the one to be judged;
 * - `job`: the model's, or null;
 * - `waitForIdle()`: resolves when all tiles are drawn, geometry is computed
 *   and everything is saved (or cannot be);
 * - `toClient(pane, [x, y])`: where a point of the grid is on the screen;
 * - `setView(view)`, `goTo(view)`: show a place, the latter with as little as
 *   possible beyond the grid;
 * - `redraws`: milliseconds from events that moved the view to the end of
 *   drawing the answer in all panes, the last 1000; `lastRedrawMs`, the last
 *   of them; `lastSharpMs`, the same until every tile of that view was drawn.
 */
import {Api, ApiError, readToken} from './api.js';
import {Drafts} from './drafts.js';
import {Interface} from './interface.js';
import {listen} from './keys.js';
import {Session, takeWindowId} from './session.js';
import * as geometry from './shapes.js';
import {Tools} from './tools.js';
import {Viewer, padded} from './viewer.js';
import {toScreen} from './view.js';

const tidy = (rings) => rings.map((ring) => ring.map(
  (point) => point.map((value) => Math.round(value * 100) / 100)));

export class Annotator {
  constructor() {
    this.api = new Api(readToken());
    this.windowId = takeWindowId();
    this.session = null;
    this.work = Promise.resolve();
    this.waiting = 0;
    this.viewer = new Viewer(document.getElementById('panes'),
      document.getElementById('pane'), this.api);
    this.drafts = new Drafts(this.api);
    this.tools = new Tools(this.viewer, this);
    this.interface = new Interface(this);
    this.chosen = new Map();
    this.drafts.addEventListener('change', () => this.#showScene());
    this.drafts.addEventListener('selection',
      () => this.viewer.request('overlay'));
  }

  async start() {
    listen(this);
    addEventListener('pagehide', () => this.session?.leave());
    addEventListener('pageshow', (event) => {
      if (event.persisted) {
        location.reload();
      }
    });
    addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') {
        this.session?.save();
      }
    });
    addEventListener('beforeunload', (event) => {
      if (this.session?.dirty) {
        event.preventDefault();
      }
    });
    addEventListener('hashchange', () => this.openPair(this.#hash()));
    try {
      this.project = await this.api.get('project');
    } catch (error) {
      this.interface.fatal(error.status === 401
        ? 'The token is missing or wrong. Open the address that '
          + 'tools/annotate.py printed when it started.' : error.message);
      return;
    }
    this.label = this.project.classes[0].name;
    this.viewer.setScene({colors: new Map(this.project.classes.map(
      ({name, color}) => [name, color]))});
    this.drafts.threshold = this.project.model?.threshold ?? 0.5;
    this.interface.showProject();
    const known = (id) => this.project.pairs.some((pair) => pair.id === id);
    const first = this.project.pairs.find(({state}) => state !== 'done');
    await this.openPair(known(this.#hash()) ? this.#hash()
      : (first ?? this.project.pairs[0]).id);
  }

  #hash() {
    return decodeURIComponent(location.hash.slice(1));
  }

  // Pairs.

  get shapes() {
    return this.session?.shapes ?? [];
  }

  /** The line of the project's list that is open. */
  get entry() {
    return this.project.pairs.find(({id}) => id === this.session?.pair.id);
  }

  async openPair(id) {
    if (this.opening || id === this.session?.pair.id
      || !this.project?.pairs.some((pair) => pair.id === id)) {
      return;
    }
    this.opening = true;
    try {
      await this.#open(id);
    } catch (error) {
      this.report(error);
    } finally {
      this.opening = false;
    }
  }

  async #open(id) {
    await this.work;
    const before = this.session;
    if (before?.editable && !await before.flush()) {
      this.interface.toast('This pair is not saved yet: the server does not '
        + 'answer.', 'bad');
      return;
    }
    const pair = await this.api.get(`pairs/${encodeURIComponent(id)}`);
    await before?.close();
    const session = new Session(this.api, this.windowId, pair);
    this.session = session;
    history.replaceState(null, '', `#${encodeURIComponent(id)}`);
    this.tools.cancel();
    this.tools.select([]);
    this.viewer.open(pair, pair.images.map((image) => this.#stretchOf(
      image)));
    this.drafts.attach(session);
    this.#follow(session);
    this.interface.showPair();
    this.#showScene();
    const restored = await session.start();
    if (restored === 'restored') {
      this.interface.toast('Changes that an earlier window could not save '
        + 'are back.', 'good');
    }
  }

  #follow(session) {
    const mine = (action) => (event) => {
      if (this.session === session) {
        action(event);
      }
    };
    session.addEventListener('change', mine(() => {
      const ids = new Set(this.shapes.map(({id}) => id));
      if ([...this.tools.selected].some((id) => !ids.has(id))) {
        this.tools.select([...this.tools.selected].filter(
          (id) => ids.has(id)));
      }
      this.tools.hover = null;
      this.#showScene();
      this.entry.state = session.state;
      this.entry.shapes = session.shapes.length;
      this.interface.showDocument();
    }));
    session.addEventListener('status', mine(
      () => this.interface.showStatus()));
    session.addEventListener('conflict', mine(
      () => this.interface.showConflict()));
    session.addEventListener('reloaded', mine(() => {
      this.tools.cancel();
      this.interface.showPair();
      this.interface.toast('The annotation was changed elsewhere and is '
        + 'shown as it is now.');
    }));
  }

  #showScene() {
    this.viewer.setScene({shapes: this.shapes, drafts: this.drafts.open});
  }

  stepPair(step) {
    const {pairs} = this.project;
    const index = pairs.indexOf(this.entry);
    return this.openPair(pairs[(index + step + pairs.length)
      % pairs.length].id);
  }

  /** Mark as done and open the next that is not. */
  finishPair() {
    if (!this.mayEdit()) {
      return;
    }
    this.session.setState('done');
    const {pairs} = this.project;
    const index = pairs.indexOf(this.entry);
    const next = [...pairs.slice(index + 1), ...pairs.slice(0, index)]
      .find(({state}) => state !== 'done');
    if (next) {
      this.openPair(next.id);
    } else {
      this.interface.toast('All pairs are done.', 'good');
    }
  }

  // Stretch: what was chosen holds for images of that kind.

  #kindOf({key, sensor, bands, dtype}) {
    return [key, sensor, bands, dtype].join(' ');
  }

  #stretchOf(image) {
    return this.chosen.get(this.#kindOf(image)) ?? image.stretch;
  }

  setStretch(index, stretch) {
    const image = this.session.pair.images[index];
    if (stretch) {
      this.chosen.set(this.#kindOf(image), stretch);
    } else {
      this.chosen.delete(this.#kindOf(image));
    }
    this.viewer.setStretch(index, stretch ?? image.stretch);
  }

  // Edits.

  /** Whether edits are possible now; says why where they are not. */
  mayEdit() {
    if (this.session?.editable) {
      return true;
    }
    this.interface.toast('This pair is open for reading alone.', 'bad');
    return false;
  }

  report(error) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    this.interface.toast(error.message, 'bad');
  }

  /** One after the other: what needs the server's geometry. */
  #enqueue(action) {
    const {session} = this;
    this.waiting += 1;
    const result = this.work.then(() => (session === this.session
      ? action(session) : null)).catch((error) => this.report(error));
    this.work = result.finally(() => {
      this.waiting -= 1;
    });
    return result;
  }

  async #compute(operation, body) {
    const {width, height} = this.viewer.grid;
    const answer = await this.api.call('POST', 'geometry',
      {operation, size: [width, height], ...body});
    return operation === 'erase'
      ? answer.results.map((polygons) => polygons.map(tidy))
      : answer.shapes.map(({rings}) => tidy(rings));
  }

  /** The parts of a polygon without edges that cross. */
  async #valid(rings) {
    const neat = tidy(rings);
    return geometry.isSimple(neat) ? [neat]
      : this.#compute('valid', {rings: neat});
  }

  addPolygon(points) {
    const {label} = this;
    return this.#enqueue(async (session) => {
      const added = (await this.#valid([points])).map(
        (rings) => geometry.newShape(label, rings));
      if (session.edit('draw a polygon', [...session.shapes, ...added])) {
        this.tools.select(added.map(({id}) => id));
      }
    });
  }

  changeRings(shape, rings, label) {
    const neat = tidy(rings);
    if (!this.waiting && geometry.isSimple(neat)) {
      this.#replace(this.session, new Map([[shape.id, [neat]]]), label);
      return Promise.resolve();
    }
    return this.#enqueue(async (session) => this.#replace(session,
      new Map([[shape.id, await this.#valid(neat)]]), label));
  }

  #replace(session, changes, label) {
    session.edit(label, geometry.replaced(session.shapes, changes));
  }

  /** The selected polygon if the stroke meets it, or that it begins in. */
  #brushTarget(session, path, radius, label) {
    const met = ({rings}) => geometry.strokeMeets(rings, path, radius);
    return session.shapes.find((shape) => this.tools.selected.has(shape.id)
      && shape.label === label && met(shape))
      ?? geometry.shapeAt(session.shapes.filter(
        (shape) => shape.label === label), path[0]);
  }

  brush({path, radius}) {
    const {label} = this;
    return this.#enqueue(async (session) => {
      const target = this.#brushTarget(session, path, radius, label);
      const polygons = await this.#compute('brush',
        {path, radius, add_to: target?.rings ?? null});
      if (!polygons.length) {
        return;
      }
      if (target && session.shapes.includes(target)) {
        this.#replace(session, new Map([[target.id, polygons]]), 'brush');
        this.tools.select([target.id]);
      } else {
        const added = polygons.map(
          (rings) => geometry.newShape(label, rings));
        session.edit('brush', [...session.shapes, ...added]);
        this.tools.select(added.map(({id}) => id));
      }
    });
  }

  /** Selected shapes that a line meets, or all that it meets. */
  #met(session, path, radius) {
    const met = session.shapes.filter(
      ({rings}) => geometry.strokeMeets(rings, path, radius));
    const selected = met.filter(({id}) => this.tools.selected.has(id));
    return selected.length ? selected : met;
  }

  erase({path, radius}) {
    return this.#enqueue(async (session) => {
      const met = this.#met(session, path, radius);
      if (!met.length) {
        return;
      }
      const results = await this.#compute('erase', {path, radius,
        polygons: met.map(({rings}) => rings)});
      const touched = met.map((shape, index) => [shape, results[index]])
        .filter(([{rings}, polygons]) => JSON.stringify(tidy(rings))
          !== JSON.stringify(polygons[0]));
      if (touched.length) {
        this.#replace(session, new Map(touched.map(
          ([{id}, polygons]) => [id, polygons])), 'erase');
      }
    });
  }

  split(line) {
    return this.#enqueue(async (session) => {
      const changes = new Map();
      for (const {id, rings} of this.#met(session, line, 0)) {
        const parts = await this.#compute('split', {rings, line});
        if (parts.length > 1) {
          changes.set(id, parts);
        }
      }
      if (changes.size) {
        this.#replace(session, changes, 'split');
      } else {
        this.interface.toast('The line cuts no polygon in two. It has to '
          + 'begin and end outside of it.');
      }
    });
  }

  merge() {
    if (!this.mayEdit()) {
      return Promise.resolve();
    }
    const chosen = this.tools.selection;
    if (chosen.length < 2) {
      this.interface.toast('Select two or more polygons to merge '
        + '(Shift + click).');
      return Promise.resolve();
    }
    return this.#enqueue(async (session) => {
      const polygons = await this.#compute('merge',
        {polygons: chosen.map(({rings}) => rings)});
      if (polygons.length >= chosen.length) {
        this.interface.toast('These polygons do not touch.');
        return;
      }
      const [first, ...others] = chosen;
      this.#replace(session, new Map([[first.id, polygons],
        ...others.map(({id}) => [id, []])]), 'merge');
      this.tools.select([first.id]);
    });
  }

  deleteShapes(ids) {
    const gone = new Set(ids);
    this.session.edit(gone.size > 1 ? 'delete polygons' : 'delete a polygon',
      this.shapes.filter(({id}) => !gone.has(id)));
  }

  deleteSelected() {
    if (this.tools.selection.length && this.mayEdit()
      && !this.tools.deleteVertex()) {
      this.deleteShapes(this.tools.selected);
    }
  }

  takeBack() {
    if (this.tools.points.length) {
      this.tools.takeBack();
    } else {
      this.deleteSelected();
    }
  }

  selectAll() {
    this.tools.select(this.shapes.map(({id}) => id));
  }

  /** Class of new polygons, and of those that are selected. */
  setLabel(label) {
    this.label = label;
    const {selected} = this.tools;
    const changes = (shape) => selected.has(shape.id)
      && shape.label !== label;
    if (this.shapes.some(changes) && this.mayEdit()) {
      this.session.edit('change class', this.shapes.map((shape) => (
        changes(shape) ? {...shape, label} : shape)));
    }
    this.interface.showClasses();
    this.viewer.request('overlay');
  }

  setLabelByNumber(number) {
    const found = this.project.classes[number - 1];
    if (found) {
      this.setLabel(found.name);
    }
  }

  async undo() {
    await this.work;
    this.#stepped('Undone', this.session?.undo());
  }

  async redo() {
    await this.work;
    this.#stepped('Done again', this.session?.redo());
  }

  #stepped(what, label) {
    if (label) {
      this.interface.hint(`${what}: ${label}`);
    }
  }

  escape() {
    this.drafts.select(null);
    this.tools.cancel();
  }

  // View.

  tool(name) {
    this.tools.choose(name);
  }

  scaleRadius(factor) {
    this.tools.setRadius(this.tools.radius * factor);
  }

  zoomBy(factor) {
    this.viewer.zoom(factor);
  }

  zoomTo(scale) {
    this.viewer.zoom(scale / this.viewer.view.scale);
  }

  panBy(x, y) {
    const {width, height} = this.viewer.size;
    this.viewer.pan(x * width / 5, y * height / 5);
  }

  goTo(shapes) {
    if (shapes.length) {
      this.viewer.fit(padded(shapes.flatMap(({rings}) => rings[0])), 0);
      this.viewer.goTo(this.viewer.view);
    }
  }

  goToSelection() {
    const {current} = this.drafts;
    this.goTo(current ? [current] : this.tools.selection);
  }

  toggleMode(mode) {
    this.setMode(this.viewer.mode === mode ? 'side' : mode);
  }

  setMode(mode) {
    if (mode === 'side' || this.session.pair.images.length > 1) {
      this.viewer.setMode(mode);
      this.interface.showMode();
    }
  }

  /** A-B, then A-C, B-C where there is a third image. */
  nextCompared() {
    const count = this.session.pair.images.length;
    const pairs = [];
    for (let one = 0; one < count; one++) {
      for (let other = one + 1; other < count; other++) {
        pairs.push([one, other]);
      }
    }
    const index = pairs.findIndex(([one, other]) => one
      === this.viewer.compared[0] && other === this.viewer.compared[1]);
    this.setCompared(...pairs[(index + 1) % pairs.length]);
  }

  setCompared(one, other) {
    this.viewer.setCompared(one, other);
    this.interface.showMode();
  }

  toggleAnnotations() {
    this.viewer.annotations = !this.viewer.annotations;
    this.viewer.request('shapes');
    this.interface.showToggles();
  }

  toggleFill() {
    this.viewer.fill = this.viewer.fill ? 0 : 0.18;
    this.viewer.request('shapes');
    this.interface.showToggles();
  }

  toggleCross() {
    this.viewer.crossHair = !this.viewer.crossHair;
    this.viewer.request('overlay');
    this.interface.showToggles();
  }

  showHelp() {
    this.interface.showHelp();
  }

  // Drafts.

  async runDrafts(whole) {
    if (!this.project.model) {
      this.interface.toast('There is no model: start with --checkpoint '
        + 'FILE.');
      return;
    }
    const {width, height} = this.viewer.grid;
    const [x0, y0, x1, y1] = this.viewer.visible;
    const region = [Math.max(Math.floor(x0), 0), Math.max(Math.floor(y0), 0),
      Math.min(Math.ceil(x1), width), Math.min(Math.ceil(y1), height)];
    try {
      await this.drafts.run(whole ? null : region);
    } catch (error) {
      this.report(error);
    }
  }

  stepDraft(step) {
    this.drafts.step(step);
    this.#seeDraft();
  }

  #seeDraft() {
    const {current} = this.drafts;
    if (current && !inside(geometry.boundsOf(current.rings),
      this.viewer.visible)) {
      const [x, y] = geometry.pointInside(current.rings);
      const [x0, y0, x1, y1] = geometry.boundsOf(current.rings);
      const [left, top, right, bottom] = this.viewer.visible;
      if (x1 - x0 < right - left && y1 - y0 < bottom - top) {
        this.viewer.goTo({...this.viewer.view, x, y});
      } else {
        this.goTo([current]);
      }
    }
  }

  #labelOf({label}) {
    return this.project.classes.some(({name}) => name === label) ? label
      : this.project.classes[0].name;
  }

  acceptDraft() {
    const {current} = this.drafts;
    if (current && this.mayEdit()) {
      this.drafts.accept([current], (draft) => this.#labelOf(draft));
      this.#seeDraft();
    }
  }

  rejectDraft() {
    const {current} = this.drafts;
    if (current && this.mayEdit()) {
      this.drafts.reject([current]);
      this.#seeDraft();
    }
  }

  acceptAll() {
    if (this.drafts.open.length && this.mayEdit()) {
      this.drafts.accept(this.drafts.open, (draft) => this.#labelOf(draft));
    }
  }

  rejectAll() {
    if (this.drafts.open.length && this.mayEdit()) {
      this.drafts.reject(this.drafts.open);
    }
  }

  // For tests.

  get idle() {
    const {session} = this;
    return Boolean(session) && !this.opening && !this.waiting
      && this.viewer.idle && this.drafts.idle && !session.saving
      && (!session.dirty || !session.editable || Boolean(session.failure));
  }
}

function inside(box, room) {
  return box[0] >= room[0] && box[1] >= room[1]
    && box[2] <= room[2] && box[3] <= room[3];
}

async function waitFor(condition) {
  while (!condition()) {
    await new Promise((done) => setTimeout(done, 15));
  }
}

const app = new Annotator();
window.annotator = {
  get view() {
    return app.viewer.view;
  },
  get mode() {
    return app.viewer.mode;
  },
  get level() {
    return app.viewer.level;
  },
  get document() {
    const {version, state, notes, shapes} = app.session;
    return {version, state, notes, shapes};
  },
  get pair() {
    return app.session?.pair.name;
  },
  get saveState() {
    return app.session?.status;
  },
  get editable() {
    return Boolean(app.session?.editable);
  },
  get drafts() {
    return app.drafts.open;
  },
  get draft() {
    return app.drafts.current ?? null;
  },
  get job() {
    return app.drafts.job;
  },
  get selection() {
    return app.tools.selection;
  },
  get redraws() {
    return app.viewer.redraws;
  },
  get lastRedrawMs() {
    return app.viewer.lastRedrawMs;
  },
  get lastSharpMs() {
    return app.viewer.lastSharpMs;
  },
  toClient(index, point) {
    const pane = app.viewer.panes[index];
    const box = pane.stage.getBoundingClientRect();
    const [x, y] = toScreen(app.viewer.view, pane.size, point);
    return [x + box.left, y + box.top];
  },
  setView: (view) => app.viewer.setView(view),
  goTo: (view) => app.viewer.goTo(view),
  waitForIdle: () => waitFor(() => app.idle),
};
app.start();
