/**
 * One pair while it is open: its document, undo, saving and lease.
 *
 * Events: `change` (the document is another), `status` (saving, lease),
 * `conflict` (the stored document is not the one that was edited),
 * `reloaded` (the stored document replaced this one).
 */
import {ApiError} from './api.js';
import {History} from './history.js';
import {newId} from './shapes.js';

const QUIET = 400;
const LATEST = 800;
const RENEWAL = 5000;

/** The id of this window; it survives a reload, a copy gets another. */
export function takeWindowId() {
  const id = sessionStorage.getItem('window') || newId();
  sessionStorage.removeItem('window');
  addEventListener('pagehide', () => sessionStorage.setItem('window', id));
  return id;
}

/** What is compared of two documents. */
function contentOf({shapes, notes, state}) {
  return JSON.stringify([notes, state, shapes.map(
    ({id, label, rings, source, probability}) => (
      [id, label, rings, source, probability]))]);
}

export class Session extends EventTarget {
  /**
   * @param {Api} api
   * @param {string} windowId
   * @param {object} pair What the server says of the pair.
   */
  constructor(api, windowId, pair) {
    super();
    this.api = api;
    this.windowId = windowId;
    this.pair = pair;
    this.path = `pairs/${encodeURIComponent(pair.id)}`;
    this.closed = false;
    this.held = false;
    this.leaseError = '';
    this.saving = false;
    this.failure = null;
    this.conflict = null;
    this.#load(pair.document);
  }

