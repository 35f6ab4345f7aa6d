package options

import "slices"

// Differences are the options that next has other values for: those that can
// change live, and those that wait for a restart.
func (o *Options) Differences(next *Options) (live, waiting []string) {
	for i, old := range o.settings {
		s := next.settings[i]
		switch {
		case slices.Equal(old.compared(), s.compared()):
		case s.live():
			live = append(live, change(old, s))
		default:
			waiting = append(waiting, change(old, s))
		}
	}
	return live, waiting
}

// change words a change. Two secrets may look the same.
func change(old, next setting) string {
	if slices.Equal(old.texts(), next.texts()) {
		return next.name() + ": what a file or a variable has for it is another secret"
	}
	return next.name() + ": " + old.meaning() + " -> " + next.meaning()
}

// KeepRestarting gives o the values of running for all that cannot change live.
func (o *Options) KeepRestarting(running *Options) {
	for i, s := range o.settings {
		if !s.live() {
			s.flag.Target.Set(running.settings[i].flag.Target)
			o.settings[i].source = running.settings[i].source
		}
	}
}
