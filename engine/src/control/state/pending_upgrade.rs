//! How far a binary upgrade is, as far as it decides which commands are carried out.

/// What is known of upgrades by the queue of commands.
#[derive(Debug, Default)]
pub(super) struct PendingUpgrade {
    /// How many were asked for.
    pub(super) count: u64,
    pub(super) stage: UpgradeStage,
    /// The process that has taken over has failed.
    pub(super) lost: bool,
    /// It has ended well.
    pub(super) ended: bool,
    /// This process was to take over, and may not.
    pub(super) abandoned: bool,
}

/// How far the upgrade is that goes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum UpgradeStage {
    /// There is none.
    #[default]
    None,
    /// The loader is to begin it.
    Wanted,
    /// The new process is to prove itself.
    Offered,
    /// It has, or has failed.
    OfferEnded,
    /// The loader ends it.
    Ending,
    /// The new process begins to accept connections: a command to stop waits, in both processes.
    Handing,
    /// It serves, and this process drains.
    HandedOver,
}

/// What came for this process while another one took over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Overtaken {
    /// A command to stop.
    pub(crate) stop: bool,
    /// A command to reload.
    pub(crate) reload: bool,
    /// The tickets of that reload: the other process carries it out.
    pub(crate) tickets: Vec<u64>,
}
