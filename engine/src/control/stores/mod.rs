//! Stores: a thread for each exchanges the counts of limits with it, off the data cores.
//!
//! In: the limits in force and the TLS of the store, after each reload. Out: what other gateways have counted, in the
//! tables of the limits, and whether the store is there. A store may be gone, slow, or lie: every wait has an
//! end, every answer a size, and whatever is no answer ends the connection. `connection` bounds them, `script` is
//! what is asked, `session` knows one server or a cluster, `worker` decides when.

mod connection;
mod fault;
mod script;
mod session;
mod slots;
mod threads;
mod worker;

pub(crate) use threads::StoreThreads;
