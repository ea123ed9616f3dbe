/**
 * Polygons: what is where, and edits of single vertices.
 *
 * A polygon is rings: the outline, then holes, each a list of [x, y], not
 * closed. A shape is {id, label, rings, source, probability}. Neither is
 * changed in place; measures are kept for each as long as it lives.
 */
const boxes = new WeakMap();
const areas = new WeakMap();
const insides = new WeakMap();

function kept(store, rings, compute) {
  if (!store.has(rings)) {
    store.set(rings, compute());
  }
  return store.get(rings);
}

/** Box [x0, y0, x1, y1] of a polygon. */
export function boundsOf(rings) {
  return kept(boxes, rings, () => boundsOfPoints(rings[0]));
}

/** Box of a list of points. */
export function boundsOfPoints(points) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

/** Whether two boxes share a point. */
export function boxesMeet(one, other) {
  return one[0] <= other[2] && other[0] <= one[2] && one[1] <= other[3]
    && other[1] <= one[3];
}

/** Signed area of a ring (shoelace). */
export function ringArea(ring) {
  let twice = 0;
  let [x0, y0] = ring[ring.length - 1];
  for (const [x, y] of ring) {
    twice += x0 * y - x * y0;
    [x0, y0] = [x, y];
  }
  return twice / 2;
}

/** Area of a polygon in pixels, holes taken off. */
export function areaOf(rings) {
  return kept(areas, rings, () => rings.reduce(
    (sum, ring, index) => sum + (index ? -1 : 1) * Math.abs(ringArea(ring)),
    0));
}

/** Whether a point lies in the polygon and in none of its holes. */
export function contains(rings, [x, y]) {
  const box = boundsOf(rings);
  if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) {
    return false;
  }
  let inside = false;
  for (const ring of rings) {
    let [x0, y0] = ring[ring.length - 1];
    for (const [x1, y1] of ring) {
      if ((y0 > y) !== (y1 > y)
        && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0) {
        inside = !inside;
      }
      [x0, y0] = [x1, y1];
    }
  }
  return inside;
}

/** A point inside the polygon: the middle of its widest middle row. */
export function pointInside(rings) {
  return kept(insides, rings, () => {
    const [, y0, , y1] = boundsOf(rings);
    let best = {width: -1, point: rings[0][0]};
    for (const part of [0.5, 0.35, 0.65, 0.2, 0.8]) {
      // Off the lattice, so that a row rarely meets a vertex.
      const y = y0 + (y1 - y0) * part + 1e-7;
      const crossings = crossingsOf(rings, y);
      for (let index = 0; index + 1 < crossings.length; index += 2) {
        const width = crossings[index + 1] - crossings[index];
        if (width > best.width) {
          const x = (crossings[index] + crossings[index + 1]) / 2;
          best = {width, point: [x, y]};
        }
      }
      if (best.width > 0) {
        break;
      }
    }
    return best.point;
  });
}

function crossingsOf(rings, y) {
  const found = [];
  for (const ring of rings) {
    let [x0, y0] = ring[ring.length - 1];
    for (const [x1, y1] of ring) {
      if ((y0 > y) !== (y1 > y)) {
        found.push((x1 - x0) * (y - y0) / (y1 - y0) + x0);
      }
      [x0, y0] = [x1, y1];
    }
  }
  return found.sort((one, other) => one - other);
}

/** The vertex nearest to a point within a distance, or null. */
export function nearestVertex(rings, [x, y], within) {
  let best = null;
  rings.forEach((ring, ringIndex) => ring.forEach((point, index) => {
    const distance = Math.hypot(point[0] - x, point[1] - y);
    if (distance <= within && (!best || distance < best.distance)) {
      best = {ring: ringIndex, index, distance};
    }
  }));
  return best;
}

/**
 * The edge nearest to a point within a distance, or null: {ring, index,
 * point, distance}. A vertex put in at ``index`` lies on that edge.
 */
export function nearestEdge(rings, at, within) {
  let best = null;
  rings.forEach((ring, ringIndex) => ring.forEach((to, index) => {
    const from = ring[(index + ring.length - 1) % ring.length];
    const point = nearestOnSegment(from, to, at);
    const distance = Math.hypot(point[0] - at[0], point[1] - at[1]);
    if (distance <= within && (!best || distance < best.distance)) {
      best = {ring: ringIndex, index, point, distance};
    }
  }));
  return best;
}

function nearestOnSegment([x0, y0], [x1, y1], [x, y]) {
  const dx = x1 - x0;
  const dy = y1 - y0;
  const length = dx * dx + dy * dy;
  const part = length && Math.min(
    Math.max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1);
  return [x0 + part * dx, y0 + part * dy];
}

function withRing(rings, ringIndex, ring) {
  return rings.map((old, index) => (index === ringIndex ? ring : old));
}

/** The polygon with one vertex elsewhere. */
export function moveVertex(rings, {ring, index}, point) {
  return withRing(rings, ring, rings[ring].with(index, point));
}

/** The polygon with one vertex more, before ``index``. */
export function insertVertex(rings, {ring, index}, point) {
  return withRing(rings, ring, rings[ring].toSpliced(index, 0, point));
}

