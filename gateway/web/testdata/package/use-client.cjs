// Publishes what it has subscribed to, and writes what comes.
exports.use = ({ connect, Fleetcast, FleetcastError }, url) => {
  const client = connect(url);
  if (!(client instanceof Fleetcast)) throw new Error("connect gives no Fleetcast");
  client.subscribe("chat", (data) => {
    console.log(JSON.stringify(data));
    client.close();
  }, {
    onSubscribed: async () => {
      await client.publish("news", 0).catch((error) => console.log(error instanceof FleetcastError, error.code));
      await client.publish("chat", { text: "hello" });
    },
  });
};
