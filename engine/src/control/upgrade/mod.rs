//! Binary upgrades: a new process of this program takes the place of this one, and no connection is lost.
//!
//! The former process starts the new one, with one end of a socket pair as its standard input, and sends it
//! every listening socket (`SCM_RIGHTS`), so both have the same sockets with the same accept queues. The new one
//! loads its configuration, starts its cores, and listens on loopback sockets of its own. The *former* process
//! asks a question on each of these: what the new process says of itself is not enough. Only then the new
//! process accepts by the real sockets, and only when all its cores do, the former process stops to, and drains.
//! Until that moment the former process serves as before, and a new process that fails is killed.
//! From `Go` to `Serving`, commands to stop wait in both, and the former process closes none of the sockets: whatever
//! happens, one of the two serves, or the service manager sees a process fail.
//!
//! | step | former process | new process |
//! | --- | --- | --- |
//! | 1 | starts the program, sends the sockets (`offer`) | takes and checks them (`takeover`) |
//! | 2 | serves | loads, starts its cores, says `FromNew::Ready` |
//! | 3 | asks its self-test listeners (`self_test`) | answers through its data path |
//! | 4 | says `FromFormer::Go` | accepts by the sockets, says `Serving` |
//! | 5 | tells the service manager, says `Named` | owns the sockets, speaks to the service manager |
//! | 6 | accepts no more, drains, ends; at once if the new one fails meanwhile | writes its number, says `Settled`, serves |
//!
//! The new process may be relieved by a third one before the first has drained, and fail after that. It says `Relieved`
//! to the first one, which then drains on.

pub(crate) mod any_gateway;
pub(crate) mod channel;
pub(crate) mod messages;
pub(crate) mod offer;
pub(crate) mod program;
pub(crate) mod self_test;
pub(crate) mod takeover;
