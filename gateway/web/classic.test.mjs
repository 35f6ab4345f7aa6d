// The classic script sets one global, and that works.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import vm from "node:vm";
import { microtasks } from "./testdata/fakes.mjs";

test("the classic script gives the page Fleetcast and nothing else", async () => {
  const source = await readFile(new URL("fleetcast.classic.js", import.meta.url), "utf8");
  const urls = [];
  const page = vm.createContext({
    URL,
    TextEncoder,
    queueMicrotask,
    setTimeout,
    clearTimeout,
    location: { href: "https://example.test/page/" },
    WebSocket: class {
      constructor(url) {
        urls.push(url);
      }
      close() {}
    },
  });
  const before = Object.keys(page);
  vm.runInContext(source, page);
  assert.deepEqual(Object.keys(page).filter((name) => !before.includes(name)), ["Fleetcast"]);
  vm.runInContext('var client = new Fleetcast("/ws"); client.subscribe("news", () => {});', page);
  await microtasks();
  assert.deepEqual(urls, ["wss://example.test/ws"]);
  page.client.close();
});
