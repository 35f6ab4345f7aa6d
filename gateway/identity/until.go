package identity

// Until is i, ending at a moment in Unix seconds if it would not end before; 0 is never.
func (i *Identity) Until(expires int64) *Identity {
	if expires == 0 || i.Expires != 0 && i.Expires <= expires {
		return i
	}
	shorter := *i
	shorter.Expires = expires
	return &shorter
}
