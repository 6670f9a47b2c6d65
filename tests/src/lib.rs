//! Ferrule's tests.
