// Package stats declares the figures of a running gateway, with their names, and has the
// means to count them. Each counter is declared once, as a field of [Gateway] or of its
// parts. Sums, metrics, the API's JSON and the log's incidents walk over these fields.
// The package knows no sockets, clients or channels.
//
// Nothing here is safe for several goroutines at once, except [Metrics]. A loop counts in
// structures of its own, and gives copies to whoever asks.
package stats
