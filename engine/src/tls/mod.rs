//! rustls settings per server name and per upstream. Resumption never crosses a policy.
