// A page that is bundled with the package. The gateway's URL is its address's query.
import { connect } from "fleetcast";

const client = connect(location.search.slice(1));
window.seen = [];
client.subscribe("news", (data) => window.seen.push(JSON.stringify(data)));
