// Package mem has the containers and buffers of the gateway's loops: a queue that reuses
// its memory, a list of the largest of many values, and pools of buffers by size. It
// knows no clients, channels or events.
//
// A Ring and a Best belong to one goroutine. Any goroutine may take and give buffers.
package mem
