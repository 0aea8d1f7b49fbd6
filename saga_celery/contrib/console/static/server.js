// The API beside the page.

export let session = { actor: "", writable: false, csrf_token: null, task_url: null };

export async function ask(path, options) {
  const answer = await fetch("api/" + path, { credentials: "same-origin", ...options });
  const body = (answer.headers.get("content-type") || "").includes("json") ? await answer.json() : {};
  if (!answer.ok) throw Object.assign(new Error(body.message || "the server answered " + answer.status), { status: answer.status });
  return body;
}

/** Ask for an action. Who has logged in again in another window has another token, which is asked for once. */
export async function post(path, body) {
  const token = session.csrf_token;
  try {
    return await sent(path, body);
  } catch (error) {
    if (error.status !== 403) throw error;
    await introduce();
    if (session.csrf_token === token) throw error;
    return sent(path, body);
  }
}

function sent(path, body) {
  const headers = { "Content-Type": "application/json", "X-Saga-Console": "1" };
  if (session.csrf_token) headers["X-CSRFToken"] = session.csrf_token;
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export async function introduce() {
  session = await ask("session");
}

/** Where the monitor shows a task; null: nowhere that is known here. */
export const taskAddress = (id) => (session.task_url && id ? session.task_url.replace("{id}", encodeURIComponent(id)) : null);
