package options

import (
	"cmp"
	"fmt"
	"strings"
)

// source is where a value comes from. The zero source is the default.
type source struct {
	flag     bool
	variable string // of the environment
	file     string
	line     int
}

// at describes the source of an option's value; it is empty for the default.
func (s source) at(option string) string {
	switch {
	case s.flag:
		return "--" + option
	case s.variable != "":
		return s.variable
	case s.file != "":
		return fmt.Sprintf("%s:%d", s.file, s.line)
	}
	return ""
}

// name is how whoever set the option knows it, for errors.
func (s source) name(option string) string {
	switch {
	case s.variable != "":
		return s.variable
	case s.file != "":
		return s.at(option) + ": " + option
	}
	return "--" + option
}

// called is how an option is called where it is set.
func (s source) called(option string) string {
	switch {
	case s.variable != "":
		return VariableOf(option)
	case s.file != "":
		return option
	}
	return "--" + option
}

// written is how an option is given a value there. The value has no quotes.
func (s source) written(option, value string) string {
	switch {
	case s.file != "":
		return option + ": " + yamlText(value)
	case strings.Contains(value, " "):
		value = "'" + value + "'" // for a shell
	}
	return s.called(option) + "=" + value
}

// place is where an option is set, or else where another one is, beside which it can be.
func (o *Options) place(option, beside string) source {
	place := cmp.Or(o.find(option).source, o.find(beside).source)
	if place == (source{}) {
		place.file = o.Config
	}
	return place
}

// called is how an option is called in its place beside another one.
func (o *Options) called(option, beside string) string { return o.place(option, beside).called(option) }

// written is how an option is given a value in its place beside another one.
func (o *Options) written(option, value, beside string) string {
	return o.place(option, beside).written(option, value)
}
