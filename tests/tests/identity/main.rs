//! Who a client is and whether it may come in: certificates, chains, lists and rules, without a socket; OpenSSL and others are asked too.

mod algorithms;
mod cache;
mod certificates;
mod denied;
mod doubts;
mod hostile_chains;
mod prospects;
mod revocation;
mod strict;
