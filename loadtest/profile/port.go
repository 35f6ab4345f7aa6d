package profile

// WithPort returns the profile with another way to publish on a TCP port: NDJSON
// or RESP. It is for a server that has both.
func (p *Profile) WithPort(via Via) *Profile {
	other := *p
	other.publish.via = via
	return &other
}
