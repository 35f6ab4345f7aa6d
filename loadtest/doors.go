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

// sum adds up what of says of each: door.batched, door.unsent or door.copies.
func (d doors) sum(of func(door) int) (sum int) {
	for _, one := range d {
		sum += of(one)
	}
	return sum
}

func (d doors) flush() {
	for _, one := range d {
		one.flush()
	}
}

func (d doors) close() {
	for _, one := range d {
		one.close()
	}
}
