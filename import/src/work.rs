//! What one import gathers on its way, and what the command line said about it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use crate::fields::Item;
use crate::report::Log;

/// What the source says for all its objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Authorities that upstreams are verified against where they name none: `apisix.ssl.ssl_trusted_certificate`.
    pub(crate) trusted_certificate: Option<String>,
    /// The plugins that are loaded, if they are listed: others have no effect there.
    pub(crate) loaded_plugins: Option<BTreeSet<String>>,
    /// Headers with an underscore in their name are dropped, which APISIX does not do by itself.
    pub(crate) drops_underscores: bool,
    /// There is a listener without TLS.
    pub(crate) serves_plain: bool,
    /// A slash at the end of a request's path is overlooked.
    pub(crate) tail_slash: bool,
    /// The port that redirects to https lead to.
    pub(crate) https_port: Option<u16>,
}

/// What all converters share.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) log: Log,
    /// Files beside the configuration: PEM and bodies, by name.
    files: RefCell<BTreeMap<String, String>>,
    pub(crate) skipped_plugins: BTreeSet<String>,
    /// Plugins that keep people out may be skipped.
    pub(crate) knows: bool,
    /// Objects that APISIX overlooks are left out, and what leads to none is answered as it answers it.
    pub(crate) drop_invalid: bool,
    pub(crate) settings: Settings,
    /// What `real-ip` says.
    pub(crate) real_ip: RefCell<Option<toml::Table>>,
    /// What `request-id` says.
    pub(crate) request_id: RefCell<Option<toml::Table>>,
    /// What `client-control` of a global rule says.
    pub(crate) max_body_size: Cell<Option<i64>>,
    /// Where limits are counted with other gateways, without their ids.
    pub(crate) stores: RefCell<Vec<toml::Table>>,
    /// `prometheus` is used.
    pub(crate) metrics: RefCell<bool>,
}

impl Work {
    /// The same settings with a log and files of its own: to judge an object without a trace.
    pub(crate) fn scratch(&self) -> Self {
        Self {
            skipped_plugins: self.skipped_plugins.clone(),
            knows: self.knows,
            drop_invalid: self.drop_invalid,
            settings: self.settings.clone(),
            ..Self::default()
        }
    }

    /// Lays a file beside the configuration; returns the name to write for it. What was laid already is named again.
    pub(crate) fn keep(&self, wanted: &str, suffix: &str, text: &str) -> String {
        let mut files = self.files.borrow_mut();
        let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        let stem: String = wanted
            .chars()
            .map(|mark| if mark.is_ascii_alphanumeric() || mark == '-' { mark } else { '_' })
            .collect();
        for number in 0_usize.. {
            let name = match number {
                0 => format!("{stem}.{suffix}"),
                number => format!("{stem}-{number}.{suffix}"),
            };
            match files.get(&name) {
                Some(there) if *there != text => {}
                Some(_) => return name,
                None => {
                    files.insert(name.clone(), text);
                    return name;
                }
            }
        }
        String::new()
    }

    /// The id of the store that this is; equal ones are one.
    pub(crate) fn store(&self, table: toml::Table) -> String {
        let mut stores = self.stores.borrow_mut();
        let known = stores.iter().position(|known| *known == table);
        let index = known.unwrap_or_else(|| {
            stores.push(table);
            stores.len() - 1
        });
        format!("redis-{}", index + 1)
    }

    pub(crate) fn into_files(self) -> (Log, BTreeMap<String, String>) {
        (self.log, self.files.into_inner())
    }
}

/// What PEM text is for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Pem {
    Certificate,
    Key,
}

impl Item<'_> {
    /// A PEM text, laid out as a file, or a variable of the environment that holds it. Nothing of the text is ever shown.
    pub(crate) fn pem(&self, what: Pem, name: &str) -> Option<String> {
        let text = self.text()?;
        let scheme =
            text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme {
            Some((scheme, variable)) if scheme == "$env" => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if variable.is_empty() || !variable.bytes().all(is_name) {
                    self.refuse(
                        "only a whole variable of the environment can be read: `$env://NAME`",
                    );
                    return None;
                }
                return Some(format!("${{env:{variable}}}"));
            }
            Some((scheme, _)) if scheme == "$secret" => {
                self.refuse(
                    "there is no secret manager here: let it write a file, and name the file",
                );
                return None;
            }
            _ => {}
        }
        if !text.trim_start().starts_with("-----BEGIN") {
            self.refuse(match what {
                Pem::Certificate => "this is no PEM text",
                Pem::Key => {
                    "this is no PEM text: keys that APISIX has encrypted (`data_encryption`) must be \
                     decrypted first"
                }
            });
            return None;
        }
        let suffix = if what == Pem::Key { "key" } else { "pem" };
        Some(self.work.keep(name, suffix, text))
    }
}
