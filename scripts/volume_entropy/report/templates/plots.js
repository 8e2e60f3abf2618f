"use strict";
// One plot a quantity, one mark a sample. A plot is drawn when it is scrolled into view, and again when it changed.
(() => {
  const { data, byName, ids, state, element } = VE;
  const MOST_GROUPS = 40;
  const WIDTH = 0.3;
  const COLOURS = { dot: "#2463a8", flag: "#b8430b", ink: "#1c2430", grid: "#e3e7ec", line: "#4a5563" };
  const BASE = {
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif", size: 12, color: COLOURS.ink },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", margin: { l: 66, r: 14, t: 32, b: 30 }, showlegend: false, hovermode: "closest",
    hoverlabel: { bgcolor: "#fff", bordercolor: COLOURS.line, font: { color: COLOURS.ink }, align: "left" },
  };
  const CONFIG = { responsive: true, doubleClick: "reset", displaylogo: false, displayModeBar: true,
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    toImageButtonOptions: { format: "svg", filename: "volume-entropy" } };
  const charts = [];

  /** The same sample always lies at the same place: a hash of its index, -1 … 1. */
  const jitter = (i) => (((Math.imul(i + 1, 2654435761) >>> 0) % 10007) / 10007) * 2 - 1;

  const collator = new Intl.Collator(undefined, { numeric: true });

  /** Where samples lie along x: one place for all, one a group, or the column's own value. */
  function placing() {
    const name = state.group;
    if (name === "") {
      return { x: jitter, axis: { range: [-1.6, 1.6], visible: false }, groups: [["all", state.kept, 0]], wide: 1, below: 20 };
    }
    const column = byName.get(name);
    const found = [...new Set(state.kept.map((i) => column.cells[i]))].sort(collator.compare);
    if (column.number && found.length > 8) {
      const values = VE.values(name);
      return { x: (i) => values[i], axis: { title: { text: VE.escaped(VE.withUnit(name)) } }, groups: [], wide: 0, below: 50 };
    }
    // Beyond what a plot can hold, the rest share a place.
    const places = new Map(found.map((cell, k) => [cell, Math.min(k, MOST_GROUPS - 1)]));
    const members = new Map();
    for (const i of state.kept) {
      const place = places.get(column.cells[i]);
      if (!members.has(place)) members.set(place, []);
      members.get(place).push(i);
    }
    const labels = found.slice(0, MOST_GROUPS).map((cell, k) =>
      k === MOST_GROUPS - 1 && found.length > MOST_GROUPS ? "all others" : cell === "" ? "(empty)" : cell);
    const n = labels.length;
    const groups = labels.map((label, k) => [label, members.get(k) || [], k]);
    // Side by side while there is room; then upwards, each on one line.
    const upright = n <= 6;
    const short = (text) => (text.length > 16 ? text.slice(0, 15) + "…" : text);
    return {
      x: (i) => places.get(column.cells[i]) + WIDTH * jitter(i), groups, wide: WIDTH, below: upright ? 66 : 120,
      axis: { tickvals: groups.map((g) => g[2]), range: [-0.6, n - 0.4], zeroline: false,
        tickangle: upright ? 0 : -90, tickfont: { size: n > 24 ? 9 : upright && n > 4 ? 10.5 : 12 }, title: { text: VE.escaped(name) },
        ticktext: groups.map((g) => `${VE.escaped(short(g[0]))}${upright ? "<br>n = " : " · "}${g[1].length}`) },
    };
  }

  /** Linear quantile of sorted values. */
  function quantile(sorted, level) {
    const at = level * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  }

  const quartiles = (name, members) => {
    const values = VE.values(name);
    const sorted = members.map((i) => values[i]).filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
    return sorted.length ? [0.25, 0.5, 0.75].map((level) => quantile(sorted, level)) : null;
  };

  function traces(name, places) {
    const values = VE.values(name);
    const marks = (members, marker, label) => ({
      type: "scatter", mode: "markers", name: label, x: members.map(places.x), y: members.map((i) => values[i]),
      customdata: members, marker, hovertemplate: "%{text}<extra></extra>", text: members.map((i) => hover(name, i)),
    });
    const known = state.kept.filter((i) => !Number.isNaN(values[i]));
    const shapes = [];
    for (const [, members, k] of places.groups) {
      const found = quartiles(name, members);
      if (!found) continue;
      found.forEach((y, which) => {
        const reach = places.wide * (which === 1 ? 1.25 : 0.8);
        shapes.push({ type: "line", x0: k - reach, x1: k + reach, y0: y, y1: y, layer: "above",
          line: { color: COLOURS.ink, width: which === 1 ? 2.5 : 1, dash: which === 1 ? "solid" : "dot" } });
      });
    }
    const many = known.length > 300;
    return {
      shapes,
      data: [
        marks(known.filter((i) => !VE.flagged(i)), { color: COLOURS.dot, opacity: many ? 0.45 : 0.7, size: many ? 5 : 8 }, "not flagged"),
        marks(known.filter(VE.flagged), { color: COLOURS.flag, opacity: 0.9, size: many ? 8 : 11, symbol: "diamond",
          line: { color: "#fff", width: 0.5 } }, "flagged"),
      ],
    };
  }

  function hover(name, i) {
    const lines = [`<b>${ids[i]}</b>`, `${VE.escaped(VE.withUnit(name))}: ${VE.readable(name, i)}`];
    for (const column of data.metadata.slice(0, 4)) {
      const cell = byName.get(column).cells[i];
      if (cell) lines.push(`${VE.escaped(column)}: ${VE.escaped(cell.slice(0, 60))}`);
    }
    if (VE.flagged(i)) lines.push(`flagged: ${VE.flagWords(i)}`);
    return lines.join("<br>");
  }

  /** A ring and the id at the open sample, above the plot: a thousand times cheaper than having it drawn again. */
  function mark(chart) {
    if (!chart.name || chart.stale) return;
    const i = state.selected;
    const y = i === null ? NaN : VE.values(chart.name)[i];
    const { xaxis, yaxis } = chart.target._fullLayout;
    const x = i === null ? NaN : chart.places.x(i);
    const left = xaxis.l2p(x);
    const top = yaxis.l2p(y);
    const inside = left >= 0 && left <= xaxis._length && top >= 0 && top <= yaxis._length;
    chart.ring.hidden = !(inside && chart.kept.has(i));
    if (chart.ring.hidden) return;
    chart.ring.style.left = `${xaxis._offset + left}px`;
    chart.ring.style.top = `${yaxis._offset + top}px`;
    chart.ring.firstChild.textContent = ids[i];
    chart.ring.classList.toggle("leftwards", left > xaxis._length / 2);
  }

  function draw(chart) {
    chart.stale = false;
    const places = placing();
    const { data: drawn, shapes } = traces(chart.name, places);
    chart.places = places;
    chart.kept = new Set(state.kept);
    const values = VE.values(chart.name);
    const first = values[state.kept.find((i) => !Number.isNaN(values[i]))];
    // Of one value alone Plotly would show its last digits.
    const single = first > 0 && state.kept.every((i) => Number.isNaN(values[i]) || values[i] === first);
    // Fixed margins: with automatic ones every plot is drawn twice.
    const layout = { ...BASE, shapes, height: 310, margin: { ...BASE.margin, b: places.below },
      xaxis: { gridcolor: COLOURS.grid, zeroline: false, ...places.axis },
      yaxis: { title: { text: byName.get(chart.name).unit === "1" ? "" : VE.escaped(byName.get(chart.name).unit || "") },
        gridcolor: COLOURS.grid, zerolinecolor: COLOURS.grid, exponentformat: "SI", ...(single ? { range: [0, 2 * first] } : {}),
        rangemode: values.some((value) => value < 0) ? "normal" : "nonnegative" } };
    Plotly.react(chart.target, drawn, layout, CONFIG);
    const count = state.kept.length;
    chart.target.setAttribute("aria-label", `${VE.withUnit(chart.name)} of ${count} samples` +
      (state.group ? `, grouped by ${state.group}` : "") + "; the table of samples holds the same values.");
    if (!chart.listening) {
      chart.listening = true;
      chart.target.on("plotly_click", (event) => VE.select(event.points[0].customdata));
      for (const event of ["plotly_afterplot", "plotly_relayouting"]) chart.target.on(event, () => mark(chart));
    }
    mark(chart);
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.find((one) => one.target === entry.target);
      chart.near = entry.isIntersecting;
    }
    soon();
  }, { rootMargin: "40px" });

  /** One plot a task, so that the page answers between them. */
  let planned = false;
  function soon() {
    if (planned) return;
    planned = true;
    setTimeout(() => {
      planned = false;
      const next = charts.find((chart) => chart.near && chart.stale);
      if (!next) return;
      next.draw(next);
      soon();
    });
  }

  function watch(chart) {
    charts.push(chart);
    near.observe(chart.target);
  }

  function redraw() {
    for (const chart of charts) {
      if (!chart.name) continue;
      chart.stale = true;
      chart.ring.hidden = true;
    }
    soon();
    tabulate();
  }

  function addPlot(name) {
    const choice = element("select", { "aria-label": "Quantity of this plot" });
    for (const column of data.columns) {
      if (column.number && column.name !== "sample") {
        const option = element("option", { value: column.name }, VE.titleOf(column.name));
        option.selected = column.name === name;
        choice.append(option);
      }
    }
    const target = element("div", { className: "chart", role: "img" });
    const ring = element("div", { className: "ring", "aria-hidden": "true" }, element("span"));
    ring.hidden = true;
    const chart = { name, target, ring, stale: true, near: false, draw };
    choice.title = byName.get(name).description;
    choice.addEventListener("change", () => {
      chart.name = choice.value;
      choice.title = byName.get(choice.value).description;
      draw(chart);
      tabulate();
    });
    document.getElementById("plots").append(element("figure", { className: "plot" }, element("figcaption", {}, choice),
      element("div", { className: "stage" }, target, ring)));
    watch(chart);
  }

  function addSectionPlot(target) {
    const given = data.sections[target.dataset.section][Number(target.dataset.plot)];
    const drawIt = (chart) => {
      chart.stale = false;
      Plotly.newPlot(target, given.data, { ...BASE, height: 340, margin: { ...BASE.margin, b: 52 }, ...given.layout }, CONFIG);
      target.on("plotly_click", (event) => {
        const sample = ids.indexOf(event.points[0].customdata);
        if (sample >= 0) VE.select(sample);
      });
    };
    watch({ name: "", target, stale: true, near: false, draw: drawIt });
  }

  /** Median and quartiles of each plotted quantity in each group, in words for who cannot see the plots. */
  function tabulate() {
    const box = document.getElementById("groups");
    if (!document.getElementById("groups-details").open) return;
    const groups = placing().groups;
    const cell = (numbers) => (numbers ? numbers.map((v) => String(Number(v.toPrecision(4)))) : null);
    const head = element("tr", {}, element("th", { scope: "col" }, "quantity"),
      ...groups.map(([label, members]) => element("th", { scope: "col" }, `${label} (n = ${members.length})`)));
    const rows = charts.filter((chart) => chart.name).map((chart) => element("tr", {},
      element("th", { scope: "row" }, VE.withUnit(chart.name)),
      ...groups.map(([, members]) => {
        const found = cell(quartiles(chart.name, members));
        return element("td", { className: "n" }, found ? `${found[1]} (${found[0]} … ${found[2]})` : "–");
      })));
    box.replaceChildren(groups.length
      ? element("table", { className: "plain" }, element("thead", {}, head), element("tbody", {}, ...rows))
      : element("p", {}, "A column of many numbers has no groups."));
  }

  /** The config's group; else the first text with few values. */
  function firstGroup() {
    if (data.group && byName.has(data.group)) return data.group;
    const few = (name) => {
      const n = new Set(byName.get(name).cells).size;
      return n > 1 && n <= 12 && !byName.get(name).number;
    };
    return data.metadata.find(few) || "";
  }

  const choice = document.getElementById("group");
  for (const name of data.metadata) choice.append(element("option", { value: name }, name));
  choice.value = state.group = firstGroup();
  choice.addEventListener("change", () => VE.group(choice.value));
  document.getElementById("groups-details").addEventListener("toggle", tabulate);
  VE.on("filter", redraw);
  VE.on("grouping", redraw);
  VE.on("selection", () => charts.forEach(mark));
  data.plots.forEach(addPlot);
  document.querySelectorAll(".chart[data-section]").forEach(addSectionPlot);
})();
