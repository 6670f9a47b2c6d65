//! Revocation lists that are fetched, off the data cores.
//!
//! In: the generation in force, which says what to fetch and who has to have signed it. Out: files in the
//! directory of `[crl_fetch]`, and word of each that has changed, so that the loader reads it as it reads any
//! other list. A list is judged before it is kept: what a server sends that is no newer list of the right
//! authority changes nothing, and is counted. The threads are there only once there is something to fetch.

mod addresses;
mod board;
mod download;
mod fetcher;
mod job;
mod judge;
mod keep;
mod pace;
mod validators;
mod wanted;

pub(crate) use board::{CrlFetchBoard, CrlFetchRecord};
pub(crate) use fetcher::CrlFetcher;
