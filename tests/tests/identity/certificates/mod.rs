//! Certificates that are signed by the right CA and say the wrong thing: by the kind, one by one,
//! and by the thousand beside other judges.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod bases;
mod conditions;
mod dear_names;
mod eku;
mod forge;
mod judges;
mod kinds;
mod lists;
mod mutate;
mod names;
mod policies;
mod presented;
mod resigned;
mod strict;
