// Shell commands that publish an event to a channel, for people to copy.

const DEFAULT_PUBLISH = "localhost:8082"; // of fleetcast publish
const KEY = '"$(cat FILE)"'; // a key that the reader has saved; no program shows it to others then
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
 * gateway's ports, empty if they are off; publishKey and adminKey tell whether they want a key, which
 * the commands take from a file.
 */
export function commands(channel, { publish, admin, publishKey, adminKey }) {
  if (!mayPaste(channel)) return [];
  const data = ['{"text":"hello","sent":', "}"];
  const line = [`{"channel":${JSON.stringify(channel)},"data":${data[0]}`, data[1] + "}"];
  const found = [];
  if (publish) {
    const { host, port } = splitAddress(publish);
    const to = publish === DEFAULT_PUBLISH ? "" : `--to ${quote(publish)} `;
    const end = channel.startsWith("-") ? "-- " : "";
    const [file, variable] = publishKey ? ["--key-file FILE ", `REDISCLI_AUTH=${KEY} `] : ["", ""];
    const lines = publishKey ? String.raw`printf '{"auth":"%s"}\n%s\n' ${KEY}` : String.raw`printf '%s\n'`;
    found.push(
      { tool: "fleetcast", command: `fleetcast publish ${file}${to}${end}${quote(channel)} ${aroundNow(...data)}` },
      { tool: "nc", command: `${lines} ${aroundNow(...line)} | nc -N ${quote(host)} ${port}` },
      { tool: "redis-cli", command: `${variable}redis-cli -h ${quote(host)} -p ${port} PUBLISH ${quote(channel)} ${aroundNow(...data)}` },
    );
  }
  if (admin) {
    const url = quote(`http://${admin}/api/publish`);
    const [header, from] = adminKey ? [`printf 'Authorization: Bearer %s' ${KEY} | `, " -H @-"] : ["", ""];
    found.push({ tool: "curl", command: `${header}curl${from} -H 'Content-Type: application/json' -d ${aroundNow(...line)} ${url}` });
  }
  return found;
}

/** The grant that says whether clients may publish to a channel: the first that matches, or undefined. */
export function grantFor(grants, name) {
  return grants.find((grant) => matches(grant.match, name));
}

/** Whether the pattern matches the whole name: ** is any characters, * any but . : and /. */
export function matches(pattern, name) {
  let [p, n] = [0, 0]; // what is compared next
  let [star, starTo] = [-1, 0]; // behind the last *, and where ends what it has taken
  let [deep, deepTo] = [-1, 0]; // the same of the last **
  for (;;) {
    if (pattern.startsWith("**", p)) {
      p += 2;
      [deep, deepTo, star] = [p, n, -1];
    } else if (pattern[p] === "*") {
      p++;
      [star, starTo] = [p, n];
    } else if (p === pattern.length && n === name.length) {
      return true;
    } else if (p < pattern.length && pattern[p] === name[n]) {
      p++;
      n++;
    } else if (star >= 0 && starTo < name.length && !".:/".includes(name[starTo])) {
      [p, n] = [star, ++starTo]; // the last star takes one more
    } else if (deep >= 0 && deepTo < name.length) {
      [p, n, star] = [deep, ++deepTo, -1];
    } else {
      return false;
    }
  }
}
