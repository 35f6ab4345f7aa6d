// ioredis against the publish port: see TestRedisLibraries.
const assert = require("node:assert");
const Redis = require("ioredis");

(async () => {
  const [host, port] = process.argv.slice(2);
  const plain = new Redis(port, host);
  assert.equal(await plain.publish("news", '"plain"'), 1);

  const known = new Redis({ host, port, username: "default", password: "secret", connectionName: "me" });
  known.on("error", (error) => { throw error; });
  assert.equal(await known.publish("news", '"password"'), 1);

  const results = await plain.multi().publish("news", 1).publish("news", 2).publish("news", 3).exec();
  assert.deepEqual(results, [[null, 1], [null, 1], [null, 1]]);

  await assert.rejects(plain.multi().publish("news", "lost").publish("a b", 1).exec(), /EXECABORT/);

  assert.deepEqual(await plain.pipeline().publish("news", 4).publish("news", 5).exec(), [[null, 1], [null, 1]]);
  await Promise.all([plain.quit(), known.quit()]);
  console.log("ioredis", require("ioredis/package.json").version);
})().catch((error) => { console.log(error); process.exit(1); });
