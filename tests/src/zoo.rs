//! A zoo of odd client certificates, every byte of them written here.
//!
//! In: an empty directory and the time. Out: keys and chains as PEM files, and the CA bundle they
//! are held against. Keys and signatures come from the `openssl` command line.

mod animals;
pub mod asn1;
mod draft;
mod forms;
mod herd;
mod lists;

pub use animals::{Animal, Zoo};
pub use draft::{Digest, Draft, Issuer, Key, Kind, encode, pem};
pub use forms::other_form;
pub use herd::{Herd, Member};
pub use lists::ListDraft;
