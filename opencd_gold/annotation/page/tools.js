/**
 * What the pointer does: select, move the view, polygon, brush, eraser and
 * split. Works in any pane; points are pixels of the grid.
 */
import * as geometry from './shapes.js';
import {pathOf} from './viewer.js';
import {toGrid, toScreen} from './view.js';

const CLICK = 4;
const DOUBLE = 350;
const VERTEX = 8;
const EDGE = 6;
const WHITE = '#ffffff';
const DARK = 'rgba(8, 11, 15, .85)';
const ERASER = '#ff8f8f';

/** What the status bar says of each tool. */
export const HINTS = {
  select: 'Click selects · drag a vertex · drag a small handle to add one '
    + '· Alt+click deletes it',
  pan: 'Drag moves the view · wheel zooms',
  polygon: 'Click sets vertices · Enter or the first vertex closes '
    + '· Backspace takes one back · Esc gives up',
  brush: 'Drag paints · from inside a polygon, or over the selected one: '
    + 'extends it · [ ] radius',
  erase: 'Drag erases from the selected polygon, or from all · [ ] radius',
  split: 'Click a line across a polygon · Enter cuts · Esc gives up',
};

const DRAWING = new Set(['polygon', 'brush', 'erase', 'split']);

export class Tools extends EventTarget {
  /**
   * @param {Viewer} viewer
   * @param {object} app The page: session, drafts, label, and what it does.
   */
  constructor(viewer, app) {
    super();
    this.viewer = viewer;
    this.app = app;
    this.name = 'select';
    this.radius = 8;
    this.selected = new Set();
    this.points = [];
    this.gesture = null;
    this.hover = null;
    this.space = false;
    this.strokes = new Set();
    viewer.drawOverlay = (...rest) => this.draw(...rest);
    this.#listen(viewer.host);
  }

  choose(name) {
    this.#abandon();
    this.name = name;
    this.viewer.host.dataset.tool = name;
    this.#tell('tool');
    this.viewer.request('overlay');
  }

  setRadius(radius) {
    this.radius = Math.min(Math.max(radius, 0.5), 2000);
    this.#tell('tool');
    this.viewer.request('overlay');
  }

  /** The shapes that are selected, in the order of the document. */
  get selection() {
    return this.app.shapes.filter(({id}) => this.selected.has(id));
  }

  select(ids) {
    this.selected = new Set(ids);
    this.#tell('selection');
    this.viewer.request('overlay');
  }

  /** Whether something is being drawn that Esc would give up. */
  get busy() {
    return this.points.length > 0 || this.gesture !== null;
  }

  /** Give up what is being drawn; else what is selected. */
  cancel() {
    if (!this.busy) {
      this.select([]);
    }
    this.#abandon();
  }

