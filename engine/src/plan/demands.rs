//! What a route refuses a request for besides its client's certificate, compiled.
//!
//! In: `client` tables with addresses or claims of tokens, and `refuse`. Out: whether a request passes, asked by
//! [`exchange::demands`](crate::exchange::demands). In doubt it does not.

use core::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use ferrule_config::model::{self, AddressList, BreakResponse, ClientRule, RefuseRule, Satisfy};

use super::address_set::AddressSet;
use super::client;
use super::client_lists::compile;
use super::condition::{Condition, Truth};
use super::facts::Facts;
use super::forbidden::{Forbidden, OwnWords};
use super::ids::index;
use super::template::Compiler;
use crate::identity::{Access, ClientIdentity, Verdict};
use crate::wire::view::FieldsView;

/// What one route refuses requests for.
#[derive(Debug, Default)]
pub struct RouteDemands {
    tables: Box<[TableDemand]>,
    refuse: Box<[RefuseDemand]>,
}

/// What a `client` table asks besides lists of certificates, or instead of them.
#[derive(Debug)]
struct TableDemand {
    addresses: Option<AddressRule>,
    /// The field that names the client's certificate.
    cnf_header: Option<Box<[u8]>>,
    /// A certificate does as well as an address (`satisfy = "any"`): its list, if there is one.
    instead: Option<CertificateDemand>,
}

#[derive(Debug)]
struct CertificateDemand {
    list: Option<usize>,
}

#[derive(Debug)]
struct AddressRule {
    set: AddressSet,
    /// Are those in it served, or all others?
    allow: bool,
    words: OwnWords,
}

#[derive(Debug)]
struct RefuseDemand {
    when: Condition,
    /// It asks for what is known over TLS alone.
    needs_tls: bool,
    words: OwnWords,
}

/// Every answer that the file gives for refusals, once.
#[derive(Debug, Default)]
pub(super) struct AnswerTable {
    all: Vec<BreakResponse>,
}

impl AnswerTable {
    fn words(&mut self, answer: &BreakResponse) -> OwnWords {
        let known = self.all.iter().position(|known| known == answer);
        let at = known.unwrap_or_else(|| {
            self.all.push(answer.clone());
            self.all.len() - 1
        });
        OwnWords { status: answer.status, answer: index(at) }
    }

    pub(super) fn finish(self) -> Box<[BreakResponse]> {
        self.all.into()
    }
}

impl RouteDemands {
    /// `None` for a route that asks for nothing of the kind.
    pub(super) fn build(
        clients: &[ClientRule],
        refuse: &[RefuseRule],
        compiler: &mut Compiler,
        answers: &mut AnswerTable,
    ) -> Option<Box<Self>> {
        let tables = clients.iter().filter_map(|rule| TableDemand::build(rule, compiler, answers));
        let tables: Box<[TableDemand]> = tables.collect();
        let refuse = refuse.iter().map(|rule| RefuseDemand {
            when: Condition::build(&rule.when, compiler),
            needs_tls: reads_session(&rule.when),
            words: answers.words(&rule.answer),
        });
        let refuse: Box<[RefuseDemand]> = refuse.collect();
        let none = tables.is_empty() && refuse.is_empty();
        (!none).then(|| Box::new(Self { tables, refuse }))
    }

    /// What the tables say of a request with these facts.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_client(&self, facts: &Facts<'_>) -> Result<(), Forbidden> {
        self.tables.iter().try_for_each(|table| table.check(facts))
    }

    /// Is it refused for a condition, with this path? `value` is scratch space.
    ///
    /// # Errors
    /// By what it is refused.
    pub fn check_conditions(
        &self,
        facts: &Facts<'_>,
        value: &mut Vec<u8>,
    ) -> Result<(), Forbidden> {
        for rule in &self.refuse {
            let unknown = rule.needs_tls && facts.session.is_none();
            if unknown || rule.when.may_hold(facts, value) != Truth::No {
                return Err(Forbidden::Condition(rule.words));
            }
        }
        Ok(())
    }
}

impl TableDemand {
    fn build(
        rule: &ClientRule,
        compiler: &mut Compiler,
        answers: &mut AnswerTable,
    ) -> Option<Self> {
        let addresses = rule.addresses.as_ref().map(|demand| {
            let (allow, networks) = match &demand.list {
                AddressList::Allow(networks) => (true, networks),
                AddressList::Deny(networks) => (false, networks),
            };
            let set = AddressSet::of(networks);
            AddressRule { set, allow, words: answers.words(&demand.answer) }
        });
        let cnf_header = rule.cnf_header.as_ref().map(|name| name.as_bytes().into());
        if addresses.is_none() && cnf_header.is_none() {
            return None;
        }
        let instead = (rule.satisfy == Satisfy::Any).then(|| CertificateDemand {
            list: (!rule.lists.is_empty()).then(|| compiler.wanted().list(compile(&rule.lists))),
        });
        Some(Self { addresses, cnf_header, instead })
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), Forbidden> {
        let addresses = self.addresses.as_ref().map_or(Ok(()), |rule| rule.check(facts));
        let Some(instead) = &self.instead else {
            addresses?;
            return self.check_token(facts);
        };
        if addresses.is_ok() {
            return Ok(());
        }
        instead.check(facts.client)?;
        self.check_token(facts)
    }

    fn check_token(&self, facts: &Facts<'_>) -> Result<(), Forbidden> {
        let Some(name) = &self.cnf_header else { return Ok(()) };
        let fields = facts.request.map(|request| request.head.fields());
        let bound =
            fields.zip(facts.client).is_some_and(|(fields, client)| is_bound(name, fields, client));
        if bound { Ok(()) } else { Err(Forbidden::TokenNotBound) }
    }
}

/// Does one field of this name, and no other, hold the digest of the client's certificate? A digest has one spelling.
fn is_bound(name: &[u8], fields: FieldsView<'_>, client: &ClientIdentity) -> bool {
    let mut lines = fields.all_named(name);
    let (Some(field), None) = (lines.next(), lines.next()) else { return false };
    let mut digest = [0; 43];
    BASE64URL_NOPAD.encode_mut(&client.leaf_sha256, &mut digest);
    client.verdict == Verdict::Success && field.value() == digest
}

impl CertificateDemand {
    fn check(&self, client: Option<&ClientIdentity>) -> Result<(), Forbidden> {
        let Some(client) = client else { return Err(Forbidden::CertificateRequired) };
        match client.verdict {
            Verdict::None => Err(Forbidden::CertificateRequired),
            Verdict::Failed(failure) => Err(Forbidden::NotVerified(failure)),
            Verdict::Success => {
                Forbidden::check(self.list.map_or(Access::Allowed, |list| client.access(list)))
            }
        }
    }
}

impl AddressRule {
    fn check(&self, facts: &Facts<'_>) -> Result<(), Forbidden> {
        let address = facts.connection.remote_addr.parse::<IpAddr>().ok();
        let served = address.is_some_and(|address| self.set.contains(address) == self.allow);
        if served { Ok(()) } else { Err(Forbidden::Address(self.words)) }
    }
}

/// Does a condition ask for what is known over TLS alone?
fn reads_session(condition: &model::Condition) -> bool {
    match condition {
        model::Condition::All(list) | model::Condition::Any(list) => list.iter().any(reads_session),
        model::Condition::Not(inner) => reads_session(inner),
        model::Condition::Test(variable, _) => client::is_of_session(variable),
    }
}
