/**
 * The panes: which image where, at which place and scale, drawn on canvas.
 *
 * A pane has one canvas for the image and one for what is drawn on it.
 * Polygons are drawn once a frame, into a canvas that all panes show.
 */
import {boundsOf, boundsOfPoints, boxesMeet, pointInside} from './shapes.js';
import {TileStore} from './tiles.js';
import * as place from './view.js';

const paths = new WeakMap();
const HALO = 'rgba(8, 11, 15, .75)';
const DRAFT = '#ffd166';

/** Outline and holes of a shape, in pixels of the grid. */
export function pathOf(rings) {
  if (!paths.has(rings)) {
    const path = new Path2D();
    for (const ring of rings) {
      ring.forEach(([x, y], index) => (index ? path.lineTo(x, y)
        : path.moveTo(x, y)));
      path.closePath();
    }
    paths.set(rings, path);
  }
  return paths.get(rings);
}

/** The part of a tile's address that says how an image is stretched. */
export function stretchQuery({mode, low, high, bands}) {
  const query = new URLSearchParams({mode, bands: bands.join(',')});
  if (low !== null && low !== undefined) {
    query.set('low', low);
  }
  if (high !== null && high !== undefined) {
    query.set('high', high);
  }
  return query.toString();
}

/** One pane: DOM, canvases, and the images that it shows. */
export class Pane {
  constructor(template, images) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.stage = this.element.querySelector('.stage');
    [this.imageCanvas, this.vectorCanvas] = this.element
      .querySelectorAll('canvas');
    this.cross = this.element.querySelectorAll('.cross');
    this.images = images;
    this.size = {width: 0, height: 0};
  }

  /** Fit the canvases to the stage; whether that changed anything. */
  measure(ratio) {
    const {clientWidth: width, clientHeight: height} = this.stage;
    const changed = width !== this.size.width
      || height !== this.size.height || ratio !== this.ratio;
    if (changed) {
      this.size = {width, height};
      this.ratio = ratio;
      for (const canvas of [this.imageCanvas, this.vectorCanvas]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
    }
    return changed;
  }

  /** Position of a pointer event in the stage. */
  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
}

export class Viewer extends EventTarget {
  /**
   * @param {HTMLElement} host Where panes are put.
   * @param {HTMLTemplateElement} template A pane.
   * @param {Api} api
   */
  constructor(host, template, api) {
    super();
    this.host = host;
    this.template = template;
    this.api = api;
    this.panes = [];
    this.grid = {width: 1, height: 1};
    this.view = {x: 0, y: 0, scale: 1};
    this.mode = 'side';
    this.compared = [0, 1];
    this.divider = 0.5;
    this.blinked = 0;
    this.blinkDelay = 700;
    this.cursor = null;
    this.crossHair = true;
    this.annotations = true;
    this.fill = 0.18;
    this.scene = {shapes: [], drafts: [], colors: new Map(), hidden: null};
    this.layer = document.createElement('canvas');
    this.dirty = {images: true, shapes: true, overlay: true};
    this.drawOverlay = () => {};
    this.tiles = new TileStore(
      (key, signal) => this.api.tile(`${this.path}/${key}`, signal),
      () => this.request('images'));
    this.lastRedrawMs = null;
    this.lastSharpMs = null;
    this.redraws = [];
    new ResizeObserver(() => this.request('images')).observe(host);
  }

  /** Show another pair, fitted. */
  open(pair, stretches) {
    this.tiles.clear();
    this.pair = pair;
    this.path = `pairs/${encodeURIComponent(pair.id)}/tiles`;
    this.grid = {width: pair.width, height: pair.height};
    this.stretches = stretches;
    this.earlier = stretches.map(() => null);
    this.compared = [0, Math.min(1, pair.images.length - 1)];
    this.cursor = null;
    this.arrange();
    this.fit();
  }

  // Layout.

  /** Make the panes that the mode of comparison needs. */
  arrange() {
    const shown = this.mode === 'side'
      ? this.pair.images.map((_, index) => [index]) : [this.compared];
    this.panes = shown.map((images) => new Pane(this.template, images));
    this.host.dataset.mode = this.mode;
    this.host.replaceChildren(...this.panes.map((pane) => pane.element));
    this.dispatchEvent(new CustomEvent('arranged'));
    this.#layOut();
    this.request('images');
  }

  setMode(mode) {
    this.mode = mode;
    clearInterval(this.blinking);
    this.blinked = 0;
    if (mode === 'blink') {
      this.blinking = setInterval(() => {
        this.blinked = 1 - this.blinked;
        this.dispatchEvent(new CustomEvent('blinked'));
        this.request('images');
      }, this.blinkDelay);
    }
    this.arrange();
    this.setView(this.view);
  }

