// Which view is shown, and when it is looked at again: every three seconds, while somebody looks.

import { show } from "./elements.js";
import { ask, introduce, session } from "./server.js";
import { list, reading } from "./list.js";
import { saga } from "./saga.js";

const EVERY = 3000; // milliseconds
const part = (id) => document.getElementById(id);
let timer = null;
let looks = 0; // answers to earlier questions come too late
let shown = ""; // which view

const tell = (text) => { part("note").textContent = text; };

async function read() {
  const one = /^#\/saga\/([^?]+)/.exec(location.hash);
  if (one) {
    const found = await ask("sagas/" + one[1]);
    return ["saga " + found.id, (found.key || found.id) + " · Sagas", () => saga(found, again)];
  }
  const query = new URLSearchParams(location.hash.split("?")[1] || "");
  const found = await reading(query);
  return ["list " + query, "Sagas", () => list(found, query, again)];
}

async function look() {
  const mine = ++looks;
  clearTimeout(timer);
  try {
    const [view, title, draw] = await read();
    if (mine !== looks) return;
    if (view !== shown) part("saga-main").replaceChildren();
    show(part("saga-main"), draw());
    document.title = title;
    shown = view;
    live(null);
  } catch (error) {
    if (mine === looks) live(error);
  }
  if (mine === looks && !document.hidden) timer = setTimeout(look, EVERY);
}

function live(error) {
  part("live").className = error ? "off" : document.hidden ? "still" : "on";
  part("live").textContent = error ? "not up to date" : "live";
  if (error) tell(error.message);
  else if (part("note").dataset.trouble) tell("");
  part("note").dataset.trouble = error ? "1" : "";
}

/** Look at once, and say what has been done. */
function again(text) {
  if (text) tell(text);
  return look();
}

function go() {
  tell("");
  return look().then(() => { part("saga-main").focus({ preventScroll: true }); scrollTo(0, 0); });
}

addEventListener("hashchange", go);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
try {
  await introduce();
  part("who").textContent = session.writable ? session.actor : session.actor + ", may look";
} catch (error) {
  tell(error.message);
}
await go();
