// The global that fleetcast.classic.js sets. Put this file beside fleetcast.d.ts, and name it in
// the files of tsconfig.json or in a reference; from the package it is fleetcast/global.
import type { Fleetcast as Client } from "./fleetcast.js";

declare global {
  var Fleetcast: typeof Client;
  type Fleetcast = Client;
}
