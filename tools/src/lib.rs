//! Ferrule's tools.
