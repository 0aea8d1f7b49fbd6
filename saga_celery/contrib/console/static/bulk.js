// Many sagas at once: those that were ticked, or all that the filter finds.

import { count, h, sagaLink } from "./elements.js";
import { ask, post } from "./server.js";
import { close, open, reasonField } from "./dialog.js";

const VERBS = [["retry", "Retry"], ["skip", "Skip"], ["resolve", "Resolve"], ["suspend", "Suspend"], ["resume", "Resume"], ["cancel", "Cancel"]];

/** What was ticked, by id; it outlives a look at another page. */
export const chosen = new Map();

export function toggle(sagas, on) {
  for (const each of sagas) {
    if (on) chosen.set(each.id, each);
    else chosen.delete(each.id);
  }
}

function forget() {
  chosen.clear();
  for (const each of document.querySelectorAll("td.choose input, th.choose input")) each.checked = false;
}

export function bulk(found, query, again) {
  const narrowed = [...query.keys()].some((name) => name !== "after" && name !== "search");
  if (chosen.size === 0 && !narrowed) return null;
  const many = chosen.size > 0 ? count(chosen.size, "saga") + " chosen" : "All that fit";
  return h("form", { class: "bulk", "aria-label": "many at once", onsubmit: (event) => event.preventDefault() },
    h("strong", null, many + ":"),
    VERBS.map(([verb, word]) => h("button", { type: "button", onclick: () => propose(verb, word, query, again) }, word + " …")),
    chosen.size > 0 && h("button", { type: "button", class: "plain", onclick: () => { forget(); again(); } }, "Forget the choice"));
}

async function propose(verb, word, query, again) {
  const filter = Object.fromEntries([...query].filter(([name]) => name !== "after"));
  const ids = [...chosen.keys()];
  let which = { ids };
  let number = ids.length;
  if (number === 0) {
    try {
      const found = await ask("matching?" + new URLSearchParams(filter));
      if (found.more) { again("More than " + found.count.toLocaleString("en") + " sagas fit: narrow it down, or use the command line."); return; }
      number = found.count;
      which = { filter, expected_count: number };
    } catch (error) {
      again(error.message);
      return;
    }
  }
  const what = word + " " + count(number, "saga");
  const send = async (given) => {
    const { resolution, ...rest } = given;
    const told = await post("bulk/" + verb, { ...which, ...rest, ...(resolution ? { resolution } : {}) });
    forget();
    await again(verb + ": " + told.done + " done, " + told.refused.length + " refused");
    if (told.refused.length > 0) open(what, [refusals(told)], null, "Close");
    else close();
    return false;
  };
  open(what, [verb === "resolve" && resolution(), stepField(verb), reasonField()], send, what);
}

const stepField = (verb) => ["retry", "skip", "resolve"].includes(verb) &&
  h("label", null, "Only the step", h("input", { name: "step", placeholder: "every one that is parked", autocomplete: "off" }));

const resolution = () => h("label", null, "They", h("select", { name: "resolution", required: true, "aria-label": "what became of them" },
  [["", "…"], ["done", "took effect"], ["never", "took no effect and never will"]].map(([value, words]) => h("option", { value }, words))));

const refusals = (told) => [h("p", null, count(told.done, "saga") + " done. Refused:"),
  h("ul", { class: "refused" }, told.refused.map((each) => h("li", null, sagaLink(each.id, each.key || each.id), ": ", each.error)))];
