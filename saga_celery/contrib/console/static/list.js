// The list: what is stuck, how many there are of each state, and the sagas, the newest first.

import { STATES, badge, h, sagaLink, seconds, short, spoken, when } from "./elements.js";
import { ask, session } from "./server.js";
import { bulk, chosen, toggle } from "./bulk.js";

const COUNTED_EVERY = 15000; // milliseconds; the counts are dearer than a page of the list
const TIMES = [["", "any time"], ["1h", "the last hour"], ["24h", "the last day"], ["7d", "the last week"], ["30d", "the last 30 days"]];
let counted = { of: "", at: 0, counts: [], names: [] };

/** Ask for what the list shows. */
export async function reading(query) {
  const [found, numbers] = await Promise.all([ask("sagas?" + query), numbered(query)]);
  return { ...found, ...numbers };
}

async function numbered(query) {
  const of = query.get("name") || "";
  if (of !== counted.of || Date.now() - counted.at > COUNTED_EVERY) {
    const found = await ask("counts" + (of ? "?name=" + encodeURIComponent(of) : ""));
    counted = { of, at: Date.now(), counts: found.counts, names: found.names };
  }
  return { counts: counted.counts, names: counted.names };
}

export function list(found, query, again) {
  const first = !query.get("after");
  return [
    found.pauses.map((each) => pause(each, found.now)),
    first && found.stuck.length > 0 && !query.get("stuck") && stuckOnes(found, query),
    h("section", { "aria-label": "sagas" },
      tabs(found, query), filters(found, query),
      found.sagas.length === 0 ? nothing(found, query) : table(found, query, again),
      h("nav", { class: "pages", "aria-label": "pages" },
        !first && h("a", { href: address(query, { after: "" }) }, "↑ Newest"),
        found.next && h("a", { href: address(query, { after: found.next }) }, "Older ↓"))),
    session.writable && bulk(found, query, again),
  ];
}

function address(query, changes) {
  const wanted = new URLSearchParams(query);
  for (const [name, value] of Object.entries({ after: "", ...changes })) {
    if (value) wanted.set(name, value);
    else wanted.delete(name);
  }
  return String(wanted) ? "#/?" + wanted : "#"; // "#/" would be taken for one of its tabs by Flower
}

// ── what needs somebody ──────────────────────────────────────────────────────────────────────────────────────────────

const pause = (each, now) => h("p", { class: "notice busy" }, h("strong", null, "Paused: " + each.kind + " " + each.name), " by ",
  each.actor, ", ", when(each.since, now), ": ", each.reason);

function stuckOnes(found, query) {
  const SOME = 5;
  return h("section", { class: "card wrong", "aria-labelledby": "stuck" },
    h("h2", { id: "stuck" }, "Stuck: waits for a person, or for workers"),
    h("ul", { class: "stuck" }, found.stuck.slice(0, SOME).map((saga) => h("li", { "data-key": saga.id },
      h("div", { class: "who" }, sagaLink(saga.id, saga.key || saga.id), h("span", { class: "quiet under" }, saga.name)), badge(saga.state),
      h("div", null, saga.troubles.map((each) => h("div", null, withCode(each.text),
        each.moves.length > 0 && [" ", h("span", { class: "next" }, "→ " + each.moves.join(" or "))])))))),
    found.stuck.length > SOME && h("a", { href: address(query, { stuck: "1", state: "" }) }, "All that are stuck"));
}

// ── which ones ───────────────────────────────────────────────────────────────────────────────────────────────────────

function tabs(found, query) {
  const state = query.get("state") || "";
  const plain = !state && !query.get("stuck") && !query.get("suspended");
  const tab = (words, changes, current, number) => h("li", null, h("a", { href: address(query, { state: "", stuck: "", suspended: "", ...changes }),
    "aria-current": current ? "true" : null }, words, number && h("span", { class: "number" }, number)));
  const number = (each) => {
    const { count: many, more } = found.counts.find((one) => one.state === each) || { count: 0 };
    return many.toLocaleString("en") + (more ? "+" : "");
  };
  return h("ul", { class: "tabs", "aria-label": "states" },
    tab("All", {}, plain),
    tab("Stuck", { stuck: "1" }, query.get("stuck")),
    Object.entries(STATES).map(([each, [, word]]) => tab(word, { state: each }, state === each, number(each))),
    tab("Suspended", { suspended: "1" }, query.get("suspended")));
}