  #load(stored) {
    this.version = stored.version;
    this.notes = stored.notes || '';
    this.state = stored.state;
    this.history = new History({shapes: stored.shapes, settled: []});
    this.revision = 0;
    this.saved = 0;
    this.dirtySince = null;
    this.conflict = null;
    this.failure = null;
  }

  get shapes() {
    return this.history.present.shapes;
  }

  /** Outlines of drafts that were accepted or rejected. */
  get settled() {
    return this.history.present.settled;
  }

  get dirty() {
    return this.revision !== this.saved;
  }

  get editable() {
    return this.held && !this.closed && !this.conflict;
  }

  /** One of opening, saved, unsaved, saving, failed, conflict, locked. */
  get status() {
    if (this.conflict) {
      return 'conflict';
    }
    if (this.failure) {
      return 'failed';
    }
    if (!this.held) {
      return this.leaseError ? 'locked' : 'opening';
    }
    if (this.saving) {
      return 'saving';
    }
    return this.dirty ? 'unsaved' : 'saved';
  }

  /** Take the lease and what an earlier page could not save. */
  async start() {
    await this.renew();
    this.#renewLater();
    return this.held ? this.#restore() : null;
  }

  /** Change the shapes as one step; `settled` where drafts were judged. */
  edit(label, shapes, settled = this.settled) {
    if (!this.editable) {
      return false;
    }
    const onlyDrafts = shapes === this.shapes;
    this.history.commit({shapes, settled}, label);
    this.#changed(!onlyDrafts);
    return true;
  }

  undo() {
    return this.#step(() => this.history.undo());
  }

  redo() {
    return this.#step(() => this.history.redo());
  }

  #step(step) {
    if (!this.editable) {
      return null;
    }
    const before = this.shapes;
    const label = step();
    if (label !== null) {
      this.#changed(this.shapes !== before);
    }
    return label;
  }

  setNotes(notes) {
    if (this.editable && notes !== this.notes) {
      this.notes = notes;
      this.#changed(true, false);
    }
  }

  setState(state) {
    if (this.editable && state !== this.state) {
      this.state = state;
      this.#changed(true, false);
    }
  }

  #changed(toSave, starts = true) {
    if (toSave) {
      if (starts && this.state === 'todo') {
        this.state = 'draft';
      }
      this.revision += 1;
      this.dirtySince ??= performance.now();
      this.#saveLater();
    }
    this.#tell('change');
    this.#tell('status');
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, {detail}));
  }

  #saveLater(delay = null) {
    clearTimeout(this.timer);
    const since = performance.now() - (this.dirtySince ?? 0);
    this.timer = setTimeout(() => this.save(),
      delay ?? Math.max(Math.min(QUIET, LATEST - since), 0));
  }

  #body() {
    return {window: this.windowId, base_version: this.version,
      state: this.state, notes: this.notes, shapes: this.shapes};
  }

  /** Save what is not saved; resolves when that was tried. */
  async save() {
    clearTimeout(this.timer);
    if (this.running) {
      await this.running;
    }
    if (!this.dirty || !this.editable) {
      return;
    }
    this.running = this.#put();
    await this.running;
    this.running = null;
    if (this.dirty && this.editable && !this.failure) {
      this.#saveLater();
    }
  }

  async #put() {
    const revision = this.revision;
    const body = this.#body();
    this.saving = true;
    this.dirtySince = null;
    this.#tell('status');
    try {
      const {version} = await this.api.call(
        'PUT', `${this.path}/document`, body);
      this.#stored(version, revision);
    } catch (error) {
      await this.#refused(error, body, revision);
    }
    this.saving = false;
    this.#tell('status');
  }

  #stored(version, revision) {
    this.version = version;
    this.saved = revision;
    this.failure = null;
    this.unanswered = null;
    this.retry = QUIET;
    this.#forget();
  }

  /** Whether what is stored was sent from here, and the answer was lost. */
  async #wasStored() {
    if (!this.unanswered) {
      return false;
    }
    const {document} = await this.api.get(this.path);
    if (contentOf(document) !== contentOf(this.unanswered.body)) {
      return false;
    }
    this.#stored(document.version, this.unanswered.revision);
    return true;
  }

  async #refused(error, body, revision) {
    if (!(error instanceof ApiError)) {
      throw error;
    }
    this.#keep();
    if (error.status === 0) {
      this.unanswered = {body, revision};
    }
    const known = error.status === 409
      && await this.#wasStored().catch(() => false);
    if (known) {
      return;
    }
    if (error.status === 409) {
      this.conflict = {version: error.body.version, error: error.message};
      this.#tell('conflict');
    } else if (error.status === 423) {
      this.#lose(error.message);
    } else {
      this.failure = error;
      this.retry = Math.min((this.retry || QUIET) * 2, 5000);
      this.dirtySince = performance.now();
      this.#saveLater(this.retry);
    }
  }

  /** Wait until all is saved; false where that cannot be. */
  async flush() {
    while (this.dirty && this.editable) {
      await this.save();
      if (this.failure) {
        return false;
      }
    }
    return !this.dirty;
  }

  // After a conflict.

  /** Throw away what was edited here and show what is stored. */
  async reload() {
    const pair = await this.api.get(this.path);
    this.pair = pair;
    this.#forget();
    this.#load(pair.document);
    this.#tell('reloaded');
    this.#tell('change');
    this.#tell('status');
  }

  /** Save what is here as the next version of what is stored. */
  async overwrite() {
    this.version = this.conflict.version;
    this.conflict = null;
    this.revision += 1;
    await this.save();
  }

  // Lease.

  async renew(take = false) {
    const atRest = !this.running && !this.dirty;
    const revision = this.revision;
    try {
      const {version} = await this.api.call(
        'POST', `${this.path}/lease`,
        {window: this.windowId, ...(take && {take: true})});
      const gained = !this.held;
      this.held = true;
      this.leaseError = '';
      if (atRest && revision === this.revision && !this.running
        && !this.closed && version !== this.version) {
        await this.reload();
      }
      if (gained) {
        this.#tell('status');
        if (this.dirty) {
          this.#saveLater();
        }
      }
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      if (error.status === 423) {
        this.#lose(error.message);
      } else if (!this.failure) {
        this.failure = error;
        this.#tell('status');
      }
      return;
    }
    if (this.failure && !this.dirty) {
      this.failure = null;
      this.#tell('status');
    }
  }

  #lose(message) {
    if (this.dirty) {
      this.#keep();
    }
    this.held = false;
    this.leaseError = message;
    this.#tell('status');
  }

  #renewLater() {
    this.lease = setTimeout(async () => {
      await this.renew();
      if (!this.closed) {
        this.#renewLater();
      }
    }, RENEWAL);
  }

  /** Give the pair up; what is not saved must have been saved before. */
  async close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.lease);
    if (this.held) {
      await this.api.call('DELETE', `${this.path}/lease`,
        {window: this.windowId}).catch(() => {});
    }
  }

  /** What can still be done when the page goes away. */
  leave() {
    if (this.closed) {
      return;
    }
    if (this.dirty) {
      this.#keep();
      if (this.editable) {
        this.api.last('PUT', `${this.path}/document`, this.#body());
      }
    }
    if (this.held) {
      this.api.last('DELETE', `${this.path}/lease`,
        {window: this.windowId});
    }
  }

  // A copy in the browser of what could not be saved.

  get #key() {
    return `unsaved ${this.pair.id}`;
  }

  #keep() {
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#body()));
    } catch {
      // No room: the page still has it, and asks before it is closed.
    }
  }

  #forget() {
    localStorage.removeItem(this.#key);
  }

  /** What came of a kept copy: null, 'restored' or 'changed since'. */
  #restore() {
    const text = localStorage.getItem(this.#key);
    if (!text) {
      return null;
    }
    const kept = JSON.parse(text);
    if (contentOf(kept) === contentOf(this)) {
      this.#forget();
      return null;
    }
    this.notes = kept.notes;
    this.state = kept.state;
    this.history.commit({shapes: kept.shapes, settled: []}, 'restore');
    if (kept.base_version !== this.version) {
      this.conflict = {version: this.version,
        error: 'Changes of an earlier window were not saved, and the '
          + 'annotation has been changed since.'};
      this.revision += 1;
      this.#tell('change');
      this.#tell('status');
      this.#tell('conflict');
      return 'changed since';
    }
    this.#changed(true, false);
    return 'restored';
  }
}
