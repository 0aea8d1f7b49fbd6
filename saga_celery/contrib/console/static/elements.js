// Making elements, and putting fresh ones in the place of old ones. Whatever text comes in is put in place as text.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element[name.toLowerCase()] = value; // a handler; `adopt` hands it on
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(typeof child === "object" ? child : document.createTextNode(String(child)));
  }
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// ── what a reader has in hand stays in place ─────────────────────────────────────────────────────────────────────────

const HANDLERS = ["onclick", "onsubmit", "onchange", "ontoggle"];
const FIELDS = ["INPUT", "SELECT", "TEXTAREA"];
const KEPT = { DETAILS: ["open"], INPUT: ["checked"] }; // what people did to them is theirs

/** Make the children of `place` what `fresh` is, and keep every element that stays: focus, scrolling, what is open. */
export function show(place, fresh) {
  adopt(place, fill(place.cloneNode(false), null, [fresh]));
}

function adopt(old, fresh) {
  const wanted = new Set([...fresh.childNodes].map(key).filter(Boolean));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = counterpart(next, child, wanted);
    if (!known) {
      old.insertBefore(child, next);
      continue;
    }
    next = passOver(old, next, known, wanted);
    update(known, child);
  }
  while (next) next = without(next);
}

const key = (node) => node.dataset?.key || "";
const alike = (one, other) => one.nodeName === other.nodeName && key(one) === key(other);

/** The node from `next` on that shows the same; one without a key is not looked for behind one that stays. */
function counterpart(next, child, wanted) {
  for (let each = next; each; each = each.nextSibling) {
    if (alike(each, child)) return each;
    if (!key(child) && wanted.has(key(each))) return null;
  }
  return null;
}

/** Go behind `known`: what is in between goes away, unless it is still wanted; then `known` comes before it. A node that is moved loses the focus. */
function passOver(place, next, known, wanted) {
  while (next !== known) {
    if (wanted.has(key(next))) {
      place.insertBefore(known, next);
      return next;
    }
    next = without(next);
  }
  return known.nextSibling;
}

function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function update(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const kept = KEPT[old.nodeName] || [];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) old[name] = fresh[name];
  if (FIELDS.includes(old.nodeName) && old === document.activeElement) return; // somebody is typing
  if (old.nodeName === "TEXTAREA") return;
  adopt(old, fresh);
}

// ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A length of time, of seconds, in at most two units. */
export function spoken(seconds) {
  if (seconds < 0.0995) return Math.max(0, Math.round(seconds * 1000)) + " ms";
  if (seconds < 9.95) return seconds.toFixed(1) + " s";
  const left = Math.round(seconds);
  for (let at = 0; at < UNITS.length - 1; at += 1) {
    const [[unit, size], [smaller, fraction]] = [UNITS[at], UNITS[at + 1]];
    if (left < size) continue;
    const part = Math.floor((left % size) / fraction);
    return Math.floor(left / size) + " " + unit + (part ? " " + part + " " + smaller : "");
  }
  return left + " s";
}

export const seconds = (from, to) => (new Date(to) - new Date(from)) / 1000;

/** A moment: how long ago, or how far ahead, and the moment itself for whoever points at it. */
export function when(text, now) {
  if (!text) return null;
  const age = seconds(text, now);
  const words = Math.abs(age) < 1 ? "now" : age > 0 ? spoken(age) + " ago" : "in " + spoken(-age);
  return h("time", { datetime: text, title: new Date(text).toLocaleString() }, words);
}

export const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
export const count = (number, one, many) => number.toLocaleString("en") + " " + (number === 1 ? one : many || one + "s");

/** A value as JSON; a long one is folded. */
export function json(value) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "nothing");
  const line = JSON.stringify(value);
  if (line.length <= 80) return h("code", null, line);
  return h("pre", { tabindex: 0 }, JSON.stringify(value, null, 2));
}

// ── parts that many places show ──────────────────────────────────────────────────────────────────────────────────────

export const STATES = {
  PENDING: ["○", "Pending", "idle"],
  RUNNING: ["▸", "Running", "busy"],
  COMPENSATING: ["↶", "Compensating", "busy"],
  FAILED: ["✕", "Failed", "wrong"],
  COMPLETED: ["✓", "Completed", "done"],
  COMPENSATED: ["↶", "Compensated", "undone"],
};

export function badge(state) {
  const [glyph, word, look] = STATES[state] || ["", state, "idle"];
  return h("span", { class: "badge " + look }, h("span", { "aria-hidden": "true" }, glyph), " ", word);
}

export const sagaLink = (id, ...text) => h("a", { href: "#/saga/" + encodeURIComponent(id) }, ...text);
