//! Certificate policies along a path (RFC 5280, section 6.1), for whom any policy will do.
//!
//! In: a path, its anchor last. Out: nothing, or why it is refused, in OpenSSL's words. Where any
//! policy will do, of the tree of valid policies only its last row matters: a row is the set of
//! policies that the next certificate may name, and grows by no more than a certificate says. So there
//! is no tree to blow up (CVE-2023-0464), and the work is linear in the bytes of the path.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::identity::der::{self, Reader, tag};
use crate::identity::failure::VerifyFailure;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::extensions::PolicyValues;

type PolicySet<'a> = HashSet<&'a [u8], RandomState>;

const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

/// The policy extensions of one certificate.
struct PolicyExtensions<'a> {
    /// `certificatePolicies` but for `anyPolicy`, if present.
    policies: Option<PolicySet<'a>>,
    /// `anyPolicy` is among them.
    any: bool,
    mappings: HashMap<&'a [u8], Vec<&'a [u8]>, RandomState>,
    require_explicit: Option<u32>,
    inhibit_mapping: Option<u32>,
    inhibit_any: Option<u32>,
}

/// The state variables of RFC 5280, section 6.1.2: how many more certificates something is allowed for.
struct PolicyLimits {
    explicit_policy: u32,
    policy_mapping: u32,
    inhibit_any: u32,
}

/// The policies that are valid at one depth of the path: the last row of the tree.
struct ValidPolicies<'a> {
    /// Policies that the next certificate may name.
    expected: PolicySet<'a>,
    /// It may name any other as well.
    any: bool,
}

/// Walks the path down from its anchor, which is not part of it.
#[must_use]
pub fn violation(path: &[Certificate<'_>]) -> Option<VerifyFailure> {
    let (_, below) = path.split_last()?;
    walk(below).err()
}

fn walk(path: &[Certificate<'_>]) -> Result<(), VerifyFailure> {
    let beyond = u32::try_from(path.len()).unwrap_or(u32::MAX).saturating_add(1);
    let mut left =
        PolicyLimits { explicit_policy: beyond, policy_mapping: beyond, inhibit_any: beyond };
    let mut row = ValidPolicies { expected: PolicySet::default(), any: true };
    for (at, certificate) in path.iter().enumerate().rev() {
        let stated = PolicyExtensions::read(&certificate.extensions.policies)
            .ok_or(VerifyFailure::PolicyExtension)?;
        let passed_over = at > 0 && certificate.self_issued();
        row = row.below(&stated, left.inhibit_any > 0 || passed_over);
        if left.explicit_policy == 0 && row.is_empty() {
            return Err(VerifyFailure::NoExplicitPolicy);
        }
        if at == 0 {
            // The leaf counts itself, and its own demand is for now or for nobody.
            let demanded = stated.require_explicit == Some(0);
            if (left.explicit_policy <= 1 || demanded) && row.is_empty() {
                return Err(VerifyFailure::NoExplicitPolicy);
            }
            break;
        }
        row = row.mapped(&stated, left.policy_mapping > 0);
        if !certificate.self_issued() {
            left.explicit_policy = left.explicit_policy.saturating_sub(1);
            left.policy_mapping = left.policy_mapping.saturating_sub(1);
            left.inhibit_any = left.inhibit_any.saturating_sub(1);
        }
        left.explicit_policy =
            left.explicit_policy.min(stated.require_explicit.unwrap_or(u32::MAX));
        left.policy_mapping = left.policy_mapping.min(stated.inhibit_mapping.unwrap_or(u32::MAX));
        left.inhibit_any = left.inhibit_any.min(stated.inhibit_any.unwrap_or(u32::MAX));
    }
    Ok(())
}

impl<'a> ValidPolicies<'a> {
    fn is_empty(&self) -> bool {
        self.expected.is_empty() && !self.any
    }

    /// The policies of the next certificate that are valid (6.1.3, d and e).
    fn below(self, stated: &PolicyExtensions<'a>, any_counts: bool) -> Self {
        let Some(policies) = &stated.policies else {
            return Self { expected: PolicySet::default(), any: false };
        };
        let any = stated.any && any_counts;
        let named = policies.iter().filter(|policy| self.any || self.expected.contains(*policy));
        let mut expected: PolicySet<'a> = named.copied().collect();
        if any {
            expected.extend(&self.expected);
        }
        Self { expected, any: any && self.any }
    }

    /// What its issuer's policies are called below it (6.1.4, b).
    fn mapped(mut self, stated: &PolicyExtensions<'a>, allowed: bool) -> Self {
        if !allowed {
            self.expected.retain(|policy| !stated.mappings.contains_key(policy));
            return self;
        }
        let mut expected: PolicySet<'a> = self
            .expected
            .iter()
            .filter(|one| !stated.mappings.contains_key(*one))
            .copied()
            .collect();
        for (from, to) in &stated.mappings {
            if self.any || self.expected.contains(from) {
                expected.extend(to);
            }
        }
        Self { expected, any: self.any }
    }
}

impl<'a> PolicyExtensions<'a> {
    /// `None` if an extension is broken, or says what RFC 5280 forbids.
    fn read(values: &PolicyValues<'a>) -> Option<Self> {
        let mut stated = Self {
            policies: None,
            any: false,
            mappings: HashMap::default(),
            require_explicit: None,
            inhibit_mapping: None,
            inhibit_any: None,
        };
        if let Some(value) = values.policies {
            let mut policies = policies(value)?;
            stated.any = policies.remove(ANY);
            stated.policies = Some(policies);
        }
        if let Some(value) = values.mappings {
            let mut list = not_empty(value)?;
            while !list.is_empty() {
                let mut pair = list.enter(tag::SEQUENCE)?;
                let from = pair.oid()?;
                let to = pair.oid()?;
                if !pair.is_empty() || from == ANY || to == ANY {
                    return None;
                }
                stated.mappings.entry(from).or_default().push(to);
            }
        }
        if let Some(value) = values.constraints {
            let mut body = not_empty(value)?;
            let mut certificates = |tag| match body.optional(tag)? {
                Some(number) => der::count(number.content).map(Some),
                None => Some(None),
            };
            stated.require_explicit = certificates(0x80)?;
            stated.inhibit_mapping = certificates(0x81)?;
            if !body.is_empty() {
                return None;
            }
        }
        if let Some(value) = values.inhibit_any {
            stated.inhibit_any = Some(der::count(der::only(value, tag::INTEGER)?.content)?);
        }
        Some(stated)
    }
}

/// `certificatePolicies`: no policy is there twice. Qualifiers are for people.
fn policies(value: &[u8]) -> Option<PolicySet<'_>> {
    let mut list = not_empty(value)?;
    let mut found = PolicySet::default();
    while !list.is_empty() {
        let mut information = list.enter(tag::SEQUENCE)?;
        let policy = information.oid()?;
        if let Some(qualifiers) = information.optional(tag::SEQUENCE)? {
            let mut qualifiers = Reader::new(qualifiers.content);
            while !qualifiers.is_empty() {
                let mut qualifier = qualifiers.enter(tag::SEQUENCE)?;
                qualifier.oid()?;
                qualifier.any()?;
                if !qualifier.is_empty() {
                    return None;
                }
            }
        }
        if !information.is_empty() || !found.insert(policy) {
            return None;
        }
    }
    Some(found)
}

/// The parts of a sequence that has some.
fn not_empty(value: &[u8]) -> Option<Reader<'_>> {
    let body = Reader::new(der::only(value, tag::SEQUENCE)?.content);
    (!body.is_empty()).then_some(body)
}
