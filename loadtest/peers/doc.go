// Package peers holds small servers to measure fleetcast beside, each written
// as a competent user of its library would write it for speed. servers.yaml
// lists them with the commands that build and run them; the script compare runs
// the whole comparison.
//
// They are a module of their own, so that what they need is not among
// fleetcast's dependencies.
//
// All but centrifuge speak one protocol. Any WebSocket client may connect on
// any path; a text message that begins with the byte P goes, as it is, to every
// connected client, the sender included; every other message is read and
// ignored. A server is run as SERVER PORT, listens on 127.0.0.1:PORT and ends
// at SIGTERM.
//
// gorilla and gws, run as SERVER PORT echo, send every message of at most 16 MiB
// back to who sent it.
package peers
