/**
 * What a model proposes: a layer of its own, until a person accepts it.
 *
 * Events: `change` (another list), `job` (progress of the model),
 * `selection`.
 */
import {ApiError} from './api.js';
import {contains, newId, openDrafts, pointInside} from './shapes.js';

const POLL = 250;

export class Drafts extends EventTarget {
  /** @param {Api} api */
  constructor(api) {
    super();
    this.api = api;
    this.threshold = 0.5;
    this.minArea = 0;
    this.session = null;
    this.#empty();
  }

  #empty() {
    this.all = [];
    this.cut = 0;
    this.job = null;
    this.selected = null;
    this.cached = null;
    this.loading = null;
  }

  /** Start with another pair, without drafts. */
  attach(session) {
    this.cancel();
    this.#empty();
    this.session = session;
    session.addEventListener('change', () => {
      this.cached = null;
      this.#tell('change');
    });
    this.#tell('job');
    this.#tell('change');
  }

  #tell(name) {
    this.dispatchEvent(new CustomEvent(name));
  }

  get running() {
    return ['queued', 'running'].includes(this.job?.state);
  }

  /** Nothing is on its way from the server. */
  get idle() {
    return !this.loading;
  }

  /** Drafts that are neither judged nor annotated. */
  get open() {
    if (!this.session) {
      return [];
    }
    this.cached ??= openDrafts(this.all, this.session.settled,
      this.session.shapes);
    return this.cached;
  }

  /** The draft that is selected, or undefined. */
  get current() {
    return this.open.find(({id}) => id === this.selected);
  }

  select(id, pane = null) {
    if (id !== this.selected || pane !== this.pane) {
      this.selected = id;
      this.pane = pane;
      this.#tell('selection');
    }
  }

  /** Let the model mark a box [x0, y0, x1, y1], or all where null. */
  async run(region) {
    await this.cancel();
    const {session} = this;
    const asked = {id: null, state: 'queued', progress: 0, error: null};
    this.job = asked;
    this.#tell('job');
    let job;
    try {
      ({job} = await this.api.call('POST', `${session.path}/drafts`,
        {region}));
    } catch (error) {
      if (this.job === asked) {
        this.job = null;
        this.#tell('job');
      }
      throw error;
    }
    if (this.job !== asked) {
      await this.#stop(job);
      return;
    }
    this.job = {...asked, id: job};
    this.#tell('job');
    await this.#follow(session, job);
  }

  async #follow(session, id) {
    while (this.session === session && this.job?.id === id && this.running) {
      await new Promise((done) => setTimeout(done, POLL));
      let answer;
      try {
        answer = await this.api.get(`drafts/${id}`);
      } catch (error) {
        if (!(error instanceof ApiError)) {
          throw error;
        }
        if (error.status === 0) {
          continue;
        }
        answer = {state: 'failed', progress: 0, error: error.message};
      }
      if (this.session === session && this.job?.id === id) {
        this.job = {...answer, id};
        this.#tell('job');
      }
    }
    if (this.session === session && this.job?.id === id
      && this.job.state === 'done') {
      await this.#load();
    }
  }

  async cancel() {
    if (this.running) {
      const {id} = this.job;
      this.job = {...this.job, state: 'cancelled'};
      this.#tell('job');
      if (id !== null) {
        await this.#stop(id);
      }
    }
  }

  #stop(id) {
    return this.api.call('DELETE', `drafts/${id}`).catch(() => {});
  }

  setThreshold(threshold) {
    this.threshold = threshold;
    this.#reload();
  }

  setMinArea(area) {
    this.minArea = area;
    this.#reload();
  }

  #reload() {
    if (this.job?.state === 'done') {
      this.#load();
    }
  }

  /** One request at a time; the latest settings count. */
  #load() {
    this.stale = true;
    this.loading ??= this.#loadLatest().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  async #loadLatest() {
    while (this.stale) {
      this.stale = false;
      const {session, job} = this;
      const query = new URLSearchParams(
        {threshold: this.threshold, min_area: this.minArea});
      let shapes, found;
      try {
        ({shapes, found} = await this.api.get(
          `drafts/${job.id}/shapes?${query}`));
      } catch (error) {
        if (!(error instanceof ApiError)) {
          throw error;
        }
        this.job = {...job, state: 'failed', error: error.message};
        this.#tell('job');
        return;
      }
      if (session !== this.session || job.id !== this.job?.id) {
        return;
      }
      const {current} = this;
      this.all = shapes;
      /** Smaller ones that the server left out. */
      this.cut = Math.max(0, found - shapes.length);
      this.cached = null;
      this.selected = current ? this.#sameAs(current)?.id ?? null : null;
      this.#tell('change');
    }
  }

  /** The draft at another threshold; ids are those of a list. */
  #sameAs({rings}) {
    const point = pointInside(rings);
    return this.open.find((draft) => contains(draft.rings, point)
      || contains(rings, pointInside(draft.rings)));
  }

  /** Put drafts in the document, as what a model marked. */
  accept(drafts, labelOf) {
    const accepted = drafts.map((draft) => ({...draft,
      id: newId(), label: labelOf(draft), source: 'model'}));
    this.#judge(drafts, [...this.session.shapes, ...accepted], 'accept');
  }

  reject(drafts) {
    this.#judge(drafts, this.session.shapes, 'reject');
  }

  #judge(drafts, shapes, label) {
    if (!drafts.length) {
      return;
    }
    const next = drafts.length === 1 ? this.#after(drafts[0]) : null;
    const settled = [...this.session.settled,
      ...drafts.map(({rings}) => rings)];
    if (this.session.edit(
      `${label} ${drafts.length === 1 ? 'a draft' : 'all drafts'}`, shapes,
      settled)) {
      this.select(this.selected && next, this.pane);
    }
  }

  #after(draft) {
    const {open} = this;
    const index = open.findIndex(({id}) => id === draft.id);
    return open.length > 1 ? open[(index + 1) % open.length].id : null;
  }

  /** Select the next draft (step 1) or the one before (-1). */
  step(step) {
    const {open} = this;
    if (!open.length) {
      return;
    }
    const index = open.findIndex(({id}) => id === this.selected);
    const from = index < 0 && step < 0 ? 0 : index;
    this.select(open[(from + step + open.length) % open.length].id,
      this.pane);
  }
}
