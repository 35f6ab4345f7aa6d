package identity

// Latest is the latest end of an identity, in Unix seconds: that of the year 9999, behind
// which RFC 3339, and with it the API, can write no time. A claim exp in milliseconds, which
// is a common mistake, is beyond it.
const Latest = 253_402_300_799
