// Shell commands that publish an event to a channel, for people to copy.

const DEFAULT_PUBLISH = "localhost:8082"; // of fleetcast publish
const BARE = /^[A-Za-z0-9_./:][A-Za-z0-9_./:-]*$/; // means itself to every shell

/** A word that a POSIX shell takes for exactly this text. */
export function quote(text) {
  return BARE.test(text) ? text : inQuotes(text);
}

// Within single quotes nothing is special but the quote itself.
const inQuotes = (text) => "'" + text.replaceAll("'", String.raw`'\''`) + "'";

// The word for before + the time in milliseconds + after.
const aroundNow = (before, after) => `${inQuotes(before)}$(date +%s%3N)${inQuotes(after)}`;

/** Host and port of "host:port"; the brackets of an IPv6 address are taken away. */
export function splitAddress(address) {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: address.slice(colon + 1) };
}

// What a terminal may obey when it is pasted, and what nobody sees or reads in another order. The
// gateway refuses the first; a link to the page must not bring either to a shell.
const TREACHEROUS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]/u;

/** Whether a channel's name may stand in a command that people paste. */
export const mayPaste = (channel) => !TREACHEROUS.test(channel);

/**
 * Commands that publish to channel, as {tool, command}. publish and admin are the addresses of the
 * gateway's ports, empty if they are off.
 */
export function commands(channel, { publish, admin }) {
  if (!mayPaste(channel)) return [];
  const data = ['{"text":"hello","sent":', "}"];
  const line = [`{"channel":${JSON.stringify(channel)},"data":${data[0]}`, data[1] + "}"];
  const found = [];
  if (publish) {
    const { host, port } = splitAddress(publish);
    const to = publish === DEFAULT_PUBLISH ? "" : `--to ${quote(publish)} `;
    const end = channel.startsWith("-") ? "-- " : "";
    found.push(
      { tool: "fleetcast", command: `fleetcast publish ${to}${end}${quote(channel)} ${aroundNow(...data)}` },
      { tool: "nc", command: String.raw`printf '%s\n' ${aroundNow(...line)} | nc -N ${quote(host)} ${port}` },
      { tool: "redis-cli", command: `redis-cli -h ${quote(host)} -p ${port} PUBLISH ${quote(channel)} ${aroundNow(...data)}` },
    );
  }
  if (admin) {
    const url = quote(`http://${admin}/api/publish`);
    found.push({ tool: "curl", command: `curl -H 'Content-Type: application/json' -d ${aroundNow(...line)} ${url}` });
  }
  return found;
}

/** The grant that says whether clients may publish to a channel: the first that matches, or undefined. */
export function grantFor(grants, name) {
  return grants.find((grant) => matches(grant.match, name));
}

/** Whether the pattern, in which * stands for any characters, matches the whole name. */
export function matches(pattern, name) {
  const [head, ...parts] = pattern.split("*");
  if (parts.length === 0) return pattern === name;
  if (!name.startsWith(head)) return false;
  const tail = parts.pop();
  let at = head.length;
  // Between two stars, the first occurrence leaves the most for the others.
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - at >= tail.length && name.endsWith(tail);
}
