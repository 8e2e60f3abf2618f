"use strict";
// The open sample: its figure, why it stands where it stands, where to look, and all its values.
(() => {
  const { data, ids, state, element } = VE;
  const panel = document.getElementById("detail");
  const part = (name) => document.getElementById(`detail-${name}`);
  let before = null;

  const pair = (term, value) => [element("dt", {}, term), element("dd", {}, value)];

  function place(i) {
    const at = (name) => VE.inQueue(name, i);
    if (at("axis") === "") return [];
    const all = (prefix, suffix = "") => ["x", "y", "z"].map((axis) => at(`${prefix}${axis}${suffix}`)).join(", ");
    const rows = [...pair("slice", `${at("axis")} = ${at("slice")} (peaks of x, y, z: ${all("slice_")})`)];
    if (at("box_x") !== "") {
      const mm = ["x", "y", "z"].map((axis) => Number(at(`box_${axis}_mm`)).toFixed(1)).join(", ");
      rows.push(...pair("box", `first voxel ${all("box_")}; size ${all("box_size_")} voxels`), ...pair("centre", `${mm} mm`));
    }
    return rows;
  }

  function show() {
    const i = state.selected;
    panel.hidden = i === null;
    document.body.classList.toggle("with-detail", i !== null);
    if (i === null) {
      before?.focus();
      return;
    }
    const id = ids[i];
    const source = `${id}/${id}_qc.${data.figureFormat}`;
    part("title").textContent = id;
    part("rank").textContent = `${VE.placeInQueue[i] + 1} of ${ids.length} in the review queue`;
    part("reason").textContent = VE.reason(i);
    part("warnings").replaceChildren(...VE.warnings(i).map((code) =>
      element("li", {}, element("code", {}, code), ` ${data.warnings[code] ?? ""}`)));
    part("place").replaceChildren(...place(i));
    part("values").replaceChildren(...data.columns.filter((column) => !["sample", "warnings"].includes(column.name) && column.cells[i] !== "")
      .flatMap((column) => pair(VE.withUnit(column.name), VE.readable(column.name, i))));
    part("link").href = source;
    part("caption").textContent = "The sample's figure; click it for its full size.";
    part("figure").src = source;
    part("figure").alt = `Quality-control figure of ${id}: image, segmentation and entropy, slice by slice`;
    document.getElementById("previous").disabled = neighbour(-1) === null;
    document.getElementById("next").disabled = neighbour(1) === null;
  }

  /** The next sample of the queue that the filter leaves. */
  function neighbour(step) {
    const kept = new Set(state.kept);
    for (let at = VE.placeInQueue[state.selected] + step; at >= 0 && at < ids.length; at += step) {
      if (kept.has(data.queue[at])) return data.queue[at];
    }
    return null;
  }

  part("figure").addEventListener("error", () => { part("caption").textContent = "The figure has not been drawn."; });
  for (const [name, step] of [["previous", -1], ["next", 1]]) {
    document.getElementById(name).addEventListener("click", () => {
      const other = neighbour(step);
      if (other !== null) VE.select(other);
    });
  }
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => VE.select(Number(button.dataset.open)));
  }
  document.getElementById("close").addEventListener("click", () => VE.select(null));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.selected !== null) VE.select(null);
  });
  VE.on("selection", () => {
    const wasHidden = panel.hidden;
    if (wasHidden) before = document.activeElement;
    show();
    if (wasHidden && state.selected !== null) part("title").focus({ preventScroll: true });
  });
})();
