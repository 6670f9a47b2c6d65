//! Which fields end at this hop (RFC 9110, section 7.6.1), and what `Connection` says.
