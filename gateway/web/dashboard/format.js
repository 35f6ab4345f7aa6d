// How numbers, times and names are written. A figure that is not known is "–".

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });
const known = (n) => typeof n === "number" && Number.isFinite(n);

// count writes a number of things: in full as long as it fits a tile.
export function count(n) {
  if (!known(n)) return NONE;
  return Math.abs(n) < 10_000_000 ? whole.format(n) : short.format(n);
}

// measure writes what is not a whole number, such as a rate.
export function measure(n) {
  if (!known(n)) return NONE;
  if (Math.abs(n) >= 100_000) return short.format(n);
  return Math.abs(n) >= 100 ? whole.format(n) : three.format(n);
}

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(n) {
  if (!known(n)) return NONE;
  let unit = 0;
  while (Math.abs(n) >= 1000 && unit < byteUnits.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit ? three.format(n) : whole.format(n)} ${byteUnits[unit]}`;
}

// seconds writes a short time with a fitting unit.
export function seconds(s) {
  if (!known(s)) return NONE;
  if (s === 0) return "0 s";
  if (s < 0.001) return `${three.format(s * 1e6)} µs`;
  if (s < 1) return `${three.format(s * 1000)} ms`;
  return s < 120 ? `${three.format(s)} s` : age(s);
}

// quantile writes one of figures.js.
export function quantile(q) {
  return q ? (q.beyond ? "> " : "") + seconds(q.value) : NONE;
}

// age writes how long something has been, by its two largest units.
export function age(s) {
  if (!known(s)) return NONE;
  s = Math.max(0, Math.floor(s));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function percent(share) {
  if (!known(share)) return NONE;
  const p = share * 100;
  return `${p > 0 && p < 10 ? three.format(Number(p.toFixed(1))) : Math.floor(p)} %`;
}

// clock writes the time of day of a Date or of milliseconds since 1970.
export function clock(when) {
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? NONE : date.toLocaleTimeString("en-GB");
}

// moment is clock with its day.
export function moment(when) {
  const date = new Date(when);
  return Number.isNaN(date.getTime()) ? NONE : `${date.toLocaleDateString("en-CA")} ${clock(date)}`;
}

// Marks that turn the direction of what stands beside them, and spaces of no
// width, would let a name look like another one.
const disguises = /[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u0000-\u001f\u007f-\u009f]/gu;

// name makes a name from outside safe to look at: nothing in it is invisible.
export function name(text) {
  return String(text ?? NONE).replace(disguises, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}
