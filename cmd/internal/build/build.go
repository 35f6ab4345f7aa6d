// Package build knows the version of the program that runs. Any goroutine may ask.
package build

import "runtime/debug"

// version is set by the linker for a release:
//
//	go build -ldflags "-X fleetcast/cmd/internal/build.version=v1.2.3"
var version string

// Version is the release, or the module's version as the go command recorded it,
// or the commit of a build from a checkout.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "development, commit " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "development"
}