function filters(found, query) {
  const select = (name, title, options) => h("label", null, title, h("select", { name, "aria-label": title, onchange: (event) => event.target.form.requestSubmit() },
    options.map(([value, words]) => h("option", { value, selected: (query.get(name) || "") === value }, words))));
  const field = (name, title, placeholder) => h("label", null, title,
    h("input", { name, value: query.get(name) || "", placeholder, type: name === "search" ? "search" : "text", autocomplete: "off", spellcheck: "false" }));
  const send = (event) => {
    event.preventDefault();
    const given = [...event.target.elements].filter((each) => each.name).map((each) => [each.name, each.value.trim()]);
    location.hash = address(query, Object.fromEntries(given));
  };
  const names = [...new Set([...found.names, query.get("name")].filter(Boolean))];
  return h("form", { class: "filters", role: "search", onsubmit: send },
    field("search", "Key or id", "order-7"),
    select("name", "Saga", [["", "all"], ...names.map((name) => [name, name])]),
    field("tag", "Tag", "customer=42"),
    select("since", "Started", times(query)),
    h("button", null, "Search"),
    [...query.keys()].some((name) => name !== "after") && h("a", { class: "reset", href: "#" }, "Reset"));
}

function times(query) {
  const given = query.get("since");
  return given && !TIMES.some(([value]) => value === given) ? [...TIMES, [given, "since " + given]] : TIMES;
}

const nothing = (found, query) => h("p", { class: "empty" }, found.next ? ["No saga fits of those started since ", when(found.looked_back_to, found.now), "."] : [...query.keys()].length > 0
  ? ["No saga fits. A key is searched for as a whole, an id by its beginning. ", h("a", { href: "#" }, "Show all")]
  : "No saga has been started yet.");

// ── the sagas ────────────────────────────────────────────────────────────────────────────────────────────────────────

function table(found, query, again) {
  const all = found.sagas.every((each) => chosen.has(each.id));
  const choose = (saga) => h("td", { class: "choose" }, h("input", { type: "checkbox", "aria-label": "choose " + (saga.key || saga.id),
    checked: chosen.has(saga.id), onchange: (event) => { toggle([saga], event.target.checked); again(); } }));
  const chooseAll = () => h("th", { class: "choose", scope: "col" }, h("input", { type: "checkbox", "aria-label": "choose all of this page",
    checked: all, onchange: (event) => { toggle(found.sagas, event.target.checked); for (const each of event.target.closest("table").querySelectorAll("td input")) each.checked = event.target.checked; again(); } }));
  return h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": "list of sagas" }, h("table", null,
    h("thead", null, h("tr", null, session.writable && chooseAll(),
      ["Saga", "State", "Tags", "Started", "Took"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, found.sagas.map((saga) => h("tr", { "data-key": saga.id, class: chosen.has(saga.id) ? "chosen" : null },
      session.writable && choose(saga),
      h("td", { class: "first" }, sagaLink(saga.id, short(saga.key || saga.id, 60)), h("span", { class: "quiet under" }, saga.name)),
      h("td", null, badge(saga.state), flags(saga), saga.why && h("span", { class: "why under" }, saga.why)),
      h("td", { class: "tags" }, Object.entries(saga.tags || {}).map(([name, value]) =>
        h("a", { class: "tag", href: address(query, { tag: name + "=" + value }) }, short(name + "=" + value, 32)))),
      h("td", { class: "time" }, when(saga.created_at, found.now)),
      h("td", { class: "time" }, spoken(seconds(saga.created_at, saga.ended_at || found.now)), !saga.ended_at && h("span", { class: "quiet" }, " so far")))))));
}

/** What stands between backticks as code. */
const withCode = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));

export function flags(saga) {
  return [saga.suspended && h("span", { class: "badge busy" }, "suspended"), saga.overdue && h("span", { class: "badge wrong" }, "overdue"),
    saga.standing && saga.standing.position && h("span", { class: "quiet under" }, "number " + saga.standing.position + " in its queue")];
}
