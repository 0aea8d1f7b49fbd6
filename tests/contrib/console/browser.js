// A browser of sixty lines: enough of one to run the page, and to tell what it made. Nothing in it reads HTML.
"use strict";
const fs = require("node:fs");
const vm = require("node:vm");
const [script, asked] = [process.argv[2], JSON.parse(fs.readFileSync(0, "utf8"))];

const listeners = {};
const timers = new Map();
let hidden = Boolean(asked.hidden);
class Text { constructor(text) { this.text = text; } get textContent() { return this.text; } }
class Element {
  constructor(tag) { this.tagName = tag; this.children = []; this.attributes = {}; this.on = {}; }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener(name, then) { this.on[name] = then; }
  append(...added) { this.children.push(...added.map((each) => (typeof each === "object" ? each : new Text(each)))); }
  replaceChildren(...added) { this.children = []; this.append(...added); }
  set textContent(text) { this.children = [new Text(text)]; }
  get textContent() { return this.children.map((each) => each.textContent).join(""); }
  set innerHTML(text) { throw new Error("innerHTML was set"); }
  set outerHTML(text) { throw new Error("outerHTML was set"); }
  insertAdjacentHTML() { throw new Error("HTML was inserted"); }
  all() { return this.children.flatMap((each) => (each instanceof Element ? [each, ...each.all()] : [])); }
  querySelectorAll(wanted) { return wanted === "details summary" ? this.all().filter((each) => each.tagName === "summary") : []; }
  get elements() { return this.all().filter((each) => each.attributes.name); }
  get name() { return this.attributes.name; }
  get value() { return this.typed ?? this.attributes.value ?? ""; }
  contains() { return false; }
  focus() {}
}
const [main, note] = [new Element("main"), new Element("p")];
const requests = [];
const answers = { ...asked.answers };
const page = {
  document: {
    getElementById: (id) => ({ "saga-main": main, note })[id],
    createElement: (tag) => new Element(tag),
    createElementNS: (space, tag) => new Element(tag),
    createTextNode: (text) => new Text(text),
    addEventListener: (name, then) => { listeners[name] = then; },
    get hidden() { return hidden; },
    activeElement: null,
  },
  location: { hash: asked.hash || "" },
  addEventListener: (name, then) => { listeners[name] = then; },
  setTimeout: (then) => { const id = requests.length + Math.random(); timers.set(id, then); return id; },
  clearTimeout: (id) => timers.delete(id),
  fetch: async (path, options) => {
    requests.push({ path, method: options.method || "GET", headers: options.headers || {}, body: options.body });
    const answer = answers[path] || { status: 404, body: { message: "nothing at " + path } };
    return { ok: (answer.status || 200) < 400, status: answer.status || 200, json: async () => answer.body, headers: { get: () => "application/json" } };
  },
  URLSearchParams, console,
};
const settled = () => new Promise((then) => setImmediate(() => setImmediate(() => setImmediate(then))));
const told = (each) => (each instanceof Text ? each.text : { tag: each.tagName, attributes: each.attributes, children: each.children.map(told) });

(async () => {
  vm.runInNewContext(fs.readFileSync(script, "utf8"), page);
  await settled();
  for (const each of asked.then || []) {
    if (each.hide !== undefined) { hidden = each.hide; listeners.visibilitychange(); }
    if (each.tick) { const due = [...timers.values()]; timers.clear(); due.forEach((then) => then()); }
    if (each.submit) {
      const form = main.all().filter((found) => found.tagName === "form").find((found) => found.textContent.includes(each.submit));
      for (const field of form.elements) field.typed = each.fields[field.name] ?? field.value;
      form.on.submit({ preventDefault() {}, target: form });
    }
    await settled();
  }
  console.log(JSON.stringify({ main: told(main), text: main.textContent, note: note.textContent, requests, waiting: timers.size }));
})();
