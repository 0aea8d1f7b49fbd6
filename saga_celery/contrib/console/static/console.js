// The console: a list of sagas, and one saga. Everything that comes from the server is put in place as text.
"use strict";
(() => {
  const EVERY = 3000; // milliseconds between two looks, while somebody looks
  const SVG = "http://www.w3.org/2000/svg";
  const main = document.getElementById("saga-main");
  const note = document.getElementById("note");
  let session = { actor: "", writable: false, csrf_token: null };
  let timer = null;
  let shown = ""; // what the latest answer looked like, so that nothing is redrawn under a reader's hands
  let looks = 0; // answers to earlier questions come too late

  // ── making elements ────────────────────────────────────────────────────────────────────────────────────────────

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "on") for (const [event, then] of Object.entries(value)) element.addEventListener(event, then);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== false && value !== undefined) element.setAttribute(name, String(value));
    }
    for (const child of children.flat(9)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(typeof child === "object" ? child : document.createTextNode(String(child)));
    }
    return element;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const json = (value) => (value === null || value === undefined ? "" : JSON.stringify(value));
  const when = (text) => (text ? new Date(text).toLocaleString() : "");
  const sagaLink = (id, text) => h("a", { href: "#/saga/" + encodeURIComponent(id) }, text);

  function table(head, rows) {
    const cells = (row) => row.map((cell, at) => h("td", { "data-label": head[at] }, cell));
    return h("div", { class: "scroll" }, h("table", null,
      h("thead", null, h("tr", null, head.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", null, rows.map((row) => h("tr", null, cells(row))))));
  }

  // ── asking the server ──────────────────────────────────────────────────────────────────────────────────────────

  async function ask(path, options) {
    const answer = await fetch("api/" + path, { credentials: "same-origin", ...options });
    const body = (answer.headers.get("content-type") || "").includes("json") ? await answer.json() : {};
    if (!answer.ok) throw new Error(body.message || "the server answered " + answer.status);
    return body;
  }

  function act(id, verb, body) {
    const headers = { "Content-Type": "application/json", "X-Saga-Console": "1" };
    if (session.csrf_token) headers["X-CSRFToken"] = session.csrf_token;
    const path = "sagas/" + encodeURIComponent(id) + "/" + encodeURIComponent(verb);
    return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  // ── the list ───────────────────────────────────────────────────────────────────────────────────────────────────

  const STATES = ["PENDING", "RUNNING", "COMPLETED", "COMPENSATING", "COMPENSATED", "FAILED"];

  function filters(query) {
    const field = (name, title) => h("label", null, title, h("input", { name, value: query.get(name) || "" }));
    const state = h("select", { name: "state" }, h("option", { value: "" }, "any"),
      STATES.map((each) => h("option", { value: each, selected: query.get("state") === each }, each)));
    const send = (event) => {
      event.preventDefault();
      const given = new URLSearchParams();
      for (const each of event.target.elements) if (each.name && each.value) given.set(each.name, each.value);
      location.hash = "#/?" + given;
    };
    return h("form", { on: { submit: send }, role: "search" }, field("search", "id or key"), field("name", "name"),
      h("label", null, "state", state), field("tag", "tag (name=value)"), h("button", null, "Look"));
  }

  function moved(saga) {
    const flags = [saga.suspended && "suspended", saga.overdue && "overdue"].filter(Boolean).join(", ");
    return [sagaLink(saga.id, saga.key || saga.id), saga.name, h("span", { class: saga.state }, saga.state),
      flags, when(saga.created_at), when(saga.updated_at)];
  }

  function stuck(saga) {
    return h("div", { class: "stuck" }, h("strong", null, sagaLink(saga.id, saga.key || saga.id)), " ", saga.name, " is ",
      h("span", { class: saga.state }, saga.state),
      h("ul", null, saga.troubles.map((each) =>
        h("li", null, each.text, each.moves.length > 0 && ": " + each.moves.join(" or ")))));
  }

  function list(found, query, counted) {
    const further = new URLSearchParams(query);
    if (found.next) further.set("after", found.next);
    const total = (state) => counted.filter((each) => each.state === state).reduce((sum, each) => sum + each.count, 0);
    return [
      h("p", null, STATES.filter(total).map((state) => [h("a", { href: "#/?state=" + state, class: state }, state), " ", total(state), "  "])),
      filters(query),
      found.pauses.map((each) => h("div", { class: "paused" }, "paused: ", each.kind, " ", each.name, " by ", each.actor, ": ", each.reason)),
      found.stuck.length > 0 && !query.get("stuck") && [h("h2", null, "Stuck"), found.stuck.map(stuck)],
      h("h2", null, "Sagas"),
      found.sagas.length === 0 ? h("p", null, "No saga fits.") : table(["saga", "name", "state", "", "started", "moved"], found.sagas.map(moved)),
      found.next && h("p", null, h("a", { href: "#/?" + further }, "Older")),
    ];
  }

  // ── one saga ───────────────────────────────────────────────────────────────────────────────────────────────────

  const DONE = ["succeeded", "skipped", "compensated", "compensation_skipped"];
  const WRONG = ["exhausted", "in_doubt", "compensation_exhausted", "compensation_in_doubt", "failed", "given_up"];
  function look(step) {
    if (!step) return "";
    const status = step.status.toLowerCase();
    return DONE.includes(status) ? "done" : WRONG.includes(status) ? "wrong" : "busy";
  }

  function graph(saga) { // drawn by the server; the version makes the browser fetch it anew
    const source = "api/sagas/" + encodeURIComponent(saga.id) + "/graph.svg?version=" + saga.version;
    const told = saga.plan.map((step) => step.name + " " + step.words).join(", ");
    return h("div", { class: "scroll" }, h("img", { class: "graph", src: source, alt: "the steps as a graph: " + told }));
  }

  function timeline(saga) {
    const begun = saga.steps.filter((step) => step.began_at);
    if (begun.length === 0) return null;
    const at = (text) => new Date(text).getTime();
    const first = Math.min(...begun.map((step) => at(step.began_at)));
    const last = Math.max(first + 1, ...begun.map((step) => at(step.settled_at || saga.now)));
    const x = (time) => 150 + (560 * (time - first)) / (last - first);
    const bars = begun.map((step, row) => [
      s("text", { x: 0, y: row * 22 + 16 }, short(step.label, 20)),
      s("rect", { class: "bar " + look(step), x: x(at(step.began_at)), y: row * 22 + 5, height: 13, rx: 3,
        width: Math.max(2, x(at(step.settled_at || saga.now)) - x(at(step.began_at))) },
        s("title", null, step.label, ": ", step.words))]);
    return h("div", { class: "scroll" }, s("svg", { role: "img", "aria-label": "the steps in time",
      width: 720, height: begun.length * 22 + 6 }, bars));
  }

  const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

  function attempts(step) {
    return [["", step.action], ["undo ", step.compensation], ["probe ", step.probe]]
      .filter(([, each]) => each && each.attempt).map(([what, each]) => what + each.used + "/" + each.allowed).join(", ");
  }

  function problems(step) {
    return [step.compensation, step.probe, step.action].filter((each) => each && each.error)
      .map((each) => h("div", null, each.error.type, ": ", each.error.message));
  }

  function waits(step) {
    if (!step.waits_for) return step.words;
    const what = step.waits_for.what === "time" ? "sleeps" : "waits for " + (step.waits_for.event || "an event");
    return step.waits_for.until ? what + ", until " + when(step.waits_for.until) : what;
  }

  function facts(saga) {
    const pair = (title, value) => value !== "" && value !== false && value !== null && value !== undefined && [h("dt", null, title), h("dd", null, value)];
    const tags = Object.entries(saga.tags).map(([name, value]) => name + "=" + value).join(", ");
    return h("dl", null, pair("id", h("code", null, saga.id)), pair("key", saga.key), pair("tags", tags), pair("lock", saga.lock),
      pair("started", when(saga.created_at)), pair("ended", when(saga.ended_at)), pair("deadline", when(saga.deadline_at)),
      pair("parent", saga.parent && sagaLink(saga.parent.id, saga.parent.name + ", step " + saga.parent.step)),
      pair("suspended", saga.suspension && "by " + saga.suspension.actor + ": " + saga.suspension.reason),
      pair("input", h("code", null, json(saga.input))), pair("result", saga.result !== null && h("code", null, json(saga.result))),
      pair("cause", saga.because));
  }

  function action(saga, move) {
    const title = move.verb + (move.step ? " " + move.step : "");
    const fields = [h("label", null, "reason", h("input", { name: "reason", required: true, size: 40 }))];
    if (move.verb === "resolve") fields.unshift(h("label", null, "it is", h("select", { name: "resolution" },
      ["", "done", "never"].map((each) => h("option", { value: each }, each)))));
    if (move.verb === "send") fields.splice(0, 1, h("label", null, "event, as JSON", h("textarea", { name: "event", required: true, rows: 3, cols: 40 })));
    const send = async (event) => {
      event.preventDefault();
      const given = Object.fromEntries([...event.target.elements].filter((each) => each.name).map((each) => [each.name, each.value]));
      const body = { step: move.step, expected_version: saga.version, ...given };
      try {
        if ("event" in body) body.event = JSON.parse(body.event);
        const done = await act(saga.id, move.verb, body);
        tell(move.verb + ": the saga is " + done.state);
        shown = "";
        refresh();
      } catch (error) {
        tell(error.message);
      }
    };
    return h("details", null, h("summary", null, title), h("form", { on: { submit: send } }, fields, h("button", null, title)));
  }

  function one(saga) {
    const steps = saga.steps.map((step) => [step.label, h("span", { class: look(step) }, waits(step)), attempts(step),
      step.result === null ? "" : h("code", null, short(json(step.result), 300)), problems(step)]);
    return [
      h("h2", null, saga.name, " ", saga.key || "", " is ", h("span", { class: saga.state }, saga.state)),
      saga.troubles.map((each) => h("div", { class: "stuck" }, each.text)),
      facts(saga),
      session.writable && saga.moves.length > 0 && [h("h2", null, "Actions"), saga.moves.map((move) => action(saga, move))],
      h("h2", null, "Steps"), graph(saga), timeline(saga),
      table(["step", "status", "attempts", "result", "error"], steps),
      saga.steps_left_out > 0 && h("p", null, "and ", saga.steps_left_out, " more"),
      saga.children.length > 0 && [h("h2", null, "Children"), table(["step", "saga", "state"],
        saga.children.map((child) => [child.step, sagaLink(child.id, child.name), h("span", { class: child.state }, child.state)]))],
      h("h2", null, "History"),
      table(["when", "who", "what"], [...saga.history].reverse().map((entry) =>
        [when(entry.at), entry.actor || "", entry.facts.map((fact) => h("div", null, fact.text))])),
      saga.history_left_out > 0 && h("p", null, "and ", saga.history_left_out, " before that"),
    ];
  }

  // ── looking again ──────────────────────────────────────────────────────────────────────────────────────────────

  const tell = (text) => { note.textContent = text; };

  async function read() {
    const found = /^#\/saga\/([^?]+)/.exec(location.hash);
    if (found) {
      const saga = await ask("sagas/" + found[1]);
      return [JSON.stringify({ ...saga, now: saga.state === "RUNNING" ? saga.now : null }), () => one(saga)];
    }
    const query = new URLSearchParams(location.hash.split("?")[1] || "");
    const answer = await ask("sagas?" + query);
    const known = shown === "" ? (await ask("counts")).counts : counts; // all sagas are counted: not at each look
    counts = known;
    return [JSON.stringify({ ...answer, now: null }), () => list(answer, query, known)];
  }
  let counts = [];

  const busy = () => main.contains(document.activeElement) && /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);

  async function refresh() {
    const mine = ++looks;
    clearTimeout(timer);
    try {
      const [text, draw] = await read();
      if (mine !== looks) return;
      if (text !== shown && !(busy() && shown !== "")) {
        const open = new Set([...main.querySelectorAll("details[open] summary")].map((each) => each.textContent));
        main.replaceChildren(...draw().flat(9).filter((each) => each));
        for (const each of main.querySelectorAll("details summary")) if (open.has(each.textContent)) each.parentNode.open = true;
        shown = text;
      }
    } catch (error) {
      if (mine === looks) tell(error.message);
    }
    if (mine === looks && !document.hidden) timer = setTimeout(refresh, EVERY);
  }

  function go() {
    shown = "";
    tell("");
    return refresh().then(() => main.focus());
  }

  addEventListener("hashchange", go);
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
  ask("session").then((found) => { session = found; }, (error) => tell(error.message)).then(go);
})();
