package main

// hostileTools are what the scripts of hostile pages have in common. Each function returns
// a promise of what the page has learned by it; empty is nothing.
const hostileTools = `
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const run = Math.random().toString(36); // names of frames stay taken
let named = 0;
const add = (tag, attributes, parent = document.documentElement) => {
  const element = document.createElement(tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  parent.append(element);
  return element;
};
const ask = (url, init) => fetch(url, init).then(
  async (answer) => answer.type === "opaque" ? "" : "read " + answer.status + " " + await answer.text(), () => "");
const post = (url, type, body, init) => ask(url, { method: "POST", mode: "no-cors", credentials: "include", headers: { "Content-Type": type }, body, ...init });
// inside is what a page can see of a frame: nothing, if that is of another origin.
const inside = (frame) => { try { return frame.contentDocument ? "saw " + frame.contentDocument.body.innerText : ""; } catch { return ""; } };
const framed = (url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = () => done(inside(frame));
  frame.src = url;
  document.documentElement.append(frame);
});
const submit = (url, enctype, fields, method = "POST") => new Promise((done) => {
  const name = "frame" + run + named++;
  const frame = add("iframe", { name });
  const form = add("form", { action: url, method, enctype, target: name });
  for (const name in fields) add("textarea", { name }, form).value = fields[name];
  frame.onload = () => done(inside(frame));
  form.submit();
});
// opened shows a window of its own, until it has what it was opened for.
const opened = async (go) => {
  const shown = go("window" + run + named++);
  for (let tries = 0; shown && tries < 1000; tries++) {
    await later(10);
    try { if (shown.closed || shown.location.href === "") break; } catch { break; }
  }
  shown?.close();
  return "";
};
const submitInWindow = (url, fields) => opened((name) => {
  const shown = open("about:blank", name);
  const form = add("form", { action: url, method: "POST", enctype: "text/plain", target: name });
  for (const name in fields) add("textarea", { name }, form).value = fields[name];
  form.submit();
  return shown;
});
const include = (tag, attribute, url) => new Promise((done) => {
  const element = document.createElement(tag);
  element.onload = () => done("loaded " + url);
  element.onerror = () => done("");
  if (tag === "link") element.rel = "stylesheet";
  element[attribute] = url;
  document.documentElement.append(element);
});
const beacon = (url, type, body) => { navigator.sendBeacon(url, new Blob([body], { type })); return Promise.resolve(""); };
const socket = (url, protocols) => new Promise((done) => {
  const it = new WebSocket(url, protocols);
  it.onopen = () => it.send('{"type":"subscribe","channel":"hostile"}');
  it.onmessage = ({ data }) => { it.close(); done("heard " + data); };
  it.onclose = ({ code }) => done(code === 1006 ? "" : "closed with " + code);
});
const events = (url) => new Promise((done) => {
  const source = new EventSource(url);
  source.onopen = () => done("opened " + url);
  source.onerror = () => { source.close(); done(""); };
});
// relay has the browser look for a TURN server, which is a connection that is not HTTP.
const relay = async (host) => {
  const peer = new RTCPeerConnection({ iceTransportPolicy: "relay",
    iceServers: [{ urls: "turn:" + host + "?transport=tcp", username: "\n" + line + "\n", credential: line }] });
  peer.createDataChannel("hostile");
  await peer.setLocalDescription(await peer.createOffer());
  await Promise.race([later(500), new Promise((done) => { peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done(); })]);
  peer.close();
  return "";
};
const event = { channel: "hostile", data: 1 };
const line = JSON.stringify(event);
const commands = "\r\nPUBLISH hostile 1\r\n*3\r\n$7\r\nPUBLISH\r\n$7\r\nhostile\r\n$1\r\n1\r\n";
const lines = "\n" + line + "\n" + line + "\n" + commands;
`

// pageAttack is something that a page tries.
type pageAttack struct {
	name   string
	script string // an expression of hostileTools
	// refused is how many requests of it arrive at least and are counted as refused.
	refused uint64
}

