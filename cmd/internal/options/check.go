package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetcast/gateway"
	"fleetcast/gateway/ingest"
)

// check names every option that is out of range, and where its value comes
// from. The ranges are those of the tags span, and of gateway.Config.
func (o *Options) check() error {
	if o.Listen.Off {
		return fmt.Errorf("%s cannot be off: without clients there is nothing to do", o.named(listenOption))
	}
	var errs []error
	blamed := map[string]bool{}
	for _, s := range o.settings {
		if problem := s.outOfSpan(); problem != "" {
			errs = append(errs, fmt.Errorf("%s %s", o.named(s.name()), problem))
			blamed[s.name()] = true
		}
	}
	config := o.unshared(manyConnections)
	var problems gateway.OptionErrors
	if errors.As(config.Check(), &problems) {
		for _, p := range problems {
			if p.Field == "BacklogBytes" && o.Backlog > 0 {
				p.Problem = fmt.Sprintf("is %v, must be at most backlog-memory, %v", o.Backlog, Size(config.BacklogMemory))
			}
			if option := o.optionOf(p.Field); !blamed[option] {
				errs = append(errs, fmt.Errorf("%s %s", o.named(option), p.Problem))
			}
		}
	}
	for _, f := range o.fits(&config) {
		if f.oneSize+f.extra > f.allSizes && !blamed[f.one] && !blamed[f.all] {
			errs = append(errs, o.misfit(f))
		}
	}
	// The default gives way to a short timeout; see Gateway.Drain.
	if o.isSet("drain-window") && o.DrainWindow > 0 && o.DrainWindow >= o.DrainTimeout && !blamed["drain-window"] && !blamed["drain-timeout"] {
		errs = append(errs, fmt.Errorf("%s is %v, must be below drain-timeout, %v", o.named("drain-window"), o.DrainWindow, o.DrainTimeout))
	}
	errs = slices.Concat(errs, o.checkStars(), o.checkHistory(), o.overlaps(), o.checkIdentity())
	return errors.Join(append(errs, o.exposures()...)...)
}

// fit is what one option allows for a single thing and what another allows for
// all such things together: a single one must fit, or it could never pass.
type fit struct {
	one, all          string // the options
	oneSize, allSizes Size   // their values in effect
	extra             Size   // what comes with the thing
}

func (o *Options) fits(config *gateway.Config) []fit {
	input, backlogs := Size(config.InputMemory), Size(config.BacklogMemory)
	return []fit{
		{one: "max-event", oneSize: o.MaxEvent, all: "credits", allSizes: o.Credits},
		{one: "max-event", oneSize: o.MaxEvent, all: "backlog-memory", allSizes: backlogs},
		{one: "max-event", oneSize: o.MaxEvent, all: "input-memory", allSizes: input, extra: ingest.RequestRoom},
		{one: "max-message", oneSize: o.MaxMessage, all: "input-memory", allSizes: input},
	}
}

// misfit blames the one of both options that was set.
func (o *Options) misfit(f fit) error {
	if o.isSet(f.one) {
		return fmt.Errorf("%s is %v, must be at most %s, %v%s", o.named(f.one), f.oneSize, f.all, f.allSizes, f.beside("less"))
	}
	return fmt.Errorf("%s is %v, must be at least %s, %v%s", o.named(f.all), f.allSizes, f.one, f.oneSize, f.beside("and"))
}

// beside words what comes with the thing.
func (f fit) beside(word string) string {
	if f.extra == 0 {
		return ""
	}
	return fmt.Sprintf(", %s %v for the rest of a request", word, f.extra)
}

// isSet tells whether an option has its value from somewhere.
func (o *Options) isSet(option string) bool { return o.find(option).source != source{} }

// overlaps names the ports that cannot be open at the same time.
func (o *Options) overlaps() (errs []error) {
	ports := []struct {
		option string
		at     *Endpoint
	}{{listenOption, &o.Listen}, {publishOption, &o.Publish}, {adminOption, &o.Admin}}
	for i, one := range ports {
		for _, other := range ports[:i] {
			if one.at.overlaps(other.at) {
				errs = append(errs, fmt.Errorf("%s is %s, which %s, %s, has already", o.named(one.option), one.at.Text, other.option, other.at.Text))
			}
		}
	}
	return errs
}

// manyConnections stands for the descriptor limit where that does not matter.
const manyConnections = 1 << 30

// optionOf is the option that sets a field of gateway.Config.
func (o *Options) optionOf(field string) string {
	if option, short := shorthands[field]; short {
		return option
	}
	for _, s := range o.settings {
		if s.flag.Tag.Get("field") == field || strings.EqualFold(strings.ReplaceAll(s.name(), "-", ""), field) {
			return s.name()
		}
	}
	return field
}
