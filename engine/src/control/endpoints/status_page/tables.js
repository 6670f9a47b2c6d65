"use strict";
// Tables of text that may hold anything: it becomes text nodes alone, in an element that keeps its direction to itself,
// and what cannot be seen is spelled out.

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

function visible(text) {
  return String(text ?? "").replace(UNSEEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** A piece of a cell: text, or an object that says how text is shown. */
function piece(one) {
  if (typeof one !== "object") return element("bdi", {}, visible(one));
  if (one.pill) return element("span", { class: `pill ${one.pill}` }, visible(one.text));
  if (one.sub !== undefined) return element("bdi", { class: "sub" }, visible(one.sub));
  if (one.bar !== undefined) {
    const fill = element("i", {});
    fill.style.width = `${Math.round(Math.min(1, Math.max(0, one.bar)) * 100)}%`;
    return element("span", { class: "bar", "aria-hidden": "true" }, fill);
  }
  return element("bdi", { class: one.class }, visible(one.text));
}

/** Fills an element with pieces, unless it has them already: nothing that stays is touched. */
function fill(target, pieces) {
  const list = (Array.isArray(pieces) ? pieces : [pieces]).filter((one) => one !== "" && one !== null && one !== undefined);
  const mark = JSON.stringify(list);
  if (target.pieces === mark) return;
  target.pieces = mark;
  target.replaceChildren(...list.map(piece));
}

const ROW_HEIGHT = 36;
const ROWS_AHEAD = 12;

/** A table with a caption. Rows stay the same elements as long as their keys stay; a virtual one holds only those that are seen. */
class DataTable {
  constructor(id, { caption, columns, key, empty, virtual = false }) {
    Object.assign(this, { caption, columns, key, virtual, rows: [], kept: new Map() });
    this.box = document.getElementById(id);
    this.note = element("p", { class: "empty" }, empty);
    this.small = element("small", {});
    const heads = columns.map((one) => element("th", { scope: "col", class: one.class }, one.title));
    this.body = element("tbody");
    this.table = element("table", {}, element("caption", { id: `${id}-caption` }, caption, this.small), element("thead", {}, element("tr", {}, ...heads)), this.body);
    this.scroll = element("div", { class: "scroll", role: "region", "aria-labelledby": `${id}-caption`, tabindex: "0" }, this.table);
    if (virtual) {
      this.box.classList.add("virtual");
      this.above = this.spacer();
      this.below = this.spacer();
      this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
      addEventListener("resize", () => this.draw());
    }
    this.box.append(this.note);
  }

  spacer() {
    return element("tr", { class: "spacer", "aria-hidden": "true" }, element("td", { colspan: this.columns.length }));
  }

  /** Shows these rows; `small` stands beside the caption. */
  show(rows, small = "") {
    this.rows = rows;
    if (this.small.textContent !== small) this.small.textContent = small;
    const wanted = rows.length > 0 ? this.scroll : this.note;
    if (!wanted.isConnected) this.box.replaceChildren(wanted);
    if (this.virtual) this.draw();
    else this.reconcile(rows, 0);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW_HEIGHT) - ROWS_AHEAD);
    const count = Math.ceil((this.scroll.clientHeight || 448) / ROW_HEIGHT) + 2 * ROWS_AHEAD;
    const last = Math.min(this.rows.length, first + count);
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.reconcile(this.rows.slice(first, last), first);
    this.above.firstChild.style.height = `${first * ROW_HEIGHT}px`;
    this.below.firstChild.style.height = `${(this.rows.length - last) * ROW_HEIGHT}px`;
  }

  reconcile(rows, first) {
    const kept = new Map();
    // Where only those that are seen exist, a row that has gone becomes one that comes.
    const wantedKeys = new Set(this.virtual ? rows.map(this.key) : []);
    const spare = this.virtual ? [...this.kept].filter(([key]) => !wantedKeys.has(key)).map(([, line]) => line) : [];
    const lines = rows.map((row, at) => {
      const key = this.key(row);
      const line = this.kept.get(key) ?? spare.pop() ?? this.line();
      kept.set(key, line);
      if (this.virtual) line.setAttribute("aria-rowindex", first + at + 2);
      line.className = row.tone ?? "";
      this.columns.forEach((column, cell) => fill(line.cells[cell], column.cell(row)));
      return line;
    });
    this.kept = kept;
    const wanted = this.virtual ? [this.above, ...lines, this.below] : lines;
    wanted.forEach((line, at) => {
      if (this.body.children[at] !== line) this.body.insertBefore(line, this.body.children[at] ?? null);
    });
    while (this.body.children.length > wanted.length) this.body.lastChild.remove();
  }

  line() {
    const cells = this.columns.map((one, at) => element(at === 0 ? "th" : "td", { scope: at === 0 ? "row" : null, class: one.class }));
    return element("tr", {}, ...cells);
  }
}

/** A filter box: every word has to be somewhere in the text. */
function filtering(id, run) {
  const input = document.getElementById(id);
  let due = 0;
  input.addEventListener("input", () => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(run);
  });
  return (text) => input.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
