"use strict";
// The contact sheet, in the order of the review queue; cards are made as they are scrolled to, pictures loaded lazily.
(() => {
  const { data, ids, state, element } = VE;
  const AT_ONCE = 60;
  const sheet = document.getElementById("sheet");
  const end = document.getElementById("sheet-end");
  let waiting = [];

  function card(i) {
    const picture = element("img", { src: `${ids[i]}/${ids[i]}_thumb.png`, loading: "lazy", decoding: "async", width: 320, height: 170,
      alt: `Most uncertain slice of ${ids[i]}: image with segmentation, and predictive entropy` });
    picture.addEventListener("error", () => picture.replaceWith(element("span", { className: "gone" }, "no picture")));
    const flags = VE.flagWords(i);
    const button = element("button", { type: "button", "data-sample": String(i), className: flags ? "card flagged" : "card" },
      element("span", { className: "rank" }, String(VE.placeInQueue[i] + 1)),
      element("strong", {}, ids[i]),
      flags ? element("span", { className: "flags" }, `◆ ${flags}`) : null,
      picture,
      element("span", { className: "reason" }, VE.reason(i)),
      element("span", { className: "where" }, VE.where(i)));
    button.classList.toggle("open", i === state.selected);
    return element("li", {}, button);
  }

  function more() {
    sheet.append(...waiting.splice(0, AT_ONCE).map(card));
    end.textContent = waiting.length ? `${waiting.length} more below` : "";
  }

  function fill() {
    const kept = new Set(state.kept);
    waiting = data.queue.filter((i) => kept.has(i));
    sheet.replaceChildren();
    more();
  }

  /** Where to look, in words. */
  VE.where = (i) => {
    const at = (name) => VE.inQueue(name, i);
    if (at("axis") === "") return "";
    const planes = `Look at ${at("axis")} = ${at("slice")}`;
    if (at("box_x") === "") return planes;
    const range = (axis) => `${axis} ${at(`box_${axis}`)}–${Number(at(`box_${axis}`)) + Number(at(`box_size_${axis}`)) - 1}`;
    return `${planes}; box ${["x", "y", "z"].map(range).join(", ")}`;
  };

  sheet.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) VE.select(Number(button.dataset.sample));
  });
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && waiting.length) more();
  }, { rootMargin: "800px" }).observe(end);
  VE.on("filter", fill);
  VE.on("selection", () => {
    sheet.querySelectorAll("button.open").forEach((one) => one.classList.remove("open"));
    sheet.querySelector(`button[data-sample="${state.selected}"]`)?.classList.add("open");
  });
  fill();
})();
