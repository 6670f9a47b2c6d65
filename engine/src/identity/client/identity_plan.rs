//! What the configuration asks of every client certificate: values to render, and lists to check.
//!
//! Made once per generation, while the configuration is compiled; only what is noted here is rendered
//! and held for each client.

use ferrule_config::model::XfccKey;

use super::access_lists::{Access, AccessLists};
use super::all_values::MultiValued;
use super::client_value::ClientValue;
use super::forwarded::XFCC_DEFAULT;
use super::leaf_view::LeafView;
use crate::identity::verify::verdict::Verdict;
use crate::identity::x509::alt_names::AltKind;
use crate::identity::x509::name::Selector;

/// Which values the configuration uses; only those are rendered and held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityPlan {
    bits: u32,
    pub(crate) attributes: Vec<PlannedAttribute>,
    /// What conditions compare every value of, in the order of [`Self::every`].
    pub(crate) compared: Vec<MultiValued>,
    lists: Vec<AccessLists>,
    xfcc: Vec<XfccKey>,
    own_uris: Vec<Vec<Box<[u8]>>>,
}

/// A subject attribute that the configuration uses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedAttribute {
    /// As the configuration writes it.
    name: String,
    /// How it is found in a name.
    pub(crate) selector: Selector,
}

impl IdentityPlan {
    /// Adds a value; an attribute is added by [`IdentityPlan::attribute`].
    pub fn add(&mut self, value: ClientValue) {
        if !matches!(value, ClientValue::Attribute(_)) {
            self.bits |= 1 << value.position();
        }
    }

    /// Adds the subject attribute with this OpenSSL short name in lower case, or with these dotted
    /// numbers, and says how to ask for it. `None` if there is no such attribute.
    pub fn attribute(&mut self, name: &str) -> Option<ClientValue> {
        let selector = Selector::new(name)?;
        let known = self.attributes.iter().position(|known| known.name == name);
        let index = known.unwrap_or_else(|| {
            self.attributes.push(PlannedAttribute { name: name.to_owned(), selector });
            self.attributes.len() - 1
        });
        u16::try_from(index).ok().map(ClientValue::Attribute)
    }

    /// Notes that conditions are about every one of these values, and says how to ask for them. `None`
    /// if a certificate has one at most.
    pub fn every(&mut self, value: ClientValue) -> Option<usize> {
        let several = match value {
            ClientValue::Attribute(at) => {
                MultiValued::Attribute(self.attributes.get(usize::from(at))?.selector.clone())
            }
            ClientValue::San => MultiValued::Names(None),
            ClientValue::SanDns => MultiValued::Names(Some(AltKind::Dns)),
            ClientValue::SanEmail => MultiValued::Names(Some(AltKind::Email)),
            ClientValue::SanIp => MultiValued::Names(Some(AltKind::Ip)),
            ClientValue::SanUri => MultiValued::Names(Some(AltKind::Uri)),
            ClientValue::SpiffeId => MultiValued::SpiffeIds,
            _ => return None,
        };
        let known = self.compared.iter().position(|known| *known == several);
        Some(known.unwrap_or_else(|| {
            self.compared.push(several);
            self.compared.len() - 1
        }))
    }

    /// Adds lists that every client is held against, and says how to ask for the answer.
    pub fn list(&mut self, lists: AccessLists) -> usize {
        self.lists.iter().position(|known| *known == lists).unwrap_or_else(|| {
            self.lists.push(lists);
            self.lists.len() - 1
        })
    }

    /// Has it the same lists in the same places? Then answers of one are answers of the other.
    #[must_use]
    pub fn has_lists_of(&self, other: &Self) -> bool {
        self.lists == other.lists
    }

    /// What all lists say of a certificate.
    pub(crate) fn access(&self, leaf: Option<&LeafView<'_>>, verdict: Verdict) -> Box<[Access]> {
        AccessLists::check_all(&self.lists, leaf, verdict)
    }

    /// What elements of `X-Forwarded-Client-Cert` say, in Envoy's order; Envoy's usual without.
    pub fn set_xfcc(&mut self, keys: Vec<XfccKey>) {
        self.xfcc = keys;
    }

    /// The keys of an element of `X-Forwarded-Client-Cert`.
    pub(crate) fn xfcc(&self) -> &[XfccKey] {
        if self.xfcc.is_empty() { &XFCC_DEFAULT } else { &self.xfcc }
    }

    /// The URIs of our own certificates, by server object.
    pub fn set_own_uris(&mut self, own_uris: Vec<Vec<Box<[u8]>>>) {
        self.own_uris = own_uris;
    }

    /// The URIs of what this server object presents.
    #[must_use]
    pub fn own_uris(&self, server: u32) -> &[Box<[u8]>] {
        self.own_uris.get(server as usize).map_or(&[], Vec::as_slice)
    }

    /// Is this value to be rendered?
    #[must_use]
    pub fn has(&self, value: ClientValue) -> bool {
        match value {
            ClientValue::Attribute(index) => usize::from(index) < self.attributes.len(),
            _ => self.bits & (1 << value.position()) != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_registered_once() {
        let mut wanted = IdentityPlan::default();
        assert_eq!(wanted.attribute("cn"), Some(ClientValue::Attribute(0)));
        assert_eq!(wanted.attribute("ou"), Some(ClientValue::Attribute(1)));
        assert_eq!(wanted.attribute("cn"), Some(ClientValue::Attribute(0)));
        assert_eq!(wanted.attribute("CN"), None);
        assert_eq!(wanted.attribute("nothing"), None);
        assert!(wanted.has(ClientValue::Attribute(1)) && !wanted.has(ClientValue::Attribute(2)));
    }
}
