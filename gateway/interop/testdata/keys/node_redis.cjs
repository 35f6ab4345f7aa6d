// node-redis with a key as password: see TestRedisLibrariesWithKeys.
const assert = require("node:assert");
const { createClient } = require("redis");

(async () => {
  const [host, port, key] = process.argv.slice(2);
  const socket = { host, port: Number(port), reconnectStrategy: false };
  const known = await createClient({ socket, password: key }).connect();
  assert.equal(await known.publish("news", "1"), 1);
  const named = await createClient({ socket, RESP: 3, username: "feed", password: key }).connect();
  assert.equal(await named.publish("news", "2"), 1);
  const byURL = await createClient({ url: `redis://:${key}@${host}:${port}`, socket: { reconnectStrategy: false } }).connect();
  assert.equal(await byURL.publish("news", "3"), 1);
  await assert.rejects(known.publish("secret", "1"), /NOPERM/);
  await assert.rejects(known.multi().publish("news", "lost").publish("secret", "1").exec(), /EXECABORT|NOPERM/);
  const stranger = createClient({ socket, password: "wrong" });
  stranger.on("error", () => {});
  await assert.rejects(stranger.connect(), /WRONGPASS/);
  console.log("node-redis", require("redis/package.json").version);
  process.exit(0);
})().catch((error) => { console.log(error); process.exit(1); });