// attacks are what pages try on each port. In a script, at is the host and port, and key
// is a key or token that is right.
var attacks = map[string][]pageAttack{
	"client": {
		{"WebSocket", `socket("ws://" + at + "/ws")`, 1},
		{"WebSocket with the protocol", `socket("ws://" + at + "/ws", ["fleetcast.v1"])`, 1},
		{"WebSocket with a stolen token", `socket("ws://" + at + "/ws", ["fleetcast.v1", "bearer." + key])`, 1},
		{"WebSocket with a token in the query", `socket("ws://" + at + "/ws?token=" + key)`, 1},
		{"fetch", `ask("http://" + at + "/console/config.json", { credentials: "include" })`, 0},
		{"fetch with a token", `ask("http://" + at + "/ws", { headers: { Authorization: "Bearer " + key } })`, 0},
		{"post", `post("http://" + at + "/ws", "text/plain", lines)`, 0},
		{"JSON as a script", `include("script", "src", "http://" + at + "/console/config.json")`, 0},
		{"JSON as a style", `include("link", "href", "http://" + at + "/console/config.json")`, 0},
		{"JSON as an image", `include("img", "src", "http://" + at + "/console/config.json")`, 0},
		{"console in a frame", `framed("http://" + at + "/")`, 0},
		{"form", `submit("http://" + at + "/ws", "text/plain", { '{"type":"subscribe","channel":"hostile","x":"': '"}' })`, 0},
		{"beacon", `beacon("http://" + at + "/ws", "text/plain", lines)`, 0},
		{"event stream", `events("http://" + at + "/ws")`, 0},
	},
	"admin": {
		{"post as text", `post("http://" + at + "/api/publish", "text/plain", line)`, 1},
		{"post without a type", `ask("http://" + at + "/api/publish", { method: "POST", mode: "no-cors", body: new Blob([line]) })`, 1},
		{"post as JSON", `ask("http://" + at + "/api/publish", { method: "POST", headers: { "Content-Type": "application/json" }, body: line })`, 1},
		{"post with a stolen key", `ask("http://" + at + "/api/publish", { method: "POST", headers: { Authorization: "Bearer " + key, "Content-Type": "application/json" }, body: line })`, 1},
		{"drain", `post("http://" + at + "/api/drain", "text/plain", "{}")`, 1},
		{"block a user", `post("http://" + at + "/api/users/alice/disconnect", "text/plain", '{"block_ms":600000}')`, 1},
		{"unsubscribe a user", `post("http://" + at + "/api/users/alice/unsubscribe", "text/plain", '{"channel":"news"}')`, 1},
		{"form as text", `submit("http://" + at + "/api/publish", "text/plain", { '{"channel":"hostile","data":"': '"}' })`, 1},
		{"form", `submit("http://" + at + "/api/publish", "application/x-www-form-urlencoded", event)`, 1},
		{"form with parts", `submit("http://" + at + "/api/drain", "multipart/form-data", event)`, 1},
		{"form that gets", `submit("http://" + at + "/api/publish", "", event, "GET")`, 1},
		{"beacon", `beacon("http://" + at + "/api/publish", "text/plain", line)`, 1},
		{"beacon as JSON", `beacon("http://" + at + "/api/publish", "application/json", line)`, 1},
		{"fetch", `ask("http://" + at + "/api/stats", { credentials: "include" })`, 1},
		{"fetch with a stolen key", `ask("http://" + at + "/api/channels", { headers: { Authorization: "Bearer " + key } })`, 1},
		{"fetch without a look", `ask("http://" + at + "/metrics", { mode: "no-cors" })`, 1},
		{"profile", `ask("http://" + at + "/debug/pprof/profile?seconds=60", { mode: "no-cors" })`, 1},
		{"put", `ask("http://" + at + "/api/drain", { method: "PUT" })`, 1},
		{"JSON as a script", `include("script", "src", "http://" + at + "/api/stats")`, 1},
		{"page's script", `include("script", "src", "http://" + at + "/dashboard/key.js")`, 1},
		{"JSON as a style", `include("link", "href", "http://" + at + "/api/channels")`, 1},
		{"JSON as an image", `include("img", "src", "http://" + at + "/api/channels")`, 1},
		{"dashboard in a frame", `framed("http://" + at + "/")`, 0},
		{"JSON in a frame", `framed("http://" + at + "/api/stats")`, 1},
		{"event stream", `events("http://" + at + "/api/stats")`, 1},
		{"WebSocket", `socket("ws://" + at + "/ws")`, 1},
	},
	"publish": {
		{"post as text", `post("http://" + at + "/", "text/plain", lines)`, 1},
		{"post as JSON", `post("http://" + at + "/api/publish", "application/json", line)`, 1},
		{"post of parts", `ask("http://" + at + "/", { method: "POST", mode: "no-cors", body: new Blob([lines]) })`, 1},
		{"form as text", `submit("http://" + at + "/", "text/plain", { [lines]: lines })`, 1},
		{"form with parts", `submit("http://" + at + "/", "multipart/form-data", { [lines]: lines })`, 1},
		{"beacon", `beacon("http://" + at + "/", "text/plain", lines)`, 1},
		{"fetch", `ask("http://" + at + "/%0d%0aPUBLISH%20hostile%201%0d%0a")`, 1},
		{"method that is a command", `ask("http://" + at + "/hostile", { method: "PUBLISH" })`, 1},
		{"method that is a command, in small letters", `ask("http://" + at + "/hostile", { method: "publish" })`, 1},
		{"method that begins an array", `ask("http://" + at + "/hostile", { method: "*3" })`, 1},
		{"frame", `framed("http://" + at + "/")`, 1},
		{"script", `include("script", "src", "http://" + at + "/")`, 1},
		{"WebSocket", `socket("ws://" + at + "/" + encodeURIComponent(lines))`, 1},
		{"TLS", `ask("https://" + at + "/", { mode: "no-cors" })`, 0},
	},
}

