// Follows an order until its saga has ended.
const EVERY = 400; // milliseconds
const page = document.getElementById("progress");

function show(now) {
  const state = page.querySelector(".state");
  state.textContent = state.dataset.state = now.state;
  page.querySelector(".said").textContent = now.said;
  page.querySelector(".cause").textContent = now.cause ? `Why: ${now.cause}.` : "";
  page.querySelector(".parcel").textContent = now.parcel;
  page.querySelector(".in-stock").textContent = now.in_stock;
  page.querySelector(".verdict").hidden = !now.waits;
  for (const step of now.steps) {
    const line = page.querySelector(`[data-step=${step.name}]`);
    line.dataset.words = line.querySelector("span").textContent = step.words;
  }
}

async function follow() {
  try {
    const answer = await fetch(page.dataset.source);
    if (answer.ok) {
      const now = await answer.json();
      show(now);
      if (now.ended) return;
    }
  } catch (offline) {
    page.querySelector(".said").textContent = "The shop does not answer; trying again.";
  }
  setTimeout(follow, EVERY);
}

const first = JSON.parse(document.getElementById("now").textContent);
show(first);
if (!first.ended) setTimeout(follow, EVERY);
