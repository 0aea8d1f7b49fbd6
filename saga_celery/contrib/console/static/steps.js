// The steps one by one, in the order of the plan, those that are still to come as well.

import { h, json, seconds, spoken } from "./elements.js";
import { taskAddress } from "./server.js";

const MOST_ITEMS = 25;
const GLYPHS = { done: "✓", undone: "↶", wrong: "✕", busy: "▸", idle: "○" };
const UNDO = {
  pivot: ["◆ point of no return", "from here on the saga goes only forward"],
  yes: ["↶ can be undone", "it has a compensation"],
  forward: ["→ only forward", "it stands behind the point of no return"],
  no: ["– cannot be undone", "its author says that nothing has to be"],
  wait: ["nothing to undo", "it only waits"],
};

export function steps(found) {
  const told = new Map();
  for (const step of found.steps) told.set(step.step, [...(told.get(step.step) || []), step]);
  const known = new Set(found.plan.map((planned) => planned.name));
  return h("div", { class: "card steps" },
    found.plan.map((planned) => one(found, planned, told.get(planned.name) || [])),
    found.steps.filter((step) => !known.has(step.step)).map((step) => row(found, step, { look: "idle", undo: "no" })),
    found.steps_left_out > 0 && h("p", { class: "quiet" }, "and " + found.steps_left_out + " more"));
}

function one(found, planned, several) {
  const [first, ...items] = [...several].sort((one, other) => one.item - other.item);
  if (!first) return h("div", { class: "step to-come", "data-key": "step " + planned.name, id: "step-" + planned.name },
    title(planned.name, planned, "idle"), h("span", { class: "words" }, planned.words));
  return [row(found, first, planned), items.slice(0, MOST_ITEMS).map((item) => row(found, item, planned)),
    items.length > MOST_ITEMS && h("p", { class: "quiet" }, "and " + (items.length - MOST_ITEMS) + " more items")];
}

const title = (label, planned, look) => h("span", { class: "name" },
  h("span", { class: "glyph " + look, "aria-hidden": "true" }, GLYPHS[look]), " ", label,
  h("span", { class: "undo", title: undo(planned)[1] }, undo(planned)[0]));

const undo = (planned) => UNDO[planned.undo === "no" && ["wait", "sleep"].includes(planned.kind) ? "wait" : planned.undo];

function row(found, step, planned) {
  const look = step.item ? step.look : planned.look;
  const errors = problems(step);
  return h("details", { class: "step", "data-key": "step " + step.label, id: "step-" + step.label },
    h("summary", null, title(step.label, planned, look), h("span", { class: "words" }, words(found, step)),
      h("span", { class: "numbers" }, attempts(step), step.began_at && [" · ", took(found, step)])),
    h("div", { class: "more" },
      h("dl", null,
        step.arguments && pair("Task", task(found, step)),
        step.arguments && (step.arguments.args === null || step.arguments.args.length > 0 || step.arguments.kwargs.length > 0) && pair("Arguments", called(step.arguments)),
        step.result !== null && pair("Result", json(step.result)),
        step.compensation && step.compensation.task && pair("Undone by", h("code", null, step.compensation.task)),
        step.action && step.action.worker && pair("Worker", step.action.worker)),
      errors));
}

const pair = (name, value) => [h("dt", null, name), h("dd", null, value)];

function words(found, step) {
  const errors = [step.compensation, step.probe, step.action].find((each) => each && each.error);
  return [step.words, step.items > 0 && ", " + step.items + " items", errors && h("span", { class: "error" }, errors.error.type + ": " + errors.error.message)];
}

const took = (found, step) => spoken(seconds(step.began_at, step.settled_at || found.now)) + (step.settled_at ? "" : " so far");

function attempts(step) {
  return [["", step.action], ["undo ", step.compensation], ["probe ", step.probe]]
    .filter(([, each]) => each && each.attempt).map(([what, each]) => what + each.used + "/" + each.allowed).join(", ");
}

/** With a link to each attempt where a monitor is known. */
function task(found, step) {
  const sent = found.timeline.filter((span) => span.step === step.label && span.task_id && taskAddress(span.task_id));
  return [h("code", null, step.arguments.task), sent.map((span) => [" ", h("a", { href: taskAddress(span.task_id) },
    (span.direction === "action" ? "attempt " : span.direction + " ") + span.attempt)])];
}

const called = (found) => h("dl", { class: "arguments" },
  found.args === null && h("p", { class: "quiet" }, "Arguments by position are not shown: this process does not know the task, and so not which of them are secret."),
  [...(found.args || []), ...found.kwargs].map((each) => pair(each.name, json(each.value))));

function problems(step) {
  return [["", step.action], ["probe: ", step.probe], ["undo: ", step.compensation]].filter(([, each]) => each && each.error).map(([what, each]) => h("div", { class: "error" },
    h("strong", null, what + each.error.type), ": " + each.error.message,
    each.error.traceback && h("pre", { tabindex: 0 }, each.error.traceback)));
}
