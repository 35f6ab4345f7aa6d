// ioredis with a key as password: see TestRedisLibrariesWithKeys.
const assert = require("node:assert");
const Redis = require("ioredis");

(async () => {
  const [host, port, key] = process.argv.slice(2);
  const known = new Redis({ host, port, password: key });
  assert.equal(await known.publish("news", 1), 1);
  const named = new Redis({ host, port, username: "feed", password: key });
  assert.equal(await named.publish("news", 2), 1);
  const byURL = new Redis(`redis://:${key}@${host}:${port}/0`);
  assert.equal(await byURL.publish("news", 3), 1);
  await assert.rejects(known.publish("secret", 1), /NOPERM/);
  await assert.rejects(known.multi().publish("news", "lost").publish("secret", 1).exec(), /EXECABORT/);
  for (const password of [undefined, "wrong"]) {
    const stranger = new Redis({ host, port, password, retryStrategy: null, maxRetriesPerRequest: 0 });
    stranger.on("error", () => {});
    await assert.rejects(stranger.publish("news", "lost"), /NOAUTH|WRONGPASS|Connection is closed|max retries/i);
    stranger.disconnect();
  }
  await Promise.all([known.quit(), named.quit(), byURL.quit()]);
  console.log("ioredis", require("ioredis/package.json").version);
})().catch((error) => { console.log(error); process.exit(1); });