  setCompared(one, other) {
    this.compared = [one, other];
    if (this.mode !== 'side') {
      this.arrange();
    }
  }

  setDivider(part) {
    this.divider = Math.min(Math.max(part, 0), 1);
    this.dispatchEvent(new CustomEvent('divided'));
    this.request('images');
  }

  setStretch(index, stretch) {
    this.earlier[index] = stretchQuery(this.stretches[index]);
    this.stretches[index] = stretch;
    this.request('images');
  }

  /** Panes of equal whole pixels, side by side or one below the other. */
  #layOut() {
    const gap = 6;
    const {clientWidth, clientHeight} = this.host;
    const count = this.panes.length;
    const rows = clientHeight > clientWidth * 1.2;
    const width = rows ? clientWidth
      : Math.floor((clientWidth - gap * (count - 1)) / count);
    const height = rows
      ? Math.floor((clientHeight - gap * (count - 1)) / count) : clientHeight;
    this.panes.forEach(({element}, index) => {
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      element.style.left = `${rows ? 0 : index * (width + gap)}px`;
      element.style.top = `${rows ? index * (height + gap) : 0}px`;
    });
    const ratio = devicePixelRatio || 1;
    return this.panes.filter((pane) => pane.measure(ratio)).length > 0;
  }

  /** Size of every pane. */
  get size() {
    return this.panes[0]?.size ?? {width: 1, height: 1};
  }

  // View.

  setView(view) {
    this.view = place.clampView(view, this.size, this.grid);
    this.dispatchEvent(new CustomEvent('viewed'));
    this.request('images', 'shapes');
  }

  fit(box = [0, 0, this.grid.width, this.grid.height], margin = 12) {
    this.setView(place.fitBox(box, this.size, margin));
  }

  /** Show a place at the scale of now; no more beyond the grid than must. */
  goTo(view) {
    this.setView(place.withinGrid(view, this.size, this.grid));
  }

  zoom(factor, at = this.#anchor()) {
    this.setView(place.zoomAt(this.view, this.size, this.grid, at, factor));
  }

  pan(dx, dy) {
    this.setView(place.panBy(this.view, this.size, this.grid, dx, dy));
  }

  /** Where keys zoom: the cursor if it is over a pane, or the middle. */
  #anchor() {
    const {width, height} = this.size;
    return this.cursor
      ? place.toScreen(this.view, this.size, this.cursor)
      : [width / 2, height / 2];
  }

  get visible() {
    return place.visibleBox(this.view, this.size);
  }

  get level() {
    return place.levelFor(this.view.scale, devicePixelRatio || 1,
      this.pair.levels);
  }

  setCursor(point) {
    this.cursor = point;
    this.dispatchEvent(new CustomEvent('moved'));
    this.request('overlay');
  }

  setScene(scene) {
    this.scene = {...this.scene, ...scene};
    this.request('shapes');
  }

  // Drawing.

  /** Draw in the next frame: any of images, shapes and overlay. */
  request(...parts) {
    for (const part of parts) {
      this.dirty[part] = true;
    }
    this.frame ??= requestAnimationFrame(() => this.#draw());
  }

  /** Measure until the frame that answers an event of the user. */
  measure(event) {
    this.asked ??= event.timeStamp;
    this.askedSharp = event.timeStamp;
  }

  get idle() {
    return this.frame === undefined && this.tiles.idle;
  }

  #draw() {
    this.frame = undefined;
    if (!this.pair) {
      return;
    }
    const dirty = this.dirty;
    this.dirty = {};
    if (this.#layOut()) {
      dirty.images = true;
      dirty.shapes = true;
      this.view = place.clampView(this.view, this.size, this.grid);
      this.dispatchEvent(new CustomEvent('viewed'));
    }
    if (!this.size.width || !this.size.height) {
      return;
    }
    if (dirty.images) {
      this.#wantTiles();
      this.panes.forEach((pane) => this.#drawImages(pane));
    }
    if (dirty.shapes) {
      this.#drawShapes();
    }
    if (dirty.shapes || dirty.overlay) {
      this.panes.forEach((pane) => this.#drawVectors(pane));
    }
    this.#measured();
    this.dispatchEvent(new CustomEvent('drawn'));
  }

  #measured() {
    const now = performance.now();
    if (this.asked !== undefined) {
      this.lastRedrawMs = now - this.asked;
      this.redraws.push(this.lastRedrawMs);
      if (this.redraws.length > 1000) {
        this.redraws.shift();
      }
      this.asked = undefined;
    }
    if (this.askedSharp !== undefined && this.tiles.idle) {
      this.lastSharpMs = now - this.askedSharp;
      this.askedSharp = undefined;
    }
  }

  #key(index, {level, column, row}, query) {
    return `${this.pair.images[index].key}/${level}/${column}/${row}.png?${
      query}`;
  }

  #wantTiles() {
    const {tile_size: tileSize, levels} = this.pair;
    const level = this.level;
    const [x0, y0, x1, y1] = this.visible;
    const shown = [...new Set(this.panes.flatMap((pane) => pane.images))];
    const side = tileSize * 2 ** level;
    const far = ({column, row}) => Math.hypot(
      (column + 0.5) * side - (x0 + x1) / 2,
      (row + 0.5) * side - (y0 + y1) / 2);
    const tiles = place.tilesIn([x0, y0, x1, y1], level, this.grid, tileSize)
      .sort((one, other) => far(one) - far(other));
    const coarse = {level: levels - 1, column: 0, row: 0};
    const keys = [coarse, ...tiles].flatMap((tile) => shown.map(
      (index) => this.#key(index, tile, stretchQuery(
        this.stretches[index]))));
    this.tiles.want([...new Set(keys)]);
  }

  #drawImages(pane) {
    const context = pane.imageCanvas.getContext('2d');
    const {width, height} = pane.imageCanvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = this.view.scale * pane.ratio < 1.5;
    if (this.mode === 'swipe') {
      const edge = Math.round(this.divider * width);
      this.#clipped(context, [0, 0, edge, height],
        () => this.#drawImage(context, pane, pane.images[0]));
      this.#clipped(context, [edge, 0, width - edge, height],
        () => this.#drawImage(context, pane, pane.images[1]));
    } else {
      this.#drawImage(context, pane, pane.images[
        this.mode === 'blink' ? this.blinked : 0]);
    }
  }

  #clipped(context, box, draw) {
    context.save();
    context.beginPath();
    context.rect(...box);
    context.clip();
    draw();
    context.restore();
  }

  #drawImage(context, pane, index) {
    const {tile_size: tileSize, levels} = this.pair;
    const level = this.level;
    const queries = [stretchQuery(this.stretches[index]),
      this.earlier[index]].filter(Boolean);
    const edge = (value, axis) => Math.round(pane.ratio * (axis
      ? (value - this.view.y) * this.view.scale + pane.size.height / 2
      : (value - this.view.x) * this.view.scale + pane.size.width / 2));
    const paint = (bitmap, tile, part = 1, left = 0, top = 0) => {
      const side = tileSize * 2 ** tile.level;
      const x0 = edge(tile.column * side, 0);
      const y0 = edge(tile.row * side, 1);
      const x1 = edge((tile.column + 1) * side, 0);
      const y1 = edge((tile.row + 1) * side, 1);
      const length = tileSize * part;
      context.drawImage(bitmap, left * length, top * length, length, length,
        x0, y0, x1 - x0, y1 - y0);
    };
    for (const tile of place.tilesIn(this.visible, level, this.grid,
      tileSize)) {
      const exact = this.tiles.get(this.#key(index, tile, queries[0]));
      if (exact) {
        paint(exact, tile);
      } else {
        this.#drawStandIn(index, tile, queries, levels, paint);
      }
    }
  }

  /** What is there of a tile that has not come: coarser, then finer ones. */
  #drawStandIn(index, tile, queries, levels, paint) {
    for (let up = 0; tile.level + up < levels; up++) {
      const above = {level: tile.level + up, column: tile.column >> up,
        row: tile.row >> up};
      const bitmap = queries.map((query) => this.tiles.get(
        this.#key(index, above, query))).find(Boolean);
      if (bitmap) {
        const mask = (1 << up) - 1;
        paint(bitmap, tile, 1 / (1 << up), tile.column & mask,
          tile.row & mask);
        break;
      }
    }
    if (tile.level === 0) {
      return;
    }
    for (const [right, down] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      const below = {level: tile.level - 1, column: 2 * tile.column + right,
        row: 2 * tile.row + down};
      const bitmap = this.tiles.get(this.#key(index, below, queries[0]));
      if (bitmap) {
        paint(bitmap, below);
      }
    }
  }

  /** Let lengths be pixels of the grid on a canvas of a pane's size. */
  toGrid(context, pane = this.panes[0]) {
    const scale = this.view.scale * pane.ratio;
    context.setTransform(scale, 0, 0, scale,
      pane.ratio * (pane.size.width / 2 - this.view.x * this.view.scale),
      pane.ratio * (pane.size.height / 2 - this.view.y * this.view.scale));
  }

  #drawShapes() {
    const [pane] = this.panes;
    const {width, height} = pane.imageCanvas;
    if (this.layer.width !== width || this.layer.height !== height) {
      this.layer.width = width;
      this.layer.height = height;
    }
    const context = this.layer.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.annotations) {
      return;
    }
    this.toGrid(context, pane);
    context.lineJoin = 'round';
    const box = this.visible;
    const seen = (shape) => boxesMeet(boundsOf(shape.rings), box);
    const shapes = this.scene.shapes.filter(
      (shape) => shape.id !== this.scene.hidden && seen(shape));
    const halo = shapes.length < 300;
    for (const shape of shapes) {
      this.#drawShape(context, shape, this.colorOf(shape.label), halo);
    }
    this.#drawDrafts(context, this.scene.drafts.filter(seen));
  }

  #drawShape(context, {rings}, color, halo) {
    const pixel = 1 / this.view.scale;
    const [x0, y0, x1, y1] = boundsOf(rings);
    context.fillStyle = color;
    if (Math.max(x1 - x0, y1 - y0) < 2 * pixel) {
      context.fillRect(x0, y0, 2 * pixel, 2 * pixel);
      return;
    }
    const path = pathOf(rings);
    if (this.fill > 0) {
      context.globalAlpha = this.fill;
      context.fill(path, 'evenodd');
      context.globalAlpha = 1;
    }
    if (halo) {
      context.strokeStyle = HALO;
      context.lineWidth = 3.5 * pixel;
      context.stroke(path);
    }
    context.strokeStyle = color;
    context.lineWidth = 1.6 * pixel;
    context.stroke(path);
  }

  #drawDrafts(context, drafts) {
    const pixel = 1 / this.view.scale;
    const many = drafts.length > 1000;
    for (const {rings} of drafts) {
      const path = pathOf(rings);
      if (!many) {
        context.setLineDash([]);
        context.strokeStyle = HALO;
        context.lineWidth = 3.5 * pixel;
        context.stroke(path);
      }
      context.setLineDash([6 * pixel, 4 * pixel]);
      context.strokeStyle = DRAFT;
      context.lineWidth = 1.6 * pixel;
      context.stroke(path);
    }
    context.setLineDash([]);
    if (drafts.length < 200) {
      drafts.forEach((draft) => this.#drawProbability(context, draft, pixel));
    }
  }

  #drawProbability(context, {rings, probability}, pixel) {
    const [x0, y0, x1, y1] = boundsOf(rings);
    if (probability === null || Math.min(x1 - x0, y1 - y0) < 34 * pixel) {
      return;
    }
    const [x, y] = pointInside(rings);
    drawTag(context, `${Math.round(probability * 100)}%`, x, y, pixel,
      DRAFT);
  }

  colorOf(label) {
    return this.scene.colors.get(label) || '#9aa7b4';
  }

  #drawVectors(pane) {
    const context = pane.vectorCanvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, pane.vectorCanvas.width,
      pane.vectorCanvas.height);
    context.drawImage(this.layer, 0, 0);
    this.toGrid(context, pane);
    this.drawOverlay(context, 1 / this.view.scale, pane);
    this.#placeCross(pane);
  }

  #placeCross(pane) {
    const at = this.crossHair && this.cursor
      && place.toScreen(this.view, pane.size, this.cursor);
    pane.element.classList.toggle('crossed', Boolean(at));
    if (at) {
      const [across, down] = pane.cross;
      across.style.transform = `translateY(${Math.round(at[1])}px)`;
      down.style.transform = `translateX(${Math.round(at[0])}px)`;
    }
  }
}

/** A word on a dark plate, upright and of constant size. */
export function drawTag(context, text, x, y, pixel, color) {
  context.save();
  context.translate(x, y);
  context.scale(pixel, pixel);
  context.font = '600 11px Inter, "Segoe UI", Roboto, system-ui, sans-serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const width = context.measureText(text).width + 10;
  context.fillStyle = 'rgba(8, 11, 15, .82)';
  context.beginPath();
  context.roundRect(-width / 2, -9, width, 18, 4);
  context.fill();
  context.fillStyle = color;
  context.fillText(text, 0, 0.5);
  context.restore();
}

/** Box of points with room around it. */
export function padded(points, part = 0.6, least = 20) {
  const [x0, y0, x1, y1] = boundsOfPoints(points);
  const room = Math.max(x1 - x0, y1 - y0) * part + least;
  return [x0 - room, y0 - room, x1 + room, y1 + room];
}
