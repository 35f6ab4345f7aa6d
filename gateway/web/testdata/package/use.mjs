// Uses the package as an ES module. Its argument is the gateway's URL.
import { connect, Fleetcast, FleetcastError } from "fleetcast";
import { use } from "./use-client.cjs";

use({ connect, Fleetcast, FleetcastError }, process.argv[2]);
