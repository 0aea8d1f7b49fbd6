// The one dialog: asks for what an action needs, and stays open while it is refused.

import { h } from "./elements.js";

const place = () => document.getElementById("dialog");

/** Open it.
 *
 * `send` gets the fields as an object and may throw, which is told in the dialog; false keeps it open. */
export function open(title, content, send, button, dangerous = false) {
  const trouble = h("p", { class: "trouble", role: "alert" });
  const go = h("button", { class: dangerous ? "dangerous" : "primary" }, button);
  const submit = async (event) => {
    event.preventDefault();
    if (!send) { close(); return; }
    const given = fieldsOf(event.target);
    go.disabled = true;
    trouble.textContent = "";
    try {
      if ((await send(given)) !== false) close();
    } catch (error) {
      trouble.textContent = error.message;
    } finally {
      go.disabled = false;
    }
  };
  const form = h("form", { onsubmit: submit },
    h("h2", { id: "dialog-title" }, title), content, trouble,
    h("div", { class: "buttons" }, send && h("button", { type: "button", onclick: close }, "Not now"), go));
  place().replaceChildren(form);
  if (!place().open) place().showModal();
  [...form.elements].find((each) => each.name && !each.disabled && !each.closest("details"))?.focus();
}

/** What was filled in, by name; fields that are left empty are left out, unless something stood there. */
function fieldsOf(form) {
  const fields = [...form.elements].filter((each) => each.name && !each.disabled);
  const filled = fields.filter((each) => each.value !== "" || each.dataset.was !== undefined);
  return Object.fromEntries(filled.map((each) => [each.name, each.type === "checkbox" ? each.checked : each.value]));
}

export function close() {
  if (place().open) place().close();
}

export const reasonField = () => h("label", null, "Reason, kept in the history",
  h("input", { name: "reason", required: true, maxlength: 500, autocomplete: "off" }));
