// How the console turns values into text.

const TAB = "  ";
const MAX_INDENT = 32; // levels: deeper nesting is not indented further, or it would grow without bound
const MAX_PRETTY = 256 * 1024; // characters; what would be longer stays as it is

const EVENT_HEAD = /^\{"type":"event","channel":"(?:[^"\\]|\\.)*","offset":\d+,"data":/;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** The data within an event's message, byte for byte: JSON.parse loses digits of large integers. */
export function dataText(message, data) {
  const head = EVENT_HEAD.exec(message);
  return head ? message.slice(head[0].length, -1) : JSON.stringify(data);
}

/** Valid JSON over many lines, its numbers and strings left as they are. */
export function pretty(json) {
  let out = "";
  let depth = 0;
  let opened = false; // by the last token: what closes at once stays on its line
  const line = () => "\n" + TAB.repeat(Math.min(depth, MAX_INDENT));
  for (const [token] of json.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    if (closes) depth--;
    if (opened !== closes) out += line();
    out += token;
    if (token === ",") out += line();
    if (token === ":") out += " ";
    opened = token === "{" || token === "[";
    if (opened) depth++;
    if (out.length > MAX_PRETTY) return json;
  }
  return out;
}

/** The local time of day of a time as Date.now() gives it, to the millisecond. */
export function timeOfDay(time) {
  const t = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}

/** A duration of so many milliseconds, short. */
export function duration(ms) {
  const size = Math.abs(ms);
  if (size >= 100_000) return `${count(Math.round(ms / 1000))} s`;
  if (size >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (size >= 10 || Number.isInteger(ms)) return `${count(Math.round(ms))} ms`;
  return `${ms.toFixed(1)} ms`;
}

const grouped = new Intl.NumberFormat("en");

/** A number with its digits in groups of three. */
export const count = (n) => grouped.format(n);

/** A number and its noun, "1 event" or "2 events". */
export const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** The channels that a location's fragment names: "#news,chat". Those that cannot be read are left out. */
export function channelsOf(fragment) {
  const names = fragment.replace(/^#/, "").split(",").map((name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return "";
    }
  });
  return [...new Set(names.filter((name) => name !== ""))];
}

/** The fragment that names these channels. */
export const fragmentOf = (names) => "#" + [...names].map(encodeURIComponent).join(",");
