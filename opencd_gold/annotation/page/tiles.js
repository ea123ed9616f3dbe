/** Tiles: fetched when wanted, given up when not, kept up to a number. */
import {ApiError} from './api.js';

const AT_ONCE = 6;
const RETRY_AFTER = 2000;
const PREVIEW_LASTS = 1500;

export class TileStore {
  /**
   * @param {function(string, AbortSignal): Promise<{bitmap: ImageBitmap,
   *   final: boolean}>} load Tiles that are not final are asked for again.
   * @param {function()} arrived Called after a tile came or failed.
   * @param {number} limit Tiles that are kept (256 kB each).
   */
  constructor(load, arrived, limit = 768) {
    this.load = load;
    this.arrived = arrived;
    this.limit = limit;
    this.kept = new Map();
    this.failed = new Map();
    this.previews = new Map();
    this.running = new Map();
    this.queue = [];
  }

  /** The tile, or undefined; it is then the last to be dropped. */
  get(key) {
    const bitmap = this.kept.get(key);
    if (bitmap) {
      this.kept.delete(key);
      this.kept.set(key, bitmap);
    }
    return bitmap;
  }

  /** Tiles that are wanted now, most wanted first; others are given up. */
  want(keys) {
    const wanted = new Set(keys);
    for (const [key, controller] of this.running) {
      if (!wanted.has(key)) {
        controller.abort();
        this.running.delete(key);
      }
    }
    const now = performance.now();
    const missing = (key) => !this.kept.has(key)
      || this.previews.get(key) <= now;
    this.queue = keys.filter((key) => missing(key)
      && !this.running.has(key) && !(this.failed.get(key) > now));
    this.#start();
  }

  /** Whether every tile that was wanted has come or failed. */
  get idle() {
    return !this.running.size && !this.queue.length;
  }

  clear() {
    this.want([]);
    for (const bitmap of this.kept.values()) {
      bitmap.close();
    }
    this.kept.clear();
    this.failed.clear();
    this.previews.clear();
  }

  #start() {
    while (this.running.size < AT_ONCE && this.queue.length) {
      this.#fetch(this.queue.shift());
    }
  }

  async #fetch(key) {
    const controller = new AbortController();
    this.running.set(key, controller);
    let tile = null;
    try {
      tile = await this.load(key, controller.signal);
    } catch (error) {
      if (error.name !== 'AbortError') {
        this.#fail(key, error);
      }
    }
    if (this.running.get(key) !== controller) {
      tile?.bitmap.close();
      return;
    }
    this.running.delete(key);
    if (tile) {
      this.#keep(key, tile);
    }
    this.#start();
    this.arrived();
  }

  #fail(key, error) {
    const again = error instanceof ApiError && error.status >= 400
      && error.status < 500 ? Infinity : RETRY_AFTER;
    this.failed.set(key, performance.now() + again);
    if (again < Infinity) {
      setTimeout(this.arrived, again + 10);
    }
  }

  #keep(key, {bitmap, final}) {
    this.failed.delete(key);
    this.kept.get(key)?.close();
    this.kept.delete(key);
    this.kept.set(key, bitmap);
    this.previews.delete(key);
    if (!final) {
      this.previews.set(key, performance.now() + PREVIEW_LASTS);
      setTimeout(this.arrived, PREVIEW_LASTS + 10);
    }
    for (const [old, image] of this.kept) {
      if (this.kept.size <= this.limit) {
        break;
      }
      image.close();
      this.kept.delete(old);
      this.previews.delete(old);
    }
  }
}
