//! Every block of a file is an object or an error, whatever file it stands in.
//!
//! A table of what people and tools do to PEM files, in every place that takes one; and generated
//! mutations, of which OpenSSL never sees more than we do.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod differential;
mod inline_key;
mod kinds;
mod lines;
mod objects;
mod places;
mod stage;
mod table;
