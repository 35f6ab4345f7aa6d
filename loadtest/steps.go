package loadtest

import "time"

// inOrder takes the steps of a scenario until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// The steps that scenarios share. Each does what the method of its name does.

func (r *run) toConnect() error { return r.connectAll(0) }

func (r *run) toBegin(phase string) func() error {
	return func() error { r.samples.begin(phase); return nil }
}

func (r *run) toDo(o order) func() error { return func() error { return r.do(o) } }

func (r *run) toPublish(flow int) func() error {
	return func() error { r.publish(flow); return nil }
}

func (r *run) toSleep(d time.Duration) func() error { return func() error { return r.sleep(d) } }

func (r *run) toFinish(flow int) func() error { return func() error { return r.finish(flow) } }

func (r *run) toAwait(group int) func() error {
	return func() error { return r.awaitAll(group, maxCatchUp) }
}
