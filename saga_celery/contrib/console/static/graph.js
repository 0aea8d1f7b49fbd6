// The steps as a graph, each in the colour of its state; the compensation hangs below its step.

import { h, s } from "./elements.js";

export function graph(found) {
  const { width, height, box, boxes, arrows } = found.graph;
  const planned = new Map(found.plan.map((step) => [step.name, step]));
  const told = found.plan.map((step) => step.name + " " + step.words).join(", ");
  return h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": "graph of the steps" },
    s("svg", { class: "graph", role: "img", "aria-label": "the steps as a graph: " + told, width, height, viewBox: `0 0 ${width} ${height}` },
      arrows.map((arrow) => [s("path", { class: "line", d: arrow.line }), s("path", { class: "head", d: arrow.head })]),
      boxes.map((place) => step(planned.get(place.name), place, box))));
}

function step(planned, place, box) {
  const open = () => {
    const row = document.getElementById("step-" + planned.name);
    if (row.tagName === "DETAILS") row.open = true;
    row.scrollIntoView({ block: "center" });
  };
  return s("g", { class: "node " + planned.look, "data-key": planned.name, onclick: open },
    s("title", null, place.told),
    s("rect", { class: planned.pivot ? "pivot" : null, x: place.left, y: place.top, width: box.width, height: box.height, rx: planned.kind === "task" ? 8 : 22 }),
    s("text", { class: "label", x: place.left + 12, y: place.top + 20 }, place.name_short),
    s("text", { class: "words", x: place.left + 12, y: place.top + 37 }, place.words_short),
    place.undo && s("g", { class: "hung " + place.undo.look }, s("path", { d: place.undo.shape }),
      s("text", { class: "words", x: place.left + 19, y: place.top + box.height + 13 }, place.undo.words)));
}
