//! The ids of one request: its own, and those of the trace it belongs to.
//!
//! Filled once per request by [`exchange::mark`](crate::exchange::mark); read by templates, logs and
//! answers. Every byte of an id is of a set that needs no escaping anywhere.

use ferrule_config::model::Http;

/// Bytes of the longest id that is taken from a client.
pub const ID_BYTES_MAX: usize = 128;

/// The ids of one request; empty where the configuration asks for none.
#[derive(Clone, Copy, Debug)]
pub struct RequestIds {
    id: [u8; ID_BYTES_MAX],
    id_len: usize,
    /// Its trace.
    pub trace: Trace,
}

/// The field that tells the client a request's id.
#[derive(Clone, Copy, Debug)]
pub struct RequestIdField<'a> {
    /// Its name.
    pub name: &'a str,
    /// The id.
    pub id: &'a [u8],
}

/// The trace that a request belongs to, its ids in hexadecimal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trace {
    /// The request belongs to no trace.
    #[default]
    None,
    /// The client's, which passes as it came.
    Client {
        /// `trace-id`
        trace_id: [u8; 32],
        /// `parent-id`
        span_id: [u8; 16],
        /// Its `tracestate` passes as well.
        state: bool,
    },
    /// Begun here.
    Begun {
        /// `trace-id`
        trace_id: [u8; 32],
        /// `parent-id`
        span_id: [u8; 16],
    },
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { id: [0; ID_BYTES_MAX], id_len: 0, trace: Trace::None }
    }
}

impl RequestIds {
    /// Empties them before the next request.
    pub const fn clear(&mut self) {
        self.id_len = 0;
        self.trace = Trace::None;
    }

    /// The request's id; empty if it has none.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.id.get(..self.id_len).unwrap_or_default()
    }

    /// The field that tells the client its id; `None` if there is no id, or the client is not told.
    #[must_use]
    pub fn id_field<'a>(&'a self, http: &'a Http) -> Option<RequestIdField<'a>> {
        let rule = http.answers.request_id.as_ref().filter(|rule| rule.include_in_response)?;
        (self.id_len > 0).then(|| RequestIdField { name: &rule.header_name, id: self.id() })
    }

    /// Sets the id; one that is too long is ignored.
    pub fn set_id(&mut self, id: &[u8]) {
        if let Some(room) = self.id.get_mut(..id.len()) {
            room.copy_from_slice(id);
            self.id_len = id.len();
        }
    }
}
