// The console's functions that need no page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { grantFor, matches, quote, splitAddress } from "./console/commands.js";
import { channelsOf, dataText, duration, fragmentOf, pretty } from "./console/format.js";

test("JSON is laid out over lines, its numbers and strings untouched", () => {
  const values = [1, "a", null, [], {}, [[]], { a: {} }, [1, [2, { b: "}{\",:[" }]], { "": [{}, [1], "x\\"] }];
  for (const value of values) assert.equal(pretty(JSON.stringify(value)), JSON.stringify(value, null, 2));
  assert.equal(pretty('{"n":12345678901234567890.10}'), '{\n  "n": 12345678901234567890.10\n}');
  assert.equal(pretty(' { "a" :\n1 } '), '{\n  "a": 1\n}');
});

test("deep nesting does not blow the text up", () => {
  const deep = "[".repeat(30_000) + "]".repeat(30_000);
  assert.ok(pretty(deep).length < 300_000);
});

test("data is shown byte for byte", () => {
  for (const [channel, data] of [["news", '{"a": 1.0}'], ['x","data":1,\\"', "12345678901234567890"], ["wörld", '"}"']]) {
    const message = `{"type":"event","channel":${JSON.stringify(channel)},"offset":7,"data":${data}}`;
    assert.equal(dataText(message, JSON.parse(data)), data);
  }
  assert.equal(dataText('{"offset":1,"type":"event"}', { a: 1 }), '{"a":1}');
});

test("the address holds any channel", () => {
  const names = ["news", "a,b", "a#b", "wörld", "50%", "it's \"$x\"\\", "a/b?c&d"];
  assert.deepEqual(channelsOf(fragmentOf(names)), names);
  assert.deepEqual(channelsOf("#news,,news,%zz,chat"), ["news", "chat"]);
  for (const nothing of ["", "#", "#,"]) assert.deepEqual(channelsOf(nothing), []);
});

test("patterns match whole names, as the gateway's do", () => {
  for (const [pattern, name, want] of [
    ["chat", "chat", true], ["chat", "chats", false], ["chat*", "chat", true], ["chat*", "a-chat", false],
    ["*", "", true], ["*.x", "a.x", true], ["*.x", "a.xy", false], ["a*b*c", "a1b2c", true], ["a*b*c", "a1c2b", false],
    ["a*a", "a", false], ["a*a", "aa", true], ["ab*ba", "aba", false], ["a.c", "abc", false], ["**", "x", true],
    ["*", "a.b", false], ["**", "a.b:c/d", true], ["chat.*", "chat.a", true], ["chat.*", "chat.a.b", false], ["chat.**", "chat.a.b", true],
    ["*:*", "a:b", true], ["*:*", "a:b/c", false], ["**.a*b**c", "x.a.ab.c", true], ["**a*b", "ab.a", false], ["**.a.*b", "a.a.a.b", true], ["", "", true], ["", "x", false],
  ]) assert.equal(matches(pattern, name), want, `${pattern} ${name}`);
});

test("the first grant that matches decides", () => {
  const grants = [{ match: "chat.locked", clients: false }, { match: "chat**", clients: true }];
  assert.equal(grantFor(grants, "chat.locked").clients, false);
  assert.equal(grantFor(grants, "chat.open").clients, true);
  assert.equal(grantFor(grants, "news"), undefined);
  assert.equal(grantFor([], "chat"), undefined);
});

test("addresses lose the brackets of IPv6", () => {
  assert.deepEqual(splitAddress("[::1]:8082"), { host: "::1", port: "8082" });
  assert.deepEqual(splitAddress("localhost:8082"), { host: "localhost", port: "8082" });
});

test("words that mean something to a shell are quoted", () => {
  for (const plain of ["news", "a.b/c:d_e-1"]) assert.equal(quote(plain), plain);
  for (const odd of ["", "-n", "a b", "a'b", "$x", "~", "=ls", "a*", "é", "[::1]", "a;b", "!x", "{a,b}"]) {
    assert.equal(quote(odd), "'" + odd.split("'").join("'\\''") + "'");
  }
});

test("durations are short", () => {
  for (const [ms, text] of [[0, "0 ms"], [0.25, "0.3 ms"], [9.94, "9.9 ms"], [12.3, "12 ms"], [-3, "-3 ms"], [1234, "1,234 ms"], [12_345, "12.3 s"], [1e9, "1,000,000 s"]]) {
    assert.equal(duration(ms), text);
  }
});
