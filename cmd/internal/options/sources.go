package options

import "fmt"

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
