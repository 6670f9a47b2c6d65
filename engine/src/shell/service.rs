//! Client connections of one core, from their first byte to their close.
//!
//! In: an accepted socket. The service takes it through the handshake and then runs one exchange after
//! the other, each in a task that it lends. It is what brings [`client`](super::client) and
//! [`request`](super::request) together, which do not depend on each other that way round.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::client::accepted::AcceptedBy;
use super::client::closing;
use super::client::connection::HeadRead;
use super::client::handshake;
use super::client::registry::ConnectionRegistry;
use super::request::task::{ExchangeTasks, FinishedExchange, PendingExchange};
use super::state::core::Core;
use super::transport::buffers::give_memory_back;
use super::transport::net::TcpStream;
use crate::exchange::reuse::AfterExchange;
use crate::report::connection_list::ConnectionState;
use crate::setup::connection_counts::CountedConnection;

/// Less than this is not worth asking the allocator for more.
const TRIM_BYTES: usize = 256 * 1_024;
const TRIM_TASKS: usize = 8;

/// What all client connections of one core are served with.
pub(crate) struct ConnectionService {
    /// The core's state.
    pub(crate) core: Rc<Core>,
    /// Client connections with a certificate.
    pub(crate) registry: ConnectionRegistry,
    /// Free tasks for exchanges.
    tasks: ExchangeTasks,
}

impl ConnectionService {
    /// A service without connections.
    #[must_use]
    pub(crate) fn new(core: Rc<Core>) -> Self {
        Self { core, registry: ConnectionRegistry::default(), tasks: ExchangeTasks::default() }
    }

    /// Serves one accepted connection to its end.
    pub(crate) async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        counted: CountedConnection,
        by: AcceptedBy,
    ) {
        // What a connection needs once is not kept while it waits.
        let opened = async {
            let opened =
                handshake::open(&self.core, &self.registry, stream, peer, counted, by).await;
            opened.map(Box::new)
        };
        let Some(mut client) = Box::pin(opened).await else { return };
        let mut after = AfterExchange::Keep;
        while after == AfterExchange::Keep {
            client.stream.release_memory();
            client.card.set_state(ConnectionState::Idle);
            let mut started = Duration::ZERO;
            let read = client.read_head(&mut started).await;
            if matches!(read, HeadRead::Gone) {
                break;
            }
            let mut task = self.tasks.take();
            let finished = task.run(PendingExchange { client, read, started }).await;
            FinishedExchange { client, after } = finished;
            self.tasks.give_back(task);
            let budget = &mut client.stream.reader.budget;
            budget.charge_message();
            budget.yield_if_spent().await;
        }
        client.card.set_state(ConnectionState::Closing);
        Box::pin(closing::close(&mut client, after == AfterExchange::CloseUnread)).await;
    }

    /// Gives memory back to the system that was not needed since the last time.
    pub(crate) fn trim(&self) {
        self.core.buffers.trim();
        let dropped = self.tasks.trim();
        if self.core.buffers.take_released(TRIM_BYTES) || dropped > TRIM_TASKS {
            give_memory_back();
        }
    }
}
