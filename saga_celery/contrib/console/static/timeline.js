// The attempts in time: the wait in the queue thin, the run thick, rests dotted; long stretches in which nothing runs
// are squeezed, and say how long they are.

import { h, s, seconds, short, spoken } from "./elements.js";

const ROW = 28;
const TOP = 26;
const LABELS = 150;
const NARROWEST = 640;
const GAP = 58; // pixels of a squeezed stretch
const LEAST = 3; // pixels that a bar has, however short it is
const LOOKS = { done: "done", failed: "wrong", unknown: "wrong", left: "idle" };

export function timeline(found) {
  const spans = found.timeline.map((span) => ({ ...span, from: time(span.sent_at), began: time(span.began_at), to: time(span.ended_at || found.now) }));
  const lanes = [...new Set(spans.map(lane))];
  const width = Math.max(NARROWEST, document.getElementById("saga-main").clientWidth - 2);
  const { x, gaps, ticks } = scale(spans, width);
  const height = TOP + lanes.length * ROW + 8;
  const bottom = height - 8;
  return [
    h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": "timeline" },
      s("svg", { class: "timeline", role: "img", "aria-label": told(spans), width, height, viewBox: `0 0 ${width} ${height}` },
        ticks.map(({ at, words }) => [s("path", { class: "tick", d: `M${x(at)} ${TOP - 6}V${bottom}` }), s("text", { class: "axis", x: x(at) + 4, y: TOP - 10 }, words)]),
        gaps.map((gap) => [s("rect", { class: "gap", x: x(gap.from), y: TOP - 4, width: GAP, height: bottom - TOP + 4 }),
          s("text", { class: "axis squeezed", x: x(gap.from) + GAP / 2, y: TOP - 10 }, spoken((gap.to - gap.from) / 1000))]),
        lanes.map((name, row) => s("text", { class: "label", x: 8, y: TOP + row * ROW + 18 }, short(name, 20))),
        spans.map((span) => bar(span, lanes.indexOf(lane(span)), x)))),
    h("p", { class: "legend quiet" }, ["queue in the queue", "run at work", "undo being undone", "rest rests", "wait waits"].map((each) => {
      const [look, ...words] = each.split(" ");
      return h("span", null, h("i", { class: "key " + look }), words.join(" "));
    })),
  ];
}

const LANES = { action: "", compensation: "↶ ", probe: "? " };
const lane = (span) => LANES[span.direction] + span.step;
const time = (text) => (text ? new Date(text).getTime() : null);

/** Where a moment is drawn. What nobody worked in is squeezed where it is longer than all the work together. */
function scale(spans, width) {
  const moments = [...new Set(spans.flatMap((span) => [span.from, span.began, span.to]).filter((each) => each !== null))].sort((one, other) => one - other);
  const works = (from, to) => spans.some((span) => span.kind === "attempt" && span.from < to && span.to > from);
  const stretches = moments.slice(1).map((to, at) => ({ from: moments[at], to, works: works(moments[at], to) }));
  const worked = stretches.filter((each) => each.works).reduce((sum, each) => sum + each.to - each.from, 0);
  const gaps = stretches.filter((each) => !each.works && each.to - each.from > Math.max(worked * 0.6, 1000));
  const linear = stretches.filter((each) => !gaps.includes(each)).reduce((sum, each) => sum + each.to - each.from, 0) || 1;
  const pixels = (width - LABELS - 16 - gaps.length * GAP) / linear;
  const places = new Map([[moments[0], LABELS]]);
  for (const each of stretches) places.set(each.to, places.get(each.from) + (gaps.includes(each) ? GAP : (each.to - each.from) * pixels));
  return { x: (at) => places.get(at), gaps, ticks: ticks(moments, gaps.map((gap) => places.get(gap.from)), places, width) };
}

/** The first moment, and those after it that have room for their words. */
function ticks(moments, squeezed, places, width) {
  const ROOM = 90;
  const taken = (x) => squeezed.some((gap) => x > gap - ROOM && x < gap + GAP);
  const found = [];
  for (const at of moments) {
    const last = found[found.length - 1];
    const x = places.get(at);
    if (last && (x - places.get(last.at) < ROOM || x > width - ROOM || taken(x))) continue;
    found.push({ at, words: found.length === 0 ? new Date(at).toLocaleTimeString() : "+" + spoken((at - moments[0]) / 1000) });
  }
  return found;
}

function bar(span, row, x) {
  const y = TOP + row * ROW + 6;
  const width = (from, to) => Math.max(LEAST, x(to) - x(from));
  const look = (span.direction === "compensation" ? "undoing " : "") + (span.outcome ? LOOKS[span.outcome] : "busy");
  const title = s("title", null, sentence(span));
  if (span.kind === "rest") return s("g", null, title, s("path", { class: "rest", d: `M${x(span.from)} ${y + 8}H${x(span.to)}` }));
  if (span.kind === "wait") return s("g", null, title, s("rect", { class: "wait", x: x(span.from), y: y + 2, width: width(span.from, span.to), height: 12, rx: 6 }));
  const began = span.began ?? (span.ended_at ? span.from : null); // of an attempt that is out and not begun nothing runs
  return s("g", null, title,
    s("rect", { class: "queue", x: x(span.from), y: y + 6, width: began === null ? width(span.from, span.to) : Math.max(0, x(began) - x(span.from)), height: 4 }),
    began !== null && s("rect", { class: "bar " + look, x: x(began), y, width: width(began, span.to), height: 16, rx: 3 }));
}

function sentence(span) {
  const what = { action: span.step, compensation: "undo of " + span.step, probe: "probe of " + span.step }[span.direction];
  if (span.kind !== "attempt") return what + ": " + (span.kind === "rest" ? "rested " : "waited ") + spoken((span.to - span.from) / 1000);
  const queued = span.began === null ? "" : ", " + spoken((span.began - span.from) / 1000) + " in the queue";
  const ran = span.began === null ? "" : ", ran " + spoken((span.to - span.began) / 1000);
  return what + ", attempt " + span.attempt + ": " + (span.outcome || "under way") + queued + ran;
}

const told = (spans) => "the attempts in time: " + spans.filter((span) => span.kind === "attempt").map(sentence).join("; ");
