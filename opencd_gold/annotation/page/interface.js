/** Everything around the panes: bars, panels, dialogs. */
import {icon, drawIcons} from './icons.js';
import {SHORTCUTS} from './keys.js';
import {areaOf, boundsOf, boxesMeet} from './shapes.js';
import {HINTS} from './tools.js';
import {scaleBar, toScreen} from './view.js';

const LARGEST_MIN_AREA = 2500;
const SAVE_TEXTS = {
  saved: 'Saved', unsaved: 'Saving…', saving: 'Saving…',
  failed: 'Not saved', conflict: 'Conflict', locked: 'Read only',
  opening: 'Opening…',
};
const STATES = {todo: 'to do', draft: 'draft', done: 'done'};

const number = new Intl.NumberFormat('en-US', {maximumFractionDigits: 1});

/** Markup of a text. */
function escaped(text) {
  const element = document.createElement('span');
  element.textContent = text;
  return element.innerHTML;
}

/** A message of the server as a sentence. */
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** An element: `make('button', {class: 'small'}, 'Text')`. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children);
  return element;
}

/** Let a browser save a document as a file. */
function download(name, content) {
  const address = URL.createObjectURL(new Blob(
    [JSON.stringify(content, null, 1)], {type: 'application/json'}));
  make('a', {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

export class Interface {
  constructor(app) {
    this.app = app;
    drawIcons(document);
    drawIcons(document.getElementById('pane').content);
    this.parts = new Proxy({}, {
      get: (_, id) => document.getElementById(id),
    });
    this.parts.app.inert = true;
    this.#listen();
    this.#listenToDrafts();
    this.#listenToStretch();
    this.#listHelp();
  }

  #on(id, name, action) {
    this.parts[id].addEventListener(name, action);
  }

  #listen() {
    const {app, parts} = this;
    const {viewer, tools, drafts} = app;
    this.#on('previous', 'click', () => app.stepPair(-1));
    this.#on('next', 'click', () => app.stepPair(1));
    this.#on('show-help', 'click', () => this.showHelp());
    this.#on('zoom-in', 'click', () => app.zoomBy(1.5));
    this.#on('zoom-out', 'click', () => app.zoomBy(1 / 1.5));
    this.#on('zoom-text', 'click', () => app.zoomTo(1));
    this.#on('fit', 'click', () => viewer.fit());
    this.#on('toggle-annotations', 'click', () => app.toggleAnnotations());
    this.#on('toggle-fill', 'click', () => app.toggleFill());
    this.#on('toggle-cross', 'click', () => app.toggleCross());
    this.#on('notes', 'input', () => app.session?.setNotes(
      parts.notes.value));
    this.#on('filter', 'input', () => this.showPairs());
    this.#on('filter-state', 'change', () => this.showPairs());
    this.#on('radius', 'input', () => tools.setRadius(
      radiusOf(Number(parts.radius.value))));
    for (const button of document.querySelectorAll('button[data-tool]')) {
      button.addEventListener('click', () => app.tool(button.dataset.tool));
    }
    const actions = {merge: () => app.merge(), undo: () => app.undo(),
      redo: () => app.redo(), delete: () => app.deleteSelected()};
    for (const button of document.querySelectorAll('[data-action]')) {
      button.addEventListener('click', actions[button.dataset.action]);
    }
    for (const button of parts.mode.children) {
      button.addEventListener('click',
        () => app.setMode(button.dataset.mode));
    }
    for (const button of parts.state.children) {
      button.addEventListener('click', () => app.mayEdit()
        && app.session.setState(button.dataset.state));
    }
    for (const select of parts.compared.querySelectorAll('select')) {
      select.addEventListener('change', () => this.#compare(select));
    }
    // Keys shall go to the panes after a click; focus by Tab stays.
    document.addEventListener('click', (event) => {
      if (event.detail > 0) {
        event.target.closest('button')?.blur();
      }
    });
    document.addEventListener('change', ({target}) => {
      if (target.matches('input[type=range], select')) {
        target.blur();
      }
    });
    viewer.addEventListener('arranged', () => this.#arranged());
    viewer.addEventListener('viewed', () => this.#showView());
    viewer.addEventListener('moved', () => this.#showCursor());
    viewer.addEventListener('drawn', () => this.#placeCard());
    viewer.addEventListener('blinked', () => this.#showBlinked());
    viewer.addEventListener('divided', () => this.#placeDivider());
    tools.addEventListener('tool', () => this.showTool());
    tools.addEventListener('selection', () => this.showSelection());
    drafts.addEventListener('change', () => this.showDrafts());
    drafts.addEventListener('selection', () => this.showDrafts());
    drafts.addEventListener('job', () => this.showDrafts());
    this.#on('conflict', 'cancel', (event) => event.preventDefault());
    this.#on('conflict-copy', 'click', () => this.#downloadMine());
    this.#on('conflict-reload', 'click', () => this.#settle('reload'));
    this.#on('conflict-overwrite', 'click', () => this.#settle('overwrite'));
    this.#on('fatal', 'cancel', (event) => event.preventDefault());
    this.#on('banner-action', 'click', () => this.bannerAction());
    parts.help.querySelector('[data-close]').addEventListener('click',
      () => parts.help.close());
    this.#on('help', 'click', (event) => event.target === parts.help
      && parts.help.close());
  }

  #listenToDrafts() {
    const {app, parts} = this;
    this.#on('run-view', 'click', () => app.runDrafts(false));
    this.#on('run-whole', 'click', () => app.runDrafts(true));
    this.#on('cancel-job', 'click', () => app.drafts.cancel());
    this.#on('draft-previous', 'click', () => app.stepDraft(-1));
    this.#on('draft-next', 'click', () => app.stepDraft(1));
    this.#on('draft-accept', 'click', () => app.acceptDraft());
    this.#on('draft-reject', 'click', () => app.rejectDraft());
    this.#on('accept-all', 'click', () => app.acceptAll());
    this.#on('reject-all', 'click', () => app.rejectAll());
    this.#on('threshold', 'input', () => {
      app.drafts.setThreshold(Number(parts.threshold.value));
      this.showDrafts();
    });
    this.#on('min-area', 'input', () => {
      const part = Number(parts['min-area'].value) / 100;
      const pixels = Math.round(part * part * LARGEST_MIN_AREA);
      app.drafts.setMinArea(pixels * app.session.pair.pixel_area);
      this.showDrafts();
    });
    this.card = make('div', {class: 'draft-card', role: 'group',
      'aria-label': 'Draft'});
    this.card.innerHTML = '<span></span>'
      + `<button class="icon accept" title="Accept (A)" aria-label="Accept">${
        icon('check')}</button>`
      + `<button class="icon reject" title="Reject (R)" aria-label="Reject">${
        icon('close')}</button>`;
    const [accept, reject] = this.card.querySelectorAll('button');
    accept.addEventListener('click', () => app.acceptDraft());
    reject.addEventListener('click', () => app.rejectDraft());
  }

  // Pairs and the document.

  showProject() {
    const {project} = this.app;
    this.parts.app.inert = false;
    this.parts['project-name'].textContent = project.name;
    this.parts['model-name'].textContent = project.model?.name ?? '';
    this.parts['no-model'].hidden = Boolean(project.model);
    this.parts['draft-controls'].hidden = !project.model;
    this.showPairs();
    this.showTool();
    this.showToggles();
  }

  showPair() {
    const {pair} = this.app.session;
    const {parts} = this;
    const size = `${number.format(pair.width)} × ${
      number.format(pair.height)} px`;
    document.title = `${pair.name} – annotate change`;
    parts['pair-name'].textContent = pair.name;
    parts['pair-name'].title = pair.name;
    const crs = pair.crs?.length > 24 ? 'own CRS' : pair.crs;
    parts['pair-meta'].textContent = crs ? `${size} · ${crs}` : size;
    for (const select of parts.compared.querySelectorAll('select')) {
      select.replaceChildren(...pair.images.map(({key}, index) => make(
        'option', {value: index}, key)));
    }
    this.closeStretch();
    this.showMode();
    this.showDocument();
    this.showStatus();
    parts['pair-list'].querySelector('[aria-current]')
      ?.scrollIntoView({block: 'nearest'});
  }

  showPairs() {
    const {app, parts} = this;
    const {pairs} = app.project;
    const text = parts.filter.value.trim().toLowerCase();
    const wanted = parts['filter-state'].value;
    const shown = pairs.filter(({name, state}) => name.toLowerCase()
      .includes(text) && (!wanted || state === wanted));
    parts['pair-list'].replaceChildren(...shown.map(
      (pair) => this.#pairItem(pair)));
    if (!shown.length) {
      parts['pair-list'].append(make('li', {class: 'empty'},
        'No pair matches.'));
    }
    const count = (wanted) => pairs.filter(({state}) => state === wanted)
      .length;
    const [done, draft] = [count('done'), count('draft')];
    parts['progress-text'].textContent = `${done} of ${pairs.length} done`;
    parts.progress.setAttribute('aria-label',
      `${done} done, ${draft} draft, ${pairs.length - done - draft} to do`);
    parts.progress.title = parts.progress.getAttribute('aria-label');
    const [doneBar, draftBar] = parts.progress.children;
    doneBar.style.width = `${100 * done / pairs.length}%`;
    draftBar.style.width = `${100 * draft / pairs.length}%`;
  }

  #pairItem({id, name, state, shapes, error}) {
    const current = id === this.app.session?.pair.id;
    const button = make('button', {
      title: `${name}: ${error ?? STATES[state]}`, 'data-state': state,
      'aria-current': current ? 'true' : null,
    });
    button.innerHTML = `<span class="dot"></span><span class="name">${
      escaped(name)}</span><span class="count">${shapes || ''}</span>`;
    button.addEventListener('click', () => this.app.openPair(id));
    return make('li', {}, button);
  }

  showDocument() {
    const {session} = this.app;
    for (const button of this.parts.state.children) {
      const chosen = button.dataset.state === session.state;
      button.setAttribute('aria-pressed', chosen);
    }
    if (this.parts.notes.value !== session.notes) {
      this.parts.notes.value = session.notes;
    }
    const count = session.shapes.length;
    this.parts['shape-count'].textContent = count === 1 ? '1 polygon'
      : `${number.format(count)} polygons`;
    this.showPairs();
    this.showClasses();
    this.showSelection();
    this.showStatus();
  }

  showClasses() {
    const {app} = this;
    const counts = new Map();
    for (const {label} of app.shapes) {
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    this.parts.classes.replaceChildren(...app.project.classes.map(
      ({name, color}, index) => {
        const button = make('button', {
          'aria-pressed': name === app.label,
          title: index < 9 ? `${name} (${index + 1})` : name,
        });
        button.innerHTML = '<span class="swatch"></span><span class="name">'
          + `${escaped(name)}</span><span class="count">${
            counts.get(name) ?? 0}</span>${
            index < 9 ? `<kbd>${index + 1}</kbd>` : ''}`;
        button.firstChild.style.background = color;
        button.addEventListener('click', () => app.setLabel(name));
        return make('div', {}, button);
      }));
  }

  // Saving.

  showStatus() {
    const {session} = this.app;
    const {status} = session;
    this.parts['save-state'].dataset.state = status;
    this.parts['save-text'].textContent = SAVE_TEXTS[status];
    this.parts['save-state'].title = session.failure?.message ?? '';
    this.parts.app.classList.toggle('locked', status === 'locked');
    this.parts.notes.readOnly = !session.editable;
    for (const [action, can] of [['undo', session.history.canUndo],
      ['redo', session.history.canRedo]]) {
      document.querySelector(`[data-action=${action}]`).disabled = !can
        || !session.editable;
    }
    this.#showBanner(session);
    this.showDrafts();
  }

  #showBanner(session) {
    const {banner} = this.parts;
    const {status, failure} = session;
    banner.hidden = true;
    if (status === 'locked') {
      this.#banner('locked', `${sentence(session.leaseError)} Here it can `
        + 'be looked at, not changed.', 'Take over', () => session.renew(true));
    } else if (failure?.status === 401) {
      this.#banner('failed', 'The server was started anew, with another '
        + 'token. Save a copy of what is not saved, and open the address '
        + 'that it printed.', 'Download mine', () => this.#downloadMine());
    } else if (failure) {
      this.#banner('failed', `${sentence(failure.message)} ${session.dirty
        ? 'Changes are kept here and saved as soon as that is possible.'
        : ''}`, 'Try now', () => (session.dirty ? session.save()
        : session.renew()));
    }
  }

  #banner(kind, text, action, run) {
    const {parts} = this;
    parts.banner.hidden = false;
    parts.banner.dataset.kind = kind;
    parts['banner-text'].textContent = text;
    parts['banner-action'].textContent = action;
    this.bannerAction = run;
  }

  showConflict() {
    const {conflict} = this.app.session;
    this.parts['conflict-text'].textContent = sentence(conflict.error);
    if (!this.parts.conflict.open) {
      this.parts.conflict.showModal();
    }
  }

  async #settle(action) {
    try {
      await this.app.session[action]();
    } catch (error) {
      this.app.report(error);
      return;
    }
    this.parts.conflict.close();
    if (this.app.session.conflict) {
      this.showConflict();
    }
  }

  #downloadMine() {
    const {pair, state, notes, shapes} = this.app.session;
    download(`${pair.name.replaceAll('/', '_')}.unsaved.json`,
      {pair: pair.name, state, notes, shapes});
  }

  // Panes.

  #arranged() {
    const {viewer} = this.app;
    const {images} = viewer.pair;
    for (const pane of viewer.panes) {
      const bar = pane.element.querySelector('.pane-bar');
      bar.replaceChildren(...pane.images.map(
        (index) => this.#imageChip(images[index], index)));
      pane.element.setAttribute('aria-label',
        pane.images.map((index) => images[index].title).join(' and '));
      pane.stage.setAttribute('aria-label',
        `${pane.element.getAttribute('aria-label')}: image`);
      this.#listenToDivider(pane);
    }
    this.#showBlinked();
    this.#placeDivider();
  }

  #imageChip({key, title, sensor}, index) {
    const chip = make('div', {class: 'image-chip', 'data-index': index});
    const name = title.startsWith(key)
      ? title.slice(key.length).replace(/^[\s,·:–-]+/, '') : title;
    chip.innerHTML = `<span class="key">${escaped(key)}</span>`
      + `<span class="title">${escaped(name)}</span>`
      + `<span class="badge">${sensor === 'sar' ? 'SAR' : sensor}</span>`
      + `<button class="icon" title="Stretch of ${escaped(key)}" `
      + `aria-label="Stretch of ${escaped(key)}">${icon('stretch')}</button>`;
    const button = chip.querySelector('button');
    button.addEventListener('click', () => this.showStretch(index, button));
    return chip;
  }

  #listenToDivider(pane) {
    const divider = pane.element.querySelector('.divider');
    const {viewer} = this.app;
    divider.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      event.stopPropagation();
      divider.focus();
      divider.setPointerCapture(event.pointerId);
    });
    divider.addEventListener('pointermove', (event) => {
      if (divider.hasPointerCapture(event.pointerId)) {
        viewer.setDivider(pane.at(event)[0] / pane.size.width);
      }
    });
    divider.addEventListener('keydown', (event) => {
      const step = {ArrowLeft: -0.02, ArrowRight: 0.02}[event.key];
      if (step) {
        event.preventDefault();
        viewer.setDivider(viewer.divider + step);
      }
    });
  }

  #placeDivider() {
    const {divider, panes} = this.app.viewer;
    for (const pane of panes) {
      const element = pane.element.querySelector('.divider');
      element.style.left = `${100 * divider}%`;
      element.setAttribute('aria-valuenow', Math.round(100 * divider));
    }
  }

  #showBlinked() {
    const {mode, blinked, panes} = this.app.viewer;
    for (const pane of panes) {
      pane.element.querySelectorAll('.image-chip').forEach(
        (chip, index) => chip.classList.toggle('off',
          mode === 'blink' && index !== blinked));
    }
  }

  showMode() {
    const {viewer} = this.app;
    const {parts} = this;
    for (const button of parts.mode.children) {
      button.setAttribute('aria-pressed',
        button.dataset.mode === viewer.mode);
    }
    parts.compared.hidden = viewer.mode === 'side';
    [parts['compared-one'].value, parts['compared-other'].value]
      = viewer.compared;
  }

  /** Two different images: choosing the other one's image swaps them. */
  #compare(select) {
    const {viewer} = this.app;
    const one = Number(this.parts['compared-one'].value);
    const other = Number(this.parts['compared-other'].value);
    if (one !== other) {
      this.app.setCompared(one, other);
    } else if (select === this.parts['compared-one']) {
      this.app.setCompared(one, viewer.compared[0]);
    } else {
      this.app.setCompared(viewer.compared[1], other);
    }
  }

  showToggles() {
    const {annotations, fill, crossHair} = this.app.viewer;
    const pressed = {'toggle-annotations': annotations,
      'toggle-fill': fill > 0, 'toggle-cross': crossHair};
    for (const [id, on] of Object.entries(pressed)) {
      this.parts[id].setAttribute('aria-pressed', on);
    }
  }

  showTool() {
    const {name, radius} = this.app.tools;
    for (const button of document.querySelectorAll('button[data-tool]')) {
      button.setAttribute('aria-pressed', button.dataset.tool === name);
    }
    const {parts} = this;
    parts['brush-size'].hidden = name !== 'brush' && name !== 'erase';
    parts.radius.value = sliderOf(radius);
    parts['radius-text'].textContent = `${number.format(radius)} px`;
    parts.hint.textContent = HINTS[name];
    parts.hint.title = HINTS[name];
  }

  /** A message in the status bar, in place of the tool's hint. */
  hint(text) {
    this.parts.hint.textContent = text;
    clearTimeout(this.hinting);
    this.hinting = setTimeout(() => this.showTool(), 2500);
  }

  // Status bar.

  #showView() {
    const {viewer} = this.app;
    const {pair, view} = viewer;
    const {parts} = this;
    const meters = pair.area_unit === 'm2';
    const pixel = meters ? Math.sqrt(pair.pixel_area) : 1;
    const [width, length] = scaleBar(view.scale, pixel);
    parts['scale-bar'].style.width = `${width.toFixed(1)}px`;
    parts['scale-text'].textContent = lengthText(length, meters);
    const percent = 100 * view.scale;
    parts['zoom-text'].textContent = `${percent < 10
      ? percent.toFixed(1) : number.format(Math.round(percent))}%`;
    parts.crs.textContent = `level ${viewer.level}`;
  }

  #showCursor() {
    const {cursor} = this.app.viewer;
    this.parts['cursor-text'].textContent = cursor
      ? `x ${cursor[0].toFixed(1)}  y ${cursor[1].toFixed(1)}` : '';
  }

  area(rings) {
    const {area_unit: unit, pixel_area: pixel} = this.app.session.pair;
    return areaText(areaOf(rings) * pixel, unit === 'm2');
  }

  showSelection() {
    const {tools, session} = this.app;
    const {selection} = tools;
    const can = Boolean(session?.editable);
    document.querySelector('[data-action=merge]').disabled = !can
      || selection.length < 2;
    document.querySelector('[data-action=delete]').disabled = !can
      || !selection.length;
    const text = this.parts['selection-text'];
    if (!selection.length) {
      text.textContent = '';
    } else if (selection.length === 1) {
      const [{label, rings, source, probability}] = selection;
      const points = rings.reduce((sum, ring) => sum + ring.length, 0);
      const origin = source === 'model' && probability !== null
        ? ` · model ${Math.round(probability * 100)}%` : '';
      text.textContent = `${label} · ${this.area(rings)} · ${
        points} vertices${origin}`;
    } else {
      const total = selection.reduce((sum, {rings}) => sum + areaOf(rings),
        0);
      const {area_unit: unit, pixel_area: pixel} = session.pair;
      text.textContent = `${selection.length} polygons · ${
        areaText(total * pixel, unit === 'm2')}`;
    }
  }

  // Drafts.

  showDrafts() {
    const {app, parts} = this;
    const {drafts, session} = app;
    if (!session || !app.project?.model) {
      return;
    }
    const {job, open, current} = drafts;
    const can = session.editable;
    parts.drafts.dataset.state = job?.state ?? 'none';
    parts['run-view'].disabled = drafts.running;
    parts['run-whole'].disabled = drafts.running;
    parts.job.hidden = !job || job.state === 'done';
    parts['cancel-job'].hidden = !drafts.running;
    if (job) {
      this.#showJob(job);
    }
    parts.threshold.value = drafts.threshold;
    parts['threshold-text'].textContent = drafts.threshold.toFixed(2);
    const {area_unit: unit, pixel_area: pixel} = session.pair;
    parts['min-area'].value = 100 * Math.sqrt(
      drafts.minArea / pixel / LARGEST_MIN_AREA);
    parts['min-area-text'].textContent = areaText(drafts.minArea,
      unit === 'm2');
    const index = open.indexOf(current);
    const cut = job?.state === 'done' && drafts.cut;
    parts['draft-count'].textContent = job?.state === 'done'
      ? countText(open.length, index) + (cut ? '+' : '') : 'No drafts';
    parts['draft-count'].title = cut
      ? `${number.format(cut)} smaller drafts are not shown` : '';
    for (const id of ['draft-previous', 'draft-next']) {
      parts[id].disabled = !open.length;
    }
    for (const id of ['accept-all', 'reject-all']) {
      parts[id].disabled = !open.length || !can;
    }
    for (const id of ['draft-accept', 'draft-reject']) {
      parts[id].disabled = !current || !can;
    }
    this.#showCard(current, can);
  }

  #showJob({state, progress, error}) {
    const {parts} = this;
    const percent = Math.round(100 * progress);
    parts.job.dataset.state = state;
    const bar = parts.job.querySelector('.bar');
    bar.setAttribute('aria-valuenow', percent);
    bar.firstElementChild.style.width = `${percent}%`;
    bar.hidden = !['queued', 'running'].includes(state);
    parts['job-text'].textContent = {
      queued: 'Waiting', running: `${percent}%`, done: '',
      cancelled: 'Cancelled', failed: error || 'Failed',
    }[state];
  }

  #showCard(draft, can) {
    const {viewer, drafts} = this.app;
    if (!draft) {
      this.card.remove();
      return;
    }
    const pane = viewer.panes.includes(drafts.pane) ? drafts.pane
      : viewer.panes[0];
    if (this.card.parentElement !== pane.stage) {
      pane.stage.append(this.card);
    }
    this.card.querySelector('span').textContent = draft.probability === null
      ? 'draft' : `${Math.round(draft.probability * 100)}%`;
    for (const button of this.card.querySelectorAll('button')) {
      button.disabled = !can;
    }
    this.#placeCard();
  }

  #placeCard() {
    const {viewer, drafts} = this.app;
    const {current} = drafts;
    if (!current || !this.card.isConnected) {
      return;
    }
    const [x0, y0, x1] = boundsOf(current.rings);
    const [x, y] = toScreen(viewer.view, viewer.size, [(x0 + x1) / 2, y0]);
    const {offsetWidth: width, offsetHeight: height} = this.card;
    const left = Math.min(Math.max(x - width / 2, 4),
      viewer.size.width - width - 4);
    const top = Math.min(Math.max(y - height - 8, 4),
      viewer.size.height - height - 4);
    this.card.style.transform = `translate(${Math.round(left)}px, ${
      Math.round(top)}px)`;
    this.card.hidden = !viewer.annotations
      || !boxesMeet(boundsOf(current.rings), viewer.visible);
  }

  // Stretch.

  #listenToStretch() {
    for (const id of ['stretch-mode', 'stretch-low', 'stretch-high']) {
      this.#on(id, 'change', (event) => this.#readStretch(event));
    }
    this.#on('stretch-reset', 'click', () => {
      this.app.setStretch(this.stretched, null);
      this.#fillStretch();
    });
  }

  showStretch(index, button) {
    const {stretch} = this.parts;
    this.stretched = index;
    this.#fillStretch();
    stretch.showPopover();
    const {left, bottom} = button.getBoundingClientRect();
    const {offsetWidth, offsetHeight} = stretch;
    stretch.style.left = `${Math.max(8, Math.min(left - offsetWidth + 28,
      innerWidth - offsetWidth - 8))}px`;
    stretch.style.top = `${Math.min(bottom + 6,
      innerHeight - offsetHeight - 8)}px`;
  }

  closeStretch() {
    if (this.parts.stretch.matches(':popover-open')) {
      this.parts.stretch.hidePopover();
    }
  }

  #fillStretch() {
    const {parts} = this;
    const image = this.app.session.pair.images[this.stretched];
    const {mode, low, high, bands}
      = this.app.viewer.stretches[this.stretched];
    parts['stretch-title'].textContent = image.title;
    parts['stretch-mode'].value = mode;
    const values = mode === 'minmax';
    parts['stretch-low-label'].textContent = values ? 'Black' : 'Low %';
    parts['stretch-high-label'].textContent = values ? 'White' : 'High %';
    parts['stretch-low'].value = low ?? '';
    parts['stretch-high'].value = high ?? '';
    parts['stretch-low'].placeholder = values ? 'min' : '';
    parts['stretch-high'].placeholder = values ? 'max' : '';
    parts['stretch-bands'].replaceChildren(...this.#bandFields(image,
      bands));
  }

  #bandFields({bands: count, band_names: names}, bands) {
    if (count === 1) {
      return [];
    }
    const fields = bands.length === 3 ? ['Red', 'Green', 'Blue'] : ['Band'];
    const kind = make('select', {'aria-label': 'Bands shown',
      'data-bands': ''},
    make('option', {value: 1}, 'one band'),
    ...(count >= 3 ? [make('option', {value: 3}, 'three bands')] : []));
    kind.value = bands.length;
    kind.addEventListener('change', () => this.#setBands(
      kind.value === '3' ? [1, 2, 3] : [bands[0]]));
    const selects = fields.map((field, index) => {
      const select = make('select', {}, ...names.map((name, band) => make(
        'option', {value: band + 1}, name)));
      select.value = bands[index];
      select.addEventListener('change', () => this.#setBands(
        bands.with(index, Number(select.value))));
      return make('label', {class: 'field'}, make('span', {}, field),
        select);
    });
    return [make('label', {class: 'field'}, make('span', {}, 'Show'), kind),
      ...selects];
  }

  #setBands(bands) {
    const before = this.app.viewer.stretches[this.stretched];
    this.app.setStretch(this.stretched, {...before, bands});
    this.#fillStretch();
  }

  #readStretch({target}) {
    const {parts} = this;
    const before = this.app.viewer.stretches[this.stretched];
    const mode = parts['stretch-mode'].value;
    const value = (id) => (parts[id].value === '' ? null
      : Number(parts[id].value));
    let [low, high] = [value('stretch-low'), value('stretch-high')];
    if (target === parts['stretch-mode']) {
      [low, high] = mode === 'minmax' ? [null, null] : [2, 98];
    }
    const percent = mode !== 'minmax';
    const wrong = (percent && (low === null || high === null || low < 0
      || high > 100)) || (low !== null && high !== null && low >= high);
    if (wrong) {
      this.toast(percent ? 'Low and high are percentiles from 0 to 100, the '
        + 'lower first.' : 'Black has to be lower than white.', 'bad');
    } else {
      this.app.setStretch(this.stretched, {...before, mode, low, high});
    }
    this.#fillStretch();
  }

  // Messages.

  toast(text, kind = '') {
    const element = make('div', {class: `toast ${kind}`},
      sentence(text));
    this.parts.toasts.append(element);
    while (this.parts.toasts.children.length > 3) {
      this.parts.toasts.firstChild.remove();
    }
    setTimeout(() => element.remove(), 4500);
  }

  fatal(text) {
    this.parts['fatal-text'].textContent = text;
    this.parts.fatal.showModal();
  }

  #listHelp() {
    this.parts['help-groups'].replaceChildren(...SHORTCUTS.map(
      ([group, entries]) => make('section', {}, make('h3', {}, group),
        make('dl', {}, ...entries.filter(([, shown]) => shown).flatMap(
          ([, shown, text]) => [make('dt', {}, make('kbd', {}, shown)),
            make('dd', {}, text)])))));
  }

  showHelp() {
    this.parts.help.showModal();
  }
}

/** Radius of the brush for a position 0 to 100 of its slider. */
function radiusOf(position) {
  const radius = 400 ** (position / 100);
  return radius < 10 ? Math.round(radius * 2) / 2 : Math.round(radius);
}

function sliderOf(radius) {
  return 100 * Math.log(Math.max(radius, 1)) / Math.log(400);
}

function countText(count, index) {
  if (!count) {
    return 'No drafts';
  }
  return index >= 0 ? `${index + 1} of ${count}`
    : `${count} draft${count > 1 ? 's' : ''}`;
}

function lengthText(length, meters) {
  if (!meters) {
    return `${number.format(length)} px`;
  }
  return length >= 1000 ? `${number.format(length / 1000)} km`
    : `${number.format(length)} m`;
}

function areaText(area, meters) {
  if (!meters) {
    return `${number.format(Math.round(area))} px`;
  }
  return area >= 1e6 ? `${number.format(area / 1e6)} km²`
    : `${number.format(Math.round(area))} m²`;
}
