// Asks the admin API.

import { header } from "./key.js";

// Failure is an answer that is not one, or an error that the API tells. status is
// 0 if there was none, and message is for people.
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// ask sends a request and returns {body, date}: what the JSON says, and the
// gateway's time of day in milliseconds, or null. It gives up after patience ms.
export async function ask(path, { method = "GET", patience = 5000 } = {}) {
  const request = { method, headers: header(), cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(patience) };
  if (method === "POST") Object.assign(request, { headers: { ...header(), "Content-Type": "application/json" }, body: "{}" });
  let response, body;
  try {
    response = await fetch(path, request);
    body = await response.text();
  } catch (error) {
    throw new Failure(0, error.name === "TimeoutError" ? `no answer within ${patience / 1000} s` : "no connection");
  }
  let parsed;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined; // an old gateway, or a proxy, answers in text
  }
  if (!response.ok) throw new Failure(response.status, parsed?.error?.message ?? `status ${response.status}`);
  if (typeof parsed !== "object" || parsed === null) throw new Failure(response.status, "the answer is not JSON");
  const date = Date.parse(response.headers.get("Date"));
  return { body: parsed, date: Number.isNaN(date) ? null : date };
}

// open shows what a path answers in a tab of its own, for which a link would need the key.
export async function open(path) {
  const response = await fetch(path, { headers: header(), cache: "no-store", redirect: "error" });
  const shown = URL.createObjectURL(new Blob([await response.text()], { type: "text/plain; charset=utf-8" }));
  window.open(shown, "_blank", "noopener");
  setTimeout(() => URL.revokeObjectURL(shown), 60_000);
}

export const client = (id) => `/api/clients/${encodeURIComponent(id)}`;
