"use strict";
// What all parts of the page share: the data, which samples the filter leaves, and which sample is open.
window.VE = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byName = new Map(data.columns.map((column) => [column.name, column]));
  const ids = byName.get("sample").cells;
  const queue = new Map(data.queueColumns.map((column) => [column.name, column.cells]));
  // Of every sample its place in the queue, by index into the samples.
  const placeInQueue = new Array(ids.length);
  data.queue.forEach((sample, place) => { placeInQueue[sample] = place; });
  const numbers = new Map();
  const listeners = { filter: [], selection: [], grouping: [] };
  const state = { selected: null, kept: ids.map((_, i) => i), group: "" };

  /** An element with text, never markup: whatever a cell holds is inert. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "className") made.className = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  /** Plotly reads a little HTML in labels. */
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  /** Values of a column of numbers; NaN where the cell is empty. */
  function values(name) {
    if (!numbers.has(name)) {
      numbers.set(name, Float64Array.from(byName.get(name).cells, (cell) => (cell === "" ? NaN : Number(cell))));
    }
    return numbers.get(name);
  }

  /** A cell for reading: four significant digits, thousands apart; whole numbers in full. */
  function readable(name, sample) {
    const column = byName.get(name);
    const cell = column.cells[sample];
    if (cell === "" || !column.number) return cell;
    if (data.metadata.includes(name)) return cell;
    const value = Number(cell);
    if (Number.isInteger(value) || Math.abs(value) >= 10000) {
      return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
    }
    return String(Number(value.toPrecision(4)));
  }

  const inQueue = (name, sample) => queue.get(name)[placeInQueue[sample]];
  const flagged = (sample) => inQueue("flags", sample) !== "";
  /** `entropy_high;class_volume` in words. */
  const flagWords = (sample) => inQueue("flags", sample).replace(/_/g, " ").replace(/;/g, ", ");
  const reason = (sample) => inQueue("reason", sample).replace(/mm\^3/g, "mm³");
  /** The codes of a sample's warnings. */
  const warnings = (sample) => byName.get("warnings").cells[sample].split(";").filter(Boolean);
  const titleOf = (name) => name.replace(/_/g, " ");
  const withUnit = (name) => {
    const unit = byName.get(name).unit;
    return unit && unit !== "1" ? `${titleOf(name)} (${unit.replace("mm^3", "mm³")})` : titleOf(name);
  };

  const on = (event, listener) => listeners[event].push(listener);
  const tell = (event) => listeners[event].forEach((listener) => listener());

  function select(sample) {
    if (state.selected === sample) return;
    state.selected = sample;
    tell("selection");
  }

  function group(name) {
    state.group = name;
    tell("grouping");
  }

  const wanted = { text: "", column: "", value: "", flagged: false };
  const searched = ids.map((id, i) =>
    [id, ...data.metadata.map((name) => byName.get(name).cells[i]), inQueue("reason", i), inQueue("flags", i),
      ...warnings(i)]
      .join("\n").toLowerCase());

  function filter(change) {
    Object.assign(wanted, change);
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    const cells = wanted.column && wanted.value !== null ? byName.get(wanted.column).cells : null;
    state.kept = ids.map((_, i) => i).filter((i) =>
      words.every((word) => searched[i].includes(word)) && (!cells || cells[i] === wanted.value) &&
      (!wanted.flagged || flagged(i)));
    tell("filter");
  }

  /** The rows that are left, as they stand in subjects.csv. */
  function csv() {
    const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell);
    const line = (cells) => cells.map(quoted).join(",") + "\n";
    return line(data.columns.map((column) => column.name)) +
      state.kept.map((i) => line(data.columns.map((column) => column.cells[i]))).join("");
  }

  function download() {
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    const link = element("a", { href: url, download: "samples.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function setUpFilters() {
    const [search, column, value, only] = ["search", "filter-column", "filter-value", "only-flagged"]
      .map((id) => document.getElementById(id));
    let waiting;
    const say = () => {
      document.getElementById("shown").textContent = `${state.kept.length} of ${ids.length} samples`;
    };
    // Metadata, and our own few texts.
    const texts = [...data.metadata, ...["unit", "content", "warnings"].filter((name) => byName.has(name))];
    for (const name of texts) column.append(element("option", { value: name }, name));
    const fillValues = () => {
      const any = "\u0000any";
      value.replaceChildren(element("option", { value: any }, "any"));
      value.disabled = column.value === "";
      if (column.value === "") return;
      const found = [...new Set(byName.get(column.value).cells)].sort(new Intl.Collator(undefined, { numeric: true }).compare);
      for (const cell of found) value.append(element("option", { value: cell }, cell === "" ? "(empty)" : cell));
    };
    const chosen = () => (value.selectedIndex > 0 ? value.value : null);
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => filter({ text: search.value }), 150);
    });
    column.addEventListener("change", () => {
      fillValues();
      filter({ column: column.value, value: null });
    });
    value.addEventListener("change", () => filter({ value: chosen() }));
    only.addEventListener("change", () => filter({ flagged: only.checked }));
    const form = document.getElementById("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      fillValues();
      filter({ text: "", column: "", value: null, flagged: false });
    }));
    document.getElementById("export").addEventListener("click", download);
    on("filter", say);
    say();
  }

  setUpFilters();
  return { data, byName, ids, state, element, escaped, values, readable, inQueue, reason, flagged, flagWords, warnings, placeInQueue,
    titleOf, withUnit, on, select, group, csv };
})();
