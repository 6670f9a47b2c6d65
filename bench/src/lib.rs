//! Ferrule's bench.
