/**
 * The place that all panes show: {x, y, scale}.
 *
 * x and y are the pixel of the grid of A in the middle of a pane, scale is
 * screen pixels (CSS) for one pixel of the grid. Views are never changed in
 * place. A size is {width, height} of a pane in CSS pixels, a grid is
 * {width, height} of the pair.
 */
export const MAX_SCALE = 64;

/** Screen position, in a pane, of a point of the grid. */
export function toScreen(view, size, [x, y]) {
  return [(x - view.x) * view.scale + size.width / 2,
    (y - view.y) * view.scale + size.height / 2];
}

/** Point of the grid below a screen position. */
export function toGrid(view, size, [x, y]) {
  return [(x - size.width / 2) / view.scale + view.x,
    (y - size.height / 2) / view.scale + view.y];
}

/** Box [x0, y0, x1, y1] of the grid that a pane shows. */
export function visibleBox(view, size) {
  const width = size.width / view.scale / 2;
  const height = size.height / view.scale / 2;
  return [view.x - width, view.y - height, view.x + width, view.y + height];
}

/** The smallest scale in use: the grid at half the size that fits. */
export function minScale(size, grid) {
  return 0.5 * Math.min(size.width / grid.width, size.height / grid.height,
    1);
}

/** The view held within the grid and the limits of scale. */
export function clampView(view, size, grid) {
  const between = (value, low, high) => Math.min(Math.max(value, low), high);
  return {
    x: between(view.x, 0, grid.width),
    y: between(view.y, 0, grid.height),
    scale: between(view.scale, minScale(size, grid), MAX_SCALE),
  };
}

/** The view moved so that as little as possible lies beyond the grid. */
export function withinGrid(view, size, grid) {
  const middle = (value, shown, whole) => (shown >= whole ? whole / 2
    : Math.min(Math.max(value, shown / 2), whole - shown / 2));
  return {
    x: middle(view.x, size.width / view.scale, grid.width),
    y: middle(view.y, size.height / view.scale, grid.height),
    scale: view.scale,
  };
}

/** The view that shows a whole box, with a margin in CSS pixels. */
export function fitBox([x0, y0, x1, y1], size, margin = 12) {
  const width = Math.max(size.width - 2 * margin, 1);
  const height = Math.max(size.height - 2 * margin, 1);
  return {
    x: (x0 + x1) / 2,
    y: (y0 + y1) / 2,
    scale: Math.min(width / Math.max(x1 - x0, 1e-6),
      height / Math.max(y1 - y0, 1e-6), MAX_SCALE),
  };
}

/** Zoom by a factor; the point below ``at`` (screen) stays where it is. */
export function zoomAt(view, size, grid, at, factor) {
  const low = minScale(size, grid);
  const scale = Math.min(Math.max(view.scale * factor, low), MAX_SCALE);
  const [x, y] = toGrid(view, size, at);
  return clampView({
    x: x - (at[0] - size.width / 2) / scale,
    y: y - (at[1] - size.height / 2) / scale,
    scale,
  }, size, grid);
}

/** Move what is seen by screen pixels. */
export function panBy(view, size, grid, dx, dy) {
  return clampView({
    x: view.x - dx / view.scale,
    y: view.y - dy / view.scale,
    scale: view.scale,
  }, size, grid);
}

/**
 * The level of the pyramid to draw: one of its pixels is then 0.7 to 1.4
 * pixels of the device, or more where level 0 is not fine enough.
 */
export function levelFor(scale, ratio, levels) {
  const level = Math.round(Math.log2(1 / (scale * ratio)));
  return Math.min(Math.max(level, 0), levels - 1);
}

/** The tiles {level, column, row} of a level that a box touches. */
export function tilesIn(box, level, grid, tileSize) {
  const side = tileSize * 2 ** level;
  const first = (low) => Math.max(Math.floor(low / side), 0);
  const last = (high, whole) => Math.min(Math.ceil(high / side),
    Math.ceil(whole / side));
  const tiles = [];
  for (let row = first(box[1]); row < last(box[3], grid.height); row++) {
    for (let column = first(box[0]); column < last(box[2], grid.width);
      column++) {
      tiles.push({level, column, row});
    }
  }
  return tiles;
}

/** A round length for the scale bar: [pixels on screen, length]. */
export function scaleBar(scale, unitsPerPixel, longest = 120) {
  const whole = longest / scale * unitsPerPixel;
  const power = 10 ** Math.floor(Math.log10(whole));
  const length = [5, 2, 1].find((step) => step * power <= whole) * power;
  return [length / unitsPerPixel * scale, length];
}
