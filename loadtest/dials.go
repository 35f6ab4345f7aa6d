package loadtest

import "container/heap"

// dial is a client that is to be dialled.
type dial struct {
	at     int64 // time of the clock
	due    int64 // the same if the time was asked for; 0 for as soon as possible
	client *client
}

// dials is a queue of those, the earliest first. It belongs to a worker.
type dials []dial

// add puts c, which is absent, into the queue.
func (q *dials) add(c *client, at, due int64) {
	c.queued = true
	heap.Push(q, dial{at, due, c})
}

// take removes the earliest client if its time has come.
func (q *dials) take(now int64) (d dial, ok bool) {
	if len(*q) == 0 || (*q)[0].at > now {
		return dial{}, false
	}
	d = heap.Pop(q).(dial)
	d.client.queued = false
	return d, true
}

// Len implements heap.Interface, as do the others below.
func (q dials) Len() int           { return len(q) }
func (q dials) Less(i, j int) bool { return q[i].at < q[j].at }
func (q dials) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *dials) Push(d any) { *q = append(*q, d.(dial)) }

func (q *dials) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
