//! Opens the listeners of the next generation, and waits a little for addresses that become free.
//!
//! An address may belong to a process that is about to let go of it: one that drains lets go within
//! milliseconds, and the kernel keeps the sockets of an `io_uring` for a moment after its process has
//! ended, killed or not. So a bind that fails is tried again: for [`LIVING_PATIENCE`] if a living process
//! has the address, for [`ENDED_PATIENCE`] if none is seen that has.

use std::net::SocketAddr;
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::ListenAddress;

use crate::control::process::clock;
use crate::control::process::port_owners::{self, ProcessName, SocketOwner};
use crate::setup::listeners::{BindError, Listeners, PreparedListeners, overlap};

/// How long a bind is tried again while a living process has the address. A Ferrule that drains needs
/// less than 50 ms on a machine that is not overloaded.
const LIVING_PATIENCE: Duration = Duration::from_secs(2);
/// How long a bind is tried again if no process is seen that has the address.
const ENDED_PATIENCE: Duration = Duration::from_secs(5);
/// A message names no more processes than this.
const NAMED_MAX: usize = 3;
/// How often a bind is tried again.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Who has an address.
enum AddressOwner {
    Living(ProcessName),
    /// One of these, or a process that has ended.
    Hidden {
        user: u32,
        processes: Vec<ProcessName>,
    },
    Ended,
    /// The kernel's tables show no listener: there was one, or something else is bound.
    Unknown,
}

/// Opens what the configuration names and is not open yet. `goes_on` tells whether to wait any longer.
///
/// # Errors
/// Every address that could not be opened, with the process that has it; nothing has changed then.
pub(crate) fn open(
    listeners: &Listeners,
    config: &Config,
    goes_on: impl Fn() -> bool,
) -> Result<PreparedListeners, Vec<BindError>> {
    let started = clock::monotonic();
    loop {
        let mut errors = match listeners.prepare(config) {
            Ok(prepared) => return Ok(prepared),
            Err(errors) => errors,
        };
        if !errors.iter().all(BindError::is_in_use) || !goes_on() {
            return Err(errors);
        }
        let owners: Vec<AddressOwner> =
            errors.iter().map(|error| owner_of(error.address)).collect();
        let patience = owners.iter().map(AddressOwner::patience).min().unwrap_or_default();
        if started.elapsed() >= patience {
            for (error, owner) in errors.iter_mut().zip(owners) {
                error.owner = owner.sentence();
            }
            return Err(errors);
        }
        std::thread::park_timeout(TRY_EVERY);
    }
}

fn owner_of(address: SocketAddr) -> AddressOwner {
    let seen = port_owners::listeners();
    let wanted = ListenAddress { address, ipv6only: false };
    let near = seen.iter().filter(|seen| overlap(seen.widest(), wanted));
    let mut found = AddressOwner::Unknown;
    for listener in near {
        match port_owners::owner_of(listener) {
            SocketOwner::Process(process) => return AddressOwner::Living(process),
            SocketOwner::Hidden(processes) => {
                found = AddressOwner::Hidden { user: listener.user, processes };
            }
            SocketOwner::Nobody if matches!(found, AddressOwner::Unknown) => {
                found = AddressOwner::Ended;
            }
            SocketOwner::Nobody => {}
        }
    }
    found
}

impl AddressOwner {
    const fn patience(&self) -> Duration {
        match self {
            Self::Living(_) | Self::Hidden { .. } | Self::Unknown => LIVING_PATIENCE,
            Self::Ended => ENDED_PATIENCE,
        }
    }

    /// For the message; nothing if nothing is known.
    fn sentence(&self) -> Option<String> {
        match self {
            Self::Living(process) => Some(format!("another process listens there: {process}")),
            Self::Hidden { user, processes } if processes.len() > NAMED_MAX => {
                Some(format!("another process of user {user} listens there"))
            }
            Self::Hidden { user, processes } => {
                let names: Vec<String> = processes.iter().map(ToString::to_string).collect();
                let names = names.join(" or ");
                Some(format!("another process of user {user} listens there; it may be {names}"))
            }
            Self::Ended => Some(format!(
                "a process that has ended, or that runs in another container, still listens there \
                 (waited {} s)",
                ENDED_PATIENCE.as_secs()
            )),
            Self::Unknown => None,
        }
    }
}
