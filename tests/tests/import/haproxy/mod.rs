//! `ferrule import haproxy`: configurations of our own writing, started beside the real HAProxy from the same text.

mod cases;
mod generated;
mod refusals;
mod stage;
