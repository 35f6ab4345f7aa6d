// Package mem has the containers and buffers that the gateway's loops use: a
// queue whose memory is used over and over, the best few of many values, and
// pools of buffers by size. It knows nothing of clients, channels or events.
//
// A Ring and a Best belong to one goroutine. Any goroutine may take and give
// buffers.
package mem