  #abandon() {
    this.points = [];
    this.#endVertex();
    this.gesture = null;
    this.viewer.request('overlay');
  }

  takeBack() {
    this.points = this.points.slice(0, -1);
    this.viewer.request('overlay');
  }

  /** Close the polygon, or cut along the line. */
  finish() {
    const points = this.points;
    if (this.name === 'polygon' && points.length >= 3) {
      this.points = [];
      this.app.addPolygon(points);
    } else if (this.name === 'split' && points.length >= 2) {
      this.points = [];
      this.app.split(points);
    }
    this.viewer.request('overlay');
  }

  /** Delete the vertex below the cursor; whether there was one. */
  deleteVertex() {
    const [shape] = this.selection;
    if (this.name !== 'select' || this.selected.size !== 1
      || this.hover?.kind !== 'vertex' || !shape) {
      return false;
    }
    const rings = geometry.removeVertex(shape.rings, this.hover.vertex);
    this.hover = null;
    if (rings) {
      this.app.changeRings(shape, rings, 'delete a vertex');
    } else {
      this.app.deleteShapes([shape.id]);
    }
    return true;
  }

  #tell(name) {
    this.dispatchEvent(new CustomEvent(name));
  }

  // Events.

  #listen(host) {
    host.addEventListener('pointerdown', (event) => this.#down(event));
    host.addEventListener('pointermove', (event) => this.#move(event));
    host.addEventListener('pointerup', (event) => this.#up(event));
    host.addEventListener('pointercancel', () => this.#up(null));
    host.addEventListener('pointerleave', () => {
      this.hover = null;
      this.viewer.setCursor(null);
    });
    host.addEventListener('dblclick', (event) => this.#double(event));
    host.addEventListener('contextmenu', (event) => event.preventDefault());
    host.addEventListener('wheel', (event) => this.#wheel(event),
      {passive: false});
  }

  #paneOf(event) {
    const stage = event.target.closest?.('.stage');
    return stage && this.viewer.panes.find((pane) => pane.stage === stage);
  }

  #pointOf(pane, event) {
    return toGrid(this.viewer.view, pane.size, pane.at(event));
  }

  #wheel(event) {
    const pane = this.#paneOf(event);
    if (!pane) {
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 32 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0018;
    this.viewer.measure(event);
    this.viewer.zoom(Math.exp(-event.deltaY * lines * speed),
      pane.at(event));
  }

  #down(event) {
    const pane = this.#paneOf(event);
    if (!pane || event.target.closest('.divider, .draft-card')
      || event.button > 1) {
      return;
    }
    pane.stage.focus({preventScroll: true});
    pane.stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.gesture = this.#gestureOf(pane, event);
    this.gesture.pane = pane;
    this.gesture.start = pane.at(event);
    this.gesture.last = this.gesture.start;
    this.#cursorShape();
    this.viewer.request('overlay');
  }

  #gestureOf(pane, event) {
    const point = this.#pointOf(pane, event);
    if (event.button === 1 || this.space || this.name === 'pan') {
      return {kind: 'pan'};
    }
    if (DRAWING.has(this.name) && !this.app.mayEdit()) {
      return {kind: 'pan'};
    }
    if (this.name === 'brush' || this.name === 'erase') {
      return {kind: 'stroke', path: [point]};
    }
    if (this.name === 'select') {
      return this.#grab(point, event) ?? {kind: 'click', event};
    }
    return {kind: 'click', event};
  }

  /** A vertex, or the middle of an edge, of the one selected shape. */
  #grab(point, event) {
    const found = this.#handleAt(point);
    if (!found || !this.app.mayEdit()) {
      return null;
    }
    if (found.kind === 'vertex' && event.altKey) {
      this.hover = found;
      this.deleteVertex();
      return {kind: 'none'};
    }
    const {shape, vertex} = found;
    const rings = found.kind === 'middle'
      ? geometry.insertVertex(shape.rings, vertex, found.point)
      : shape.rings;
    this.viewer.setScene({hidden: shape.id});
    return {kind: 'vertex', shape, vertex, rings,
      added: found.kind === 'middle'};
  }

  #handleAt(point) {
    const [shape] = this.selection;
    if (this.selected.size !== 1 || !shape) {
      return null;
    }
    const pixel = 1 / this.viewer.view.scale;
    const vertex = geometry.nearestVertex(shape.rings, point,
      VERTEX * pixel);
    if (vertex) {
      return {kind: 'vertex', shape, vertex};
    }
    const edge = geometry.nearestEdge(shape.rings, point, EDGE * pixel);
    if (!edge) {
      return null;
    }
    const [from, to] = edgeOf(shape.rings, edge);
    const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
    const away = Math.hypot(point[0] - middle[0], point[1] - middle[1]);
    return away <= VERTEX * pixel && hasMiddle(from, to, pixel)
      ? {kind: 'middle', shape, vertex: edge, point: middle} : null;
  }

  #move(event) {
    const pane = this.gesture?.pane ?? this.#paneOf(event);
    if (!pane) {
      return;
    }
    const at = pane.at(event);
    const point = this.#pointOf(pane, event);
    if (this.gesture) {
      this.#drag(at, event);
    } else {
      this.#hover(point);
    }
    this.viewer.setCursor(this.#pointOf(pane, event));
  }

  #drag(at, event) {
    const {gesture} = this;
    const [x, y] = gesture.last;
    if (gesture.kind === 'click'
      && Math.hypot(at[0] - gesture.start[0], at[1] - gesture.start[1])
        > CLICK) {
      gesture.kind = 'pan';
      this.#cursorShape();
    }
    if (gesture.kind === 'pan') {
      this.viewer.measure(event);
      this.viewer.pan(at[0] - x, at[1] - y);
      gesture.last = at;
    } else if (gesture.kind === 'stroke') {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) {
        gesture.path.push(this.#pointOf(gesture.pane, one));
      }
    } else if (gesture.kind === 'vertex') {
      const point = geometry.clampPoint(
        this.#pointOf(gesture.pane, event), this.viewer.grid);
      gesture.rings = geometry.moveVertex(gesture.rings, gesture.vertex,
        point);
      gesture.moved = true;
    }
  }

  #hover(point) {
    const before = this.hover;
    this.hover = null;
    if (this.name === 'select' && !this.space && this.viewer.annotations) {
      this.hover = this.#handleAt(point) ?? this.#thingAt(point);
    }
    if (this.hover?.kind !== before?.kind) {
      this.#cursorShape();
    }
  }

  #thingAt(point) {
    const draft = geometry.shapeAt(this.app.drafts.open, point);
    if (draft) {
      return {kind: 'draft', shape: draft};
    }
    const shape = geometry.shapeAt(this.app.shapes, point);
    return shape && {kind: 'shape', shape};
  }

  #cursorShape() {
    const {host} = this.viewer;
    host.dataset.gesture = this.gesture?.kind ?? '';
    host.dataset.hover = this.hover?.kind ?? '';
    host.classList.toggle('space', this.space);
  }

  setSpace(space) {
    this.space = space;
    this.#cursorShape();
  }

  #up(event) {
    const {gesture} = this;
    this.gesture = null;
    this.#cursorShape();
    if (!gesture) {
      return;
    }
    if (gesture.kind === 'stroke') {
      this.#stroke(gesture);
    } else if (gesture.kind === 'vertex') {
      this.#endVertex();
      if (event && (gesture.moved || gesture.added)) {
        this.app.changeRings(gesture.shape, gesture.rings, gesture.added
          ? 'add a vertex' : 'move a vertex');
      }
    } else if (gesture.kind === 'click' && event) {
      this.#click(this.#pointOf(gesture.pane, event), gesture);
    }
    this.viewer.request('overlay');
  }

  #endVertex() {
    this.viewer.setScene({hidden: null});
  }

  #stroke({path}) {
    const step = Math.max(0.5 / this.viewer.view.scale, this.radius / 12);
    const stroke = {path: geometry.thin(path, step), radius: this.radius,
      erase: this.name === 'erase'};
    this.strokes.add(stroke);
    const paint = stroke.erase ? this.app.erase(stroke)
      : this.app.brush(stroke);
    paint.finally(() => {
      this.strokes.delete(stroke);
      this.viewer.request('overlay');
    });
  }

  #click(point, {pane, event}) {
    if (this.name === 'select') {
      this.#clickSelect(point, pane, event);
      return;
    }
    const pixel = 1 / this.viewer.view.scale;
    const near = (other, within) => other && Math.hypot(
      other[0] - point[0], other[1] - point[1]) <= within * pixel;
    const enough = this.points.length >= (this.name === 'polygon' ? 3 : 2);
    const last = this.points.at(-1);
    const twice = near(last, 3) && event.timeStamp - this.clicked < DOUBLE;
    this.clicked = event.timeStamp;
    if (enough && (twice
      || (this.name === 'polygon' && near(this.points[0], 9)))) {
      this.finish();
    } else if (!twice && !near(last, 1)) {
      this.points = [...this.points,
        geometry.clampPoint(point, this.viewer.grid)];
    }
  }

  #clickSelect(point, pane, event) {
    const found = this.viewer.annotations && this.#thingAt(point);
    this.app.drafts.select(
      found?.kind === 'draft' ? found.shape.id : null, pane);
    const id = found?.kind === 'shape' ? found.shape.id : null;
    if (event.shiftKey && id) {
      const ids = new Set(this.selected);
      if (!ids.delete(id)) {
        ids.add(id);
      }
      this.select(ids);
    } else {
      this.select(id ? [id] : []);
    }
  }

  /** A double click on an edge of the selected shape adds a vertex. */
  #double(event) {
    const pane = this.#paneOf(event);
    const [shape] = this.selection;
    if (!pane || this.name !== 'select' || this.selected.size !== 1
      || !shape || !this.app.mayEdit()) {
      return;
    }
    const within = EDGE / this.viewer.view.scale;
    const point = this.#pointOf(pane, event);
    const edge = geometry.nearestEdge(shape.rings, point, within);
    if (edge && !geometry.nearestVertex(shape.rings, point, within)) {
      this.app.changeRings(shape, geometry.insertVertex(shape.rings, edge,
        edge.point), 'add a vertex');
    }
  }

  // Drawing, in pixels of the grid; `pixel` is one of the screen.

  draw(context, pixel, pane) {
    context.lineJoin = 'round';
    context.lineCap = 'round';
    if (this.viewer.annotations) {
      this.#drawHover(context, pixel);
      this.#drawSelection(context, pixel, pane);
    }
    for (const stroke of this.strokes) {
      this.#drawStroke(context, stroke);
    }
    if (this.gesture?.kind === 'stroke') {
      this.#drawStroke(context, {path: this.gesture.path,
        radius: this.radius, erase: this.name === 'erase'});
    }
    this.#drawPoints(context, pixel);
    this.#drawBrush(context, pixel);
  }

  #drawHover(context, pixel) {
    const kind = this.hover?.kind;
    if (kind === 'shape' || kind === 'draft') {
      context.strokeStyle = WHITE;
      context.globalAlpha = 0.75;
      context.lineWidth = 2.2 * pixel;
      context.stroke(pathOf(this.hover.shape.rings));
      context.globalAlpha = 1;
    }
  }

  #drawSelection(context, pixel, pane) {
    const draft = this.app.drafts.current;
    if (draft) {
      outline(context, draft.rings, '#ffd166', pixel);
    }
    const live = this.gesture?.kind === 'vertex' ? this.gesture : null;
    for (const shape of this.selection) {
      const rings = live?.shape === shape ? live.rings : shape.rings;
      outline(context, rings, this.viewer.colorOf(shape.label), pixel);
      if (this.selected.size === 1 && this.name === 'select') {
        this.#drawHandles(context, rings, pixel, pane);
      }
    }
  }

  #drawHandles(context, rings, pixel, pane) {
    const {view} = this.viewer;
    const [width, height] = [pane.size.width, pane.size.height];
    const shown = (point) => {
      const [x, y] = toScreen(view, pane.size, point);
      return x > -9 && y > -9 && x < width + 9 && y < height + 9;
    };
    const hovered = this.gesture?.vertex ?? this.hover?.vertex;
    rings.forEach((ring, ringIndex) => {
      let previous = ring.at(-1);
      let drawn = null;
      ring.forEach((point, index) => {
        const from = previous;
        previous = point;
        const hot = hovered?.ring === ringIndex && hovered.index === index;
        if (!shown(point)) {
          return;
        }
        if (hasMiddle(from, point, pixel)) {
          const middle = [(from[0] + point[0]) / 2, (from[1] + point[1]) / 2];
          const warm = hot && this.hover?.kind === 'middle';
          dot(context, middle, (warm ? 4 : 2.6) * pixel, pixel,
            warm ? '#4c9aff' : 'rgba(255, 255, 255, .8)');
        }
        const apart = !drawn || Math.hypot(point[0] - drawn[0],
          point[1] - drawn[1]) > 5 * pixel;
        if (apart || hot) {
          drawn = point;
          const side = (hot && this.hover?.kind !== 'middle' ? 10 : 7)
            * pixel;
          context.fillStyle = hot && this.hover?.kind !== 'middle'
            ? '#4c9aff' : WHITE;
          context.strokeStyle = DARK;
          context.lineWidth = 1.5 * pixel;
          context.beginPath();
          context.rect(point[0] - side / 2, point[1] - side / 2, side, side);
          context.stroke();
          context.fill();
        }
      });
    });
  }

  #drawStroke(context, {path, radius, erase}) {
    context.strokeStyle = erase ? ERASER
      : this.viewer.colorOf(this.app.label);
    context.globalAlpha = 0.45;
    context.lineWidth = 2 * radius;
    context.beginPath();
    path.forEach(([x, y], index) => (index ? context.lineTo(x, y)
      : context.moveTo(x, y)));
    if (path.length === 1) {
      context.lineTo(path[0][0] + 1e-3, path[0][1]);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  #drawPoints(context, pixel) {
    if (!this.points.length) {
      return;
    }
    const color = this.name === 'split' ? WHITE
      : this.viewer.colorOf(this.app.label);
    const cursor = this.viewer.cursor;
    const points = cursor ? [...this.points, cursor] : this.points;
    const line = new Path2D();
    points.forEach(([x, y], index) => (index ? line.lineTo(x, y)
      : line.moveTo(x, y)));
    if (this.name === 'polygon' && points.length > 2) {
      context.fillStyle = color;
      context.globalAlpha = 0.15;
      context.fill(line, 'evenodd');
      context.globalAlpha = 1;
    }
    context.strokeStyle = DARK;
    context.lineWidth = 4 * pixel;
    context.stroke(line);
    context.strokeStyle = color;
    context.lineWidth = 2 * pixel;
    context.setLineDash(this.name === 'split' ? [6 * pixel, 4 * pixel] : []);
    context.stroke(line);
    context.setLineDash([]);
    this.points.forEach((point, index) => dot(context, point,
      (index || this.name === 'split' ? 3 : 5) * pixel, pixel, WHITE));
  }

  #drawBrush(context, pixel) {
    const {cursor} = this.viewer;
    if (!cursor || this.space
      || (this.name !== 'brush' && this.name !== 'erase')) {
      return;
    }
    context.beginPath();
    context.arc(cursor[0], cursor[1], this.radius, 0, 2 * Math.PI);
    context.strokeStyle = DARK;
    context.lineWidth = 3 * pixel;
    context.stroke();
    context.strokeStyle = this.name === 'erase' ? ERASER : WHITE;
    context.lineWidth = 1.4 * pixel;
    context.stroke();
  }
}

function edgeOf(rings, {ring, index}) {
  const points = rings[ring];
  return [points[(index + points.length - 1) % points.length],
    points[index]];
}

function hasMiddle(from, to, pixel) {
  return Math.hypot(to[0] - from[0], to[1] - from[1]) > 32 * pixel;
}

function outline(context, rings, color, pixel) {
  const path = pathOf(rings);
  context.strokeStyle = DARK;
  context.lineWidth = 5.5 * pixel;
  context.stroke(path);
  context.strokeStyle = WHITE;
  context.lineWidth = 3.5 * pixel;
  context.stroke(path);
  context.strokeStyle = color;
  context.lineWidth = 1.8 * pixel;
  context.stroke(path);
}

function dot(context, [x, y], radius, pixel, color) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = DARK;
  context.lineWidth = 1.5 * pixel;
  context.stroke();
  context.fillStyle = color;
  context.fill();
}
