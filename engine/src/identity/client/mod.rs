//! Who a client is: the verdict on its chain, the values of its certificate, and the result of the access
//! lists.
//!
//! Made once per handshake by [`identity_cache`], and then only borrowed.

pub mod access_lists;
pub mod all_values;
pub mod client_identity;
pub mod client_value;
pub mod client_values;
pub mod forwarded;
pub mod identity_cache;
pub mod identity_plan;
pub(crate) mod leaf_view;
pub mod prospects;
pub(crate) mod render;
