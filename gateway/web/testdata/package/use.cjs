// Uses the package in CommonJS. Its argument is the gateway's URL.
const { use } = require("./use-client.cjs");

use(require("fleetcast"), process.argv[2]);
