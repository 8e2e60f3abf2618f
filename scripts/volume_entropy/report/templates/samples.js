"use strict";
// The table of all samples: only the rows in view are in the document, so that ten thousand scroll like ten. Made in a
// task of its own, once the page is there.
setTimeout(() => {
  const { data, byName, ids, state, element } = VE;
  const OWN = [
    ["rank", "place in the review queue", (i) => String(VE.placeInQueue[i] + 1)],
    ["flags", "reasons beyond the limit", VE.flagWords],
  ];
  const field = new Map(data.columns.map((column, k) => [column.name, `c${k}`]));
  // A row is a number: the cells are read where they stand.
  const rows = ids.map((_, i) => ({ i }));

  const text = (words) => document.createTextNode(words);
  const collator = new Intl.Collator(undefined, { numeric: true });

  /** Compares two samples; those without a value are last, whichever way the column is sorted. */
  const by = (compare, lacks) => (_a, _b, rowA, rowB, _column, direction) => {
    const [a, b] = [rowA.getData().i, rowB.getData().i];
    const missing = lacks(a) - lacks(b);
    return missing ? (direction === "asc" ? missing : -missing) : compare(a, b);
  };
  const byNumber = (name) => {
    const values = VE.values(name);
    return by((a, b) => values[a] - values[b], (i) => Number.isNaN(values[i]));
  };
  const byText = (textOf) => by((a, b) => collator.compare(textOf(a), textOf(b)), (i) => textOf(i) === "");

  function column(name) {
    const about = byName.get(name);
    return {
      title: name, field: field.get(name), headerTooltip: about.description, minWidth: 90,
      maxInitialWidth: 190, hozAlign: about.number ? "right" : "left", headerHozAlign: about.number ? "right" : "left",
      sorter: about.number ? byNumber(name) : byText((i) => about.cells[i]), frozen: name === "sample",
      titleFormatter: () => text(VE.withUnit(name)),
      formatter: (cell) => text(VE.readable(name, cell.getData().i)),
    };
  }

  const shown = new Set(["sample", ...data.shown]);
  const order = ["sample", ...data.shown, ...data.columns.map((c) => c.name).filter((name) => !shown.has(name))];
  const columns = [
    column("sample"),
    ...OWN.map(([name, description, textOf]) => ({
      title: name, field: name, headerTooltip: description, minWidth: 70, maxInitialWidth: 190, sorter: byText(textOf),
      hozAlign: name === "rank" ? "right" : "left", headerHozAlign: name === "rank" ? "right" : "left",
      titleFormatter: () => text(name), formatter: (cell) => text(textOf(cell.getData().i)),
    })),
    ...data.shown.map(column),
  ];

  const table = new Tabulator("#table", {
    data: rows, index: "i", columns, maxHeight: 480, layout: "fitData", nestedFieldSeparator: false,
    renderHorizontal: "virtual", placeholder: "No sample is left by the filter.",
    columnDefaults: { resizable: "header" }, initialSort: [{ column: "rank", dir: "asc" }],
    rowFormatter: (row) => {
      const made = row.getElement();
      const open = row.getData().i === state.selected;
      made.tabIndex = 0;
      made.classList.toggle("open", open);
      made.setAttribute("aria-selected", String(open));
    },
  });
  VE.table = table;
  table.on("rowClick", (_, row) => VE.select(row.getData().i));

  const box = document.getElementById("table");
  box.addEventListener("keydown", (event) => {
    const heading = event.target.closest(".tabulator-col");
    const row = event.target.closest(".tabulator-row");
    if (heading && !row && (event.key === "Enter" || event.key === " ")) {
      heading.click();
      event.preventDefault();
    } else if (row && (event.key === "Enter" || event.key === " ")) {
      VE.select(Number(table.getRows().find((one) => one.getElement() === row)?.getData().i));
      event.preventDefault();
    } else if (row && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
      next?.focus();
      event.preventDefault();
    }
  });

  const focusable = () => box.querySelectorAll(".tabulator-col").forEach((heading) => { heading.tabIndex = 0; });
  let ready = false;
  let lit = null;
  let kept = null;
  const apply = () => {
    if (!ready) return;
    kept = new Set(state.kept);
    if (kept.size === ids.length) table.clearFilter();
    else table.setFilter((row) => kept.has(row.i));
  };
  const light = () => {
    if (!ready) return;
    for (const i of [lit, state.selected]) {
      if (i !== null) table.getRow(i).reformat();
    }
    lit = state.selected;
    if (lit !== null && (kept === null || kept.has(lit))) table.scrollToRow(lit, "center", false).catch(() => {});
  };
  table.on("tableBuilt", () => {
    ready = true;
    focusable();
    apply();
    light();
  });
  VE.on("filter", apply);
  VE.on("selection", light);

  const choices = document.querySelector("#columns fieldset");
  document.getElementById("columns").addEventListener("toggle", () => {
    if (choices.querySelector("label")) return;
    for (const name of order.slice(1)) {
      const tick = element("input", { type: "checkbox" });
      tick.checked = shown.has(name);
      tick.addEventListener("change", () => {
        if (tick.checked) table.addColumn(column(name)).then(focusable);
        else table.deleteColumn(field.get(name));
      });
      const label = element("label", { title: byName.get(name).description }, tick, ` ${VE.titleOf(name)}`);
      choices.append(label);
    }
  });
});
