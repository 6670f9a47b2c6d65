//! Decides what happens to one request and its response.
//!
//! In: bytes, the current time, events on a connection. Out: what to do next. The head of a message stays in
//! one buffer for the whole exchange, and everything here borrows from it. A request goes through
//! [`request::admit`] -> [`balance`], [`pool`] -> [`rewrite::upstream_head`] -> [`response::admit_response`]
//! -> [`response_head::client_head`] -> [`reuse`]; bodies go through [`flow`]; each failure has a [`cause`],
//! which leads to a [`retry`] or a [`Refusal`]. Every exchange ends with an [`Outcome`].

pub mod address_order;
pub mod answer;
pub mod balance;
pub mod binding;
mod break_response;
pub mod cause;
pub mod connection_view;
pub mod demands;
pub mod flow;
mod forwarded_cert;
pub mod hop;
pub mod keep_alive;
pub mod local_answer;
pub mod mark;
pub mod negotiate;
mod new_id;
pub mod options;
pub mod outcome;
pub mod permit;
pub mod pool;
mod pool_key;
#[cfg(test)]
mod pool_model;
pub mod proxy_header;
pub mod real_ip;
pub mod redirect;
pub mod refusal;
mod refusal_index;
pub mod refusal_response;
pub mod request;
mod request_line;
pub mod response;
pub mod response_block;
pub mod response_fault;
pub mod response_head;
pub mod response_shape;
pub mod retry;
pub mod retry_budget;
pub mod reuse;
pub mod rewrite;
pub mod rewritten;
mod route;
pub mod route_trace;
pub mod scratch;
pub mod split;
pub mod trailers;
pub mod upgrade;
pub mod via;
pub mod warm_up;

pub use connection_view::ConnectionView;
pub use outcome::Outcome;
pub use permit::permit;
pub use refusal::Refusal;
pub use request::{Admission, RequestFeatures, admit};
pub use response_fault::ResponseFault;
pub use scratch::Scratch;
