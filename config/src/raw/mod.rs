//! The file, field for field: every value with its place and its type, and nothing resolved yet.
//!
//! In: a parsed TOML table and its description. Out: a [`Raw`] table. Unknown and refused keys,
//! wrong types, numbers out of range and missing keys are problems by then; a value with a problem
//! is there as `Value::Broken`, so that nobody reports it missing as well.

mod decimal;
mod meant;
mod reader;
mod table;
mod text;
mod value;

pub(crate) use reader::Reader;
pub(crate) use table::{Field, FieldValue, Item, Raw, RawNode, Text, join};
pub(crate) use text::escaped;
