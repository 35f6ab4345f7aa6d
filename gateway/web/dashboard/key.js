// The operator's key: kept for this tab only, sent in a header and never in an address,
// and asked for where the gateway wants one.

import { $, write } from "./tables.js";

const PLACE = "fleetcast-key"; // in the tab's storage, which ends with the tab

let held = null; // the key, also where the browser lets the page store nothing
try {
  held = sessionStorage.getItem(PLACE);
} catch {
  // then it is asked for after each load
}

// header is what a request shows.
export const header = () => (held ? { Authorization: `Bearer ${held}` } : {});

// hold keeps a key, or forgets it with null.
export function hold(key) {
  held = key;
  try {
    if (key) sessionStorage.setItem(PLACE, key);
    else sessionStorage.removeItem(PLACE);
  } catch {
    // see above
  }
  showHeld();
}

// showHeld shows what there is to do with a key, and what a link cannot do with one: it
// sends no header.
function showHeld() {
  $("forget").hidden = !held;
  for (const link of document.querySelectorAll("nav a[data-bare]")) link.hidden = Boolean(held);
}

// asked resolves when the operator has given a key. words say why it is asked for.
export function asked(words) {
  hold(null);
  write($("key-words"), words);
  $("key").hidden = false;
  document.body.classList.add("locked");
  $("key-text").focus();
  return new Promise((resolve) => {
    $("key").onsubmit = (event) => {
      event.preventDefault();
      const key = $("key-text").value.trim();
      if (!key) return;
      $("key-text").value = "";
      $("key").hidden = true;
      document.body.classList.remove("locked");
      hold(key);
      resolve();
    };
  });
}

// wire makes the buttons work. open shows a path of the gateway, for which a link would
// need the key. forgotten is called when the key has been forgotten.
export function wire(open, forgotten) {
  $("forget").addEventListener("click", () => {
    hold(null);
    forgotten();
  });
  for (const link of document.querySelectorAll("nav a[data-text]")) {
    link.addEventListener("click", (event) => {
      if (!held) return;
      event.preventDefault();
      open(link.getAttribute("href"));
    });
  }
  showHeld();
}
