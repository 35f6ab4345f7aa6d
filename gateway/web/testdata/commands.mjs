// Writes, for each of the channels, the console's commands. The argument is JSON: {channels, publish, admin}.
import { commands } from "../console/commands.js";

const { channels, ...ports } = JSON.parse(process.argv[2]);
console.log(JSON.stringify(channels.map((channel) => commands(channel, ports))));
