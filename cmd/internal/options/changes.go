package options

import "slices"

// Differences are the options that next has other values for: those that can
// change live, and those that wait for a restart.
func (o *Options) Differences(next *Options) (live, waiting []string) {
	for i, old := range o.settings {
		s := next.settings[i]
		switch {
		case slices.Equal(old.texts(), s.texts()):
		case s.live():
			live = append(live, s.name()+": "+old.meaning()+" -> "+s.meaning())
		default:
			waiting = append(waiting, s.name()+": "+old.meaning()+" -> "+s.meaning())
		}
	}
	return live, waiting
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
