// The page of a booking: asks how far it is, until there is nothing more to come.
"use strict";
(() => {
  const EVERY = 400; // milliseconds
  const journey = document.getElementById("journey");
  const part = (id) => document.getElementById(id);

  function show(seen) {
    journey.dataset.state = seen.state;
    if (part("headline").textContent !== seen.headline) part("headline").textContent = seen.headline;
    part("suspended").hidden = !seen.suspended;
    part("cause").hidden = !seen.cause;
    part("cause").textContent = seen.cause || "";
    if (part("decision")) part("decision").hidden = !seen.awaits_approval;
    for (const stage of seen.stages) {
      const line = journey.querySelector(`[data-stage="${stage.name}"]`);
      line.dataset.look = stage.look;
      line.querySelector(".words").textContent = stage.words;
    }
    const shown = part("diary").children.length;
    part("diary").append(...seen.diary.slice(shown).map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }

  async function look() {
    try {
      const answer = await fetch(journey.dataset.journey, { credentials: "same-origin" });
      if (answer.ok) {
        const seen = await answer.json();
        show(seen);
        if (seen.ended) return;
      }
    } catch (error) {
      console.warn("no answer, asking again", error); // the server may be down for a moment
    }
    setTimeout(look, EVERY);
  }

  look();
})();