/**
 * The polygon with one vertex less. A hole of three vertices goes with it;
 * null where the outline has but three.
 */
export function removeVertex(rings, {ring, index}) {
  if (rings[ring].length > 3) {
    return withRing(rings, ring, rings[ring].toSpliced(index, 1));
  }
  return ring ? rings.toSpliced(ring, 1) : null;
}

/** The nearest point of the grid. */
export function clampPoint([x, y], grid) {
  return [Math.min(Math.max(x, 0), grid.width),
    Math.min(Math.max(y, 0), grid.height)];
}

function turn(a, b, c) {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1])
    - (b[1] - a[1]) * (c[0] - a[0]));
}

/** Whether two segments share a point. */
export function segmentsMeet(a, b, c, d) {
  if (!boxesMeet(boundsOfPoints([a, b]), boundsOfPoints([c, d]))) {
    return false;
  }
  return turn(a, b, c) * turn(a, b, d) <= 0
    && turn(c, d, a) * turn(c, d, b) <= 0;
}

function edgesOf(rings) {
  const edges = [];
  rings.forEach((ring, ringIndex) => ring.forEach((to, index) => {
    const before = (index + ring.length - 1) % ring.length;
    edges.push({ring: ringIndex, index, before, from: ring[before], to});
  }));
  return edges;
}

function neighbors(one, other) {
  return one.ring === other.ring
    && (one.index === other.before || other.index === one.before);
}

/**
 * Whether no two edges meet but at their common vertex. Polygons of more than
 * ``limit`` vertices count as not simple: others shall look.
 */
export function isSimple(rings, limit = 1200) {
  const edges = edgesOf(rings);
  if (edges.length > limit || rings.some((ring) => ring.length < 3)) {
    return false;
  }
  for (let one = 0; one < edges.length; one++) {
    for (let other = one + 1; other < edges.length; other++) {
      const [a, b] = [edges[one], edges[other]];
      if (neighbors(a, b) ? foldsBack(a, b)
        : segmentsMeet(a.from, a.to, b.from, b.to)) {
        return false;
      }
    }
  }
  return true;
}

function foldsBack(one, other) {
  const [first, second] = one.index === other.before ? [one, other]
    : [other, one];
  const dot = (first.to[0] - first.from[0]) * (second.to[0] - second.from[0])
    + (first.to[1] - first.from[1]) * (second.to[1] - second.from[1]);
  return dot <= 0 && turn(first.from, first.to, second.to) === 0;
}

/** Whether a line of a width (both sides ``radius``) meets a polygon. */
export function strokeMeets(rings, path, radius) {
  const [x0, y0, x1, y1] = boundsOfPoints(path);
  const reach = [x0 - radius, y0 - radius, x1 + radius, y1 + radius];
  if (!boxesMeet(reach, boundsOf(rings))) {
    return false;
  }
  if (path.some((point) => contains(rings, point)
    || nearestEdge(rings, point, radius))) {
    return true;
  }
  return edgesOf(rings).some(({from, to}) => path.some((point, index) =>
    index > 0 && segmentsMeet(path[index - 1], point, from, to)));
}

/** Points of a stroke that are further apart than ``step``, and its end. */
export function thin(path, step) {
  const kept = [path[0]];
  path.forEach((point, index) => {
    const [x, y] = kept[kept.length - 1];
    const distance = Math.hypot(point[0] - x, point[1] - y);
    if (distance >= step || (index === path.length - 1 && distance > 0)) {
      kept.push(point);
    }
  });
  return kept;
}

/** The topmost shape of a list at a point, or null. */
export function shapeAt(shapes, point) {
  for (let index = shapes.length - 1; index >= 0; index--) {
    if (contains(shapes[index].rings, point)) {
      return shapes[index];
    }
  }
  return null;
}

/** A random name; `crypto.randomUUID` is not there on plain http. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)),
    (word) => word.toString(16).padStart(8, '0')).join('');
}

/** A new shape that a person drew. */
export function newShape(label, rings) {
  return {id: newId(), label, rings, source: 'person',
    probability: null};
}

/** A shape after a person changed its outline. */
export function corrected(shape, rings) {
  return {...shape, rings, source: 'person', probability: null};
}

/**
 * Shapes with some replaced: ``changes`` maps an id to a list of rings. The
 * first keeps the id, others are new and have its class; none deletes.
 */
export function replaced(shapes, changes) {
  return shapes.flatMap((shape) => {
    const results = changes.get(shape.id);
    if (!results) {
      return [shape];
    }
    return results.map((rings, index) => (index
      ? newShape(shape.label, rings) : corrected(shape, rings)));
  });
}

/**
 * Drafts that are still to be judged: without those that a person accepted or
 * rejected at another threshold (``settled``: list of rings), and without
 * those whose inside is annotated.
 */
export function openDrafts(drafts, settled, shapes) {
  return drafts.filter(({rings}) => {
    const point = pointInside(rings);
    return !shapes.some((shape) => contains(shape.rings, point))
      && !settled.some((other) => contains(other, point)
        || contains(rings, pointInside(other)));
  });
}
