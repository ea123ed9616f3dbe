/**
 * Undo and redo of whole states.
 *
 * States are immutable and share what did not change, so that one step costs
 * as much as what it changed.
 */
export class History {
  /**
   * @param {*} present The first state.
   * @param {number} limit Steps that can be undone.
   */
  constructor(present, limit = 500) {
    this.present = present;
    this.limit = limit;
    this.past = [];
    this.future = [];
  }

  /** Make ``next`` the present; ``label`` says what was done. */
  commit(next, label) {
    if (next === this.present) {
      return;
    }
    this.past.push({state: this.present, label});
    if (this.past.length > this.limit) {
      this.past.shift();
    }
    this.future = [];
    this.present = next;
  }

  /** Step back; the label of what was undone, or null. */
  undo() {
    return this.#step(this.past, this.future);
  }

  /** Step forward; the label of what was done again, or null. */
  redo() {
    return this.#step(this.future, this.past);
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  #step(from, to) {
    if (!from.length) {
      return null;
    }
    const {state, label} = from.pop();
    to.push({state: this.present, label});
    this.present = state;
    return label;
  }
}
