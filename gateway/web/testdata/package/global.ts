// What a page's own script may do with the global of fleetcast.classic.js.
/// <reference types="fleetcast/global" />
const client: Fleetcast = new Fleetcast("/ws", { onGap: (gap) => console.log(gap.channel) });
client.subscribe("news", (data) => console.log(data));
// @ts-expect-error: there is no such method
client.connect();
