// One saga: what it is about, what it needs, its steps as a graph, in time and one by one, and its history.

import { badge, h, json, sagaLink, seconds, short, spoken, when } from "./elements.js";
import { session } from "./server.js";
import { buttons } from "./actions.js";
import { flags } from "./list.js";
import { graph } from "./graph.js";
import { steps } from "./steps.js";
import { timeline } from "./timeline.js";

export function saga(found, again) {
  return [
    heading(found),
    attention(found, again),
    facts(found),
    section("Steps", graph(found)),
    found.timeline.length > 0 && section("In time", timeline(found)),
    section("One by one", steps(found, again)),
    found.children.length > 0 && section("Children", children(found)),
    section("History", history(found)),
  ];
}

const section = (title, content) => h("section", { "aria-label": title, "data-key": title }, h("h2", null, title), content);

// ── what it is, and what it needs ────────────────────────────────────────────────────────────────────────────────────

function heading(found) {
  const end = found.ended_at || found.now;
  return h("div", { class: "heading" },
    found.parent && h("p", { class: "quiet" }, "child of ", sagaLink(found.parent.id, found.parent.name), ", step " + found.parent.step),
    h("h2", { class: "title" }, found.key || found.id, " ", badge(found.state), " ", flags(found)),
    h("p", { class: "quiet" }, found.name, " · started ", when(found.created_at, found.now), " · ",
      found.state === "FAILED" ? ["stands still since ", when(found.updated_at, found.now)]
        : [found.ended_at ? "took " : "under way for ", spoken(seconds(found.created_at, end))],
      found.deadline_at && !found.ended_at && [" · deadline ", when(found.deadline_at, found.now)]));
}

function attention(found, again) {
  const offers = session.writable ? found.moves : [];
  const answers = offers.filter((each) => each.verb === "send");
  const waits = found.steps.filter((each) => each.waits_for && each.waits_for.what === "event");
  return [
    found.paused.map((each) => h("p", { class: "notice busy" }, "Held by a pause of " + each.kind + " " + each.name + ", by " + each.actor + ": " + each.reason)),
    found.suspension && h("p", { class: "notice busy" }, "Suspended by " + found.suspension.actor + ", ", when(found.suspension.since, found.now), ": " + found.suspension.reason),
    found.because && h("p", { class: "notice " + (found.state === "FAILED" ? "wrong" : "undone") }, h("strong", null, "It goes backward: "), found.because),
    found.troubles.map((each) => h("div", { class: "notice wrong", "data-key": each.text }, h("strong", null, each.text),
      each.moves.length > 0 && h("p", { class: "quiet" }, "What settles it: " + each.moves.join(" or ")))),
    waits.map((each) => h("div", { class: "notice busy", "data-key": "wait " + each.label }, h("strong", null, each.label + " waits for " + (each.waits_for.event || "an answer")),
      each.waits_for.until && [", expires ", when(each.waits_for.until, found.now)],
      each.waits_for.skippable && ", and is passed over then")),
    offers.length > 0 && h("div", { class: "actions", role: "group", "aria-label": "actions" },
      buttons(found, [...answers, ...offers.filter((each) => each.verb !== "send")], again)),
  ];
}

// ── what it was started with ─────────────────────────────────────────────────────────────────────────────────────────

function facts(found) {
  const pair = (title, ...value) => value.every((each) => each !== null && each !== "" && each !== false) && [h("dt", null, title), h("dd", null, value)];
  return h("dl", { class: "card facts" },
    pair("Input", json(found.input)),
    found.state === "COMPLETED" && pair("Result", json(found.result)),
    pair("Id", h("code", null, found.id)),
    Object.keys(found.tags).length > 0 && pair("Tags", Object.entries(found.tags).map(([name, value]) =>
      h("a", { class: "tag", href: "#/?" + new URLSearchParams({ tag: name + "=" + value }) }, name + "=" + value))),
    pair("Lock", found.lock));
}

const children = (found) => h("ul", { class: "card plain" }, found.children.map((child) => h("li", null,
  h("span", { class: "quiet" }, child.step + ": "), sagaLink(child.id, child.name), " ", badge(child.state))));

// ── what happened ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Who did it, where no sentence says so. */
const unnamed = (entry) => entry.actor && !entry.facts.some((fact) => fact.text.includes(entry.actor));
const clock = (text) => new Date(text).toLocaleTimeString();

function history(found) {
  const entries = [...found.history].reverse();
  return h("ol", { class: "card history", reversed: true, start: found.version }, entries.map((entry) => h("li", { "data-key": "v" + entry.version },
    h("span", { class: "at" }, h("time", { datetime: entry.at, title: new Date(entry.at).toLocaleString() }, clock(entry.at)), " ",
      h("span", { class: "quiet" }, "+" + spoken(seconds(found.created_at, entry.at)))),
    h("div", null, unnamed(entry) && h("strong", { class: "actor" }, short(entry.actor, 80)), entry.facts.map((fact) => h("div", null, fact.text))))),
    found.history_left_out > 0 && h("li", { class: "quiet" }, "and " + found.history_left_out + " before that"));
}