// windowAttacks are tried by pages of another origin only: what the windows show, these do
// not see.
var windowAttacks = map[string][]pageAttack{
	"admin": {
		{"JSON in a window", `opened((name) => open("http://" + at + "/api/stats", name))`, 1},
		{"form in a window", `submitInWindow("http://" + at + "/api/drain", { "{}": "" })`, 1},
		{"form to the dashboard in a window", `submitInWindow("http://" + at + "/", { "{}": "" })`, 1},
	},
	"publish": {
		{"form in a window", `submitInWindow("http://" + at + "/", { [lines]: lines })`, 1},
		{"TURN", `relay(at)`, 0},
	},
}

// blindAttacks go by plain HTTP to a name of the gateway, where browsers do not say which page
// asks. The gateway answers, and the browser does not show the answers.
var blindAttacks = map[string][]pageAttack{
	"admin": {
		{"post as text", `post("http://" + at + "/api/publish", "text/plain", line)`, 1},
		{"form as text", `submit("http://" + at + "/api/publish", "text/plain", { '{"channel":"hostile","data":"': '"}' })`, 1},
		{"form that gets", `submit("http://" + at + "/api/publish", "", event, "GET")`, 0},
		{"fetch", `ask("http://" + at + "/api/stats", { credentials: "include" })`, 1},
		{"fetch without a look", `ask("http://" + at + "/metrics", { mode: "no-cors" })`, 0},
		{"JSON as a script", `include("script", "src", "http://" + at + "/api/stats")`, 0},
		{"page's script", `include("script", "src", "http://" + at + "/dashboard/key.js")`, 0},
		{"JSON as a style", `include("link", "href", "http://" + at + "/api/channels")`, 0},
		{"JSON as an image", `include("img", "src", "http://" + at + "/api/channels")`, 0},
		{"dashboard in a frame", `framed("http://" + at + "/")`, 0},
		{"JSON in a frame", `framed("http://" + at + "/api/stats")`, 0},
	},
}
