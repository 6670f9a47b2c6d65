//! The life of one request and its response, as decisions.
