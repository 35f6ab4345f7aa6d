// node-redis against the publish port: see TestRedisLibraries.
const assert = require("node:assert");
const { createClient } = require("redis");

(async () => {
  const [host, port] = process.argv.slice(2);
  const plain = await createClient({ socket: { host, port: Number(port) } }).connect();
  assert.equal(await plain.publish("news", '"plain"'), 1);

  const known = createClient({ socket: { host, port: Number(port) }, RESP: 3, username: "default", password: "secret", name: "me" });
  await known.connect();
  assert.equal(await known.publish("news", '"password"'), 1);

  assert.deepEqual(await plain.multi().publish("news", "1").publish("news", "2").publish("news", "3").exec(), [1, 1, 1]);

  await assert.rejects(plain.multi().publish("news", "lost").publish("a b", "1").exec(), /EXECABORT|a channel name holds a space/);

  assert.deepEqual(await Promise.all([plain.publish("news", "4"), plain.publish("news", "5")]), [1, 1]);
  plain.destroy?.();
  known.destroy?.();
  console.log("node-redis", require("redis/package.json").version);
  process.exit(0);
})().catch((error) => { console.log(error); process.exit(1); });
