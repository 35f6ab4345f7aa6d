package loadtest

// doors are the connections by which the events of one flow enter the server.
// All events of a channel go through the same one, so that they keep their order.
type doors []door

// open opens all of them.
func (d doors) open(p *publisher) error {
	for _, one := range d {
		if err := one.open(p); err != nil {
			return err
		}
	}
	return nil
}

// of is the door for the events of a channel.
func (d doors) of(channel int32) door { return d[int(channel)%len(d)] }

// batched is how many bytes of events wait for the next flush.
func (d doors) batched() (size int) {
	for _, one := range d {
		size += one.batched()
	}
	return size
}

func (d doors) flush() {
	for _, one := range d {
		one.flush()
	}
}

// unsent is how many bytes were flushed and wait to be sent.
func (d doors) unsent() (size int) {
	for _, one := range d {
		size += one.unsent()
	}
	return size
}

// copies is how many events came back because the server sends them to everyone.
// Any goroutine may ask.
func (d doors) copies() (count int64) {
	for _, one := range d {
		count += one.copies()
	}
	return count
}

func (d doors) close() {
	for _, one := range d {
		one.close()
	}
}
