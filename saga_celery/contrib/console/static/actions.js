// What can be asked of one saga: a button each, and a dialog that asks for the rest.

import { h, spoken, seconds } from "./elements.js";
import { post } from "./server.js";
import { open, reasonField } from "./dialog.js";

const WORDS = {
  retry: ["Retry", "It is tried again."],
  skip: ["Skip", "It is passed over, and the saga goes on as if it were done."],
  resolve: ["Resolve", "Say what became of it; look it up at the other side first."],
  cancel: ["Cancel and undo", "The saga turns round, and everything that took effect is undone."],
  suspend: ["Suspend", "Outcomes are still recorded; nothing more is sent until it is resumed."],
  resume: ["Resume", "The saga goes on where it stopped."],
  send: ["Answer", "The saga goes on with this answer."],
};
const DANGEROUS = ["cancel", "skip"];

export function buttons(saga, offers, again) {
  return h("div", { class: "buttons" }, offers.map((offer, at) => h("button", {
    type: "button", "data-key": offer.verb + offer.step, class: at === 0 && offer.step ? "primary" : DANGEROUS.includes(offer.verb) ? "dangerous" : null,
    onclick: () => ask(saga, offer, again),
  }, label(offer) + " …")));
}

const label = (offer) => WORDS[offer.verb][0] + (offer.step ? " " + offer.step : "");

function ask(saga, offer, again) {
  const send = async (given) => {
    const done = await post("sagas/" + encodeURIComponent(saga.id) + "/" + offer.verb, {
      step: offer.step, expected_version: saga.version, ...body(offer, given) });
    await again(offer.verb + ": the saga is " + done.state);
  };
  open(label(offer), [h("p", { class: "quiet" }, WORDS[offer.verb][1]), fields(saga, offer)], send, label(offer), DANGEROUS.includes(offer.verb));
}

function fields(saga, offer) {
  if (offer.verb === "send") return answerFields(saga, offer);
  return [
    offer.resolutions && h("label", null, "It", h("select", { name: "resolution", required: true, "aria-label": "what became of it" },
      h("option", { value: "" }, "…"), "done" in offer.resolutions && h("option", { value: "done" }, "took effect"),
      "never" in offer.resolutions && h("option", { value: "never" }, "took no effect and never will"))),
    (offer.takes_result || offer.resolutions?.done) && h("label", null, "Result of the step, as JSON; empty: none",
      h("textarea", { name: "result", rows: 3, spellcheck: "false", placeholder: '"charge-17"' })),
    offer.arguments && argumentFields(offer.arguments),
    reasonField(),
  ];
}

// ── retry with other arguments ───────────────────────────────────────────────────────────────────────────────────────

const written = (value) => JSON.stringify(value, null, 2);

function argumentFields(found) {
  const field = (each, name) => h("label", null, each.name + (each.hidden ? " (not shown here, stays as it is)" : each.key ? " (idempotency key, made anew)" : ""),
    h("textarea", { name, rows: Math.min(8, written(each.value).split("\n").length), disabled: each.hidden || each.key, spellcheck: "false", "data-was": written(each.value) }, written(each.value)));
  const whole = found.args !== null && !found.args.some((each) => each.hidden);
  if (found.kwargs.length === 0 && !(found.args || []).length) return null;
  return h("details", { class: "arguments" }, h("summary", null, "With other arguments"),
    h("p", { class: "quiet" }, "JSON. What is changed runs under a new idempotency key, as what ran before is settled."),
    whole && found.args.map((each, at) => field(each, "args " + at)),
    found.args !== null && !whole && h("p", { class: "quiet" }, "Arguments by position stay as they are, as some of them are not shown here."),
    found.args === null && h("p", { class: "quiet" }, "Arguments by position stay as they are: this process does not know the task."),
    found.kwargs.map((each) => field(each, "kwargs " + each.name)));
}

function body(offer, given) {
  if (offer.verb === "send") return { event: answer(offer, given) };
  const { reason, resolution, result } = given;
  const plain = { reason };
  if (resolution) plain.resolution = resolution;
  if (result !== undefined) plain.result = parsed(result, "the result");
  return offer.arguments ? { ...plain, ...changed(offer.arguments, given) } : plain;
}

/** The arguments that differ: by name those alone, by position all or none. */
function changed(found, given) {
  const value = (name, was) => (given[name] === undefined ? was : parsed(given[name], name.split(" ").slice(1).join(" ")));
  const differs = (one, other) => JSON.stringify(one) !== JSON.stringify(other);
  const args = (found.args || []).map((each, at) => value("args " + at, each.value));
  const kwargs = found.kwargs.filter((each) => differs(value("kwargs " + each.name, each.value), each.value));
  return {
    ...(args.some((each, at) => differs(each, found.args[at].value)) ? { args } : {}),
    ...(kwargs.length > 0 ? { kwargs: Object.fromEntries(kwargs.map((each) => [each.name, value("kwargs " + each.name)])) } : {}),
  };
}

function parsed(text, what) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(what + ' is no JSON; a text stands in quotes, "like this"');
  }
}

// ── the answer to a wait ─────────────────────────────────────────────────────────────────────────────────────────────

function answerFields(saga, offer) {
  return [
    offer.until && h("p", null, "Its time is over in " + spoken(seconds(saga.now, offer.until)) + "."),
    offer.fields ? offer.fields.map(answerField)
      : h("label", null, (offer.event || "The answer") + ", as JSON", h("textarea", { name: "event", required: true, rows: 4, spellcheck: "false" })),
  ];
}

function answerField(each) {
  const name = "field " + each.name;
  const value = each.default ?? null;
  if (each.type === "boolean") return h("label", { class: "check" }, h("input", { type: "checkbox", name, checked: value === true }), each.name);
  if (each.choices.length > 0) return h("label", null, each.name, h("select", { name, required: each.required },
    h("option", { value: "" }, "…"), each.choices.map((one) => h("option", { value: JSON.stringify(one), selected: one === value }, String(one)))));
  const number = each.type !== "string";
  return h("label", null, each.name, h("input", { name, type: number ? "number" : "text", step: each.type === "integer" ? 1 : number ? "any" : null,
    required: each.required, value, autocomplete: "off" }));
}

function answer(offer, given) {
  if (!offer.fields) return parsed(given.event, "the answer");
  const told = offer.fields.map((each) => [each, given["field " + each.name]]).filter(([, value]) => value !== undefined);
  return Object.fromEntries(told.map(([each, value]) => [each.name, typed(each, value)]));
}

const typed = (each, value) => (each.type === "boolean" ? value : each.choices.length > 0 ? JSON.parse(value) : each.type === "string" ? value : Number(value));
