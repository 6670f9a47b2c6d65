//! `cors`, compiled: which origins may read, and what they are told.
//!
//! In: the `Origin` of a request. Out: fields of its answer. The Fetch standard calls the question before a request a
//! preflight; it is answered here, and no upstream sees it.

use ferrule_config::model::{Cors, CorsOrigins};

use crate::wire::fields::{eq_ignore_case, is_value};
use crate::wire::head::Method;
use crate::wire::view::{FieldView, RequestView};

/// What says which pages of other origins may read an answer. Where a route has `cors`, an upstream says none of it:
/// together with ours, it might let somebody read who may not.
const OURS: [&[u8]; 6] = [
    b"Access-Control-Allow-Credentials",
    b"Access-Control-Allow-Headers",
    b"Access-Control-Allow-Methods",
    b"Access-Control-Allow-Origin",
    b"Access-Control-Expose-Headers",
    b"Access-Control-Max-Age",
];

/// A route's `cors`.
#[derive(Debug)]
pub struct CorsPlan {
    origins: CorsOrigins,
    timing: Option<CorsOrigins>,
    /// The fields that are the same for every origin that may read.
    fields: Box<[CorsValue]>,
    echoes_headers: bool,
    answers_options: bool,
}

/// A field, and what it holds.
#[derive(Debug)]
struct CorsValue {
    name: &'static [u8],
    value: Box<[u8]>,
}

/// A change of an answer's field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CorsField<'a> {
    /// Put in the place of all of its name.
    Set(&'static [u8], &'a [u8]),
    /// Put beside those of its name.
    Add(&'static [u8], &'a [u8]),
    /// None of its name stays.
    Remove(&'static [u8]),
}

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct CorsRequest<'a> {
    /// `Origin`, where there is one.
    pub origin: Option<&'a [u8]>,
    headers: Option<&'a [u8]>,
    /// It asks whether another request may be sent.
    pub is_preflight: bool,
}

impl<'a> CorsRequest<'a> {
    /// Reads it.
    #[must_use]
    pub fn of(request: RequestView<'a>) -> Self {
        let one = |name: &[u8]| {
            let mut all =
                request.fields().iter().filter(|field| eq_ignore_case(field.name(), name));
            // Of several origins none is the one.
            let value = all.next().map(FieldView::value).filter(|value| !value.is_empty());
            value.filter(|value| all.next().is_none() && is_value(value))
        };
        let origin = one(b"Origin");
        let is_preflight = request.method() == Method::Options
            && origin.is_some()
            && one(b"Access-Control-Request-Method").is_some();
        Self { origin, headers: one(b"Access-Control-Request-Headers"), is_preflight }
    }
}

impl CorsPlan {
    pub(super) fn build(cors: &Cors) -> Self {
        let mut fields = Vec::new();
        let mut put = |name: &'static [u8], value: &str| {
            fields.push(CorsValue { name, value: value.as_bytes().into() });
        };
        put(b"Access-Control-Allow-Methods", &cors.allow_methods);
        if let Some(headers) = &cors.allow_headers {
            put(b"Access-Control-Allow-Headers", headers);
        }
        if let Some(exposed) = &cors.expose_headers {
            put(b"Access-Control-Expose-Headers", exposed);
        }
        put(b"Access-Control-Max-Age", &cors.max_age.to_string());
        if cors.allow_credential {
            put(b"Access-Control-Allow-Credentials", "true");
        }
        Self {
            origins: cors.allow_origins.clone(),
            timing: cors.timing_allow_origins.clone(),
            fields: fields.into(),
            echoes_headers: cors.allow_headers.is_none(),
            answers_options: cors.answer_options,
        }
    }

    /// Does the request end here? `is_options`: by its method it is OPTIONS.
    #[must_use]
    pub const fn answers(&self, request: &CorsRequest<'_>, is_options: bool) -> bool {
        request.is_preflight || (is_options && self.answers_options)
    }

    /// Hands out the fields of an answer, in their order.
    pub fn each_field(&self, request: &CorsRequest<'_>, put: &mut dyn FnMut(CorsField<'_>)) {
        for name in OURS {
            put(CorsField::Remove(name));
        }
        if self.origins != CorsOrigins::Any {
            // A cache must not give the answer for one origin to another.
            put(CorsField::Add(b"Vary", b"Origin"));
        }
        if let Some(origin) = allowed(&self.origins, request.origin) {
            put(CorsField::Set(b"Access-Control-Allow-Origin", origin));
            for CorsValue { name, value } in &self.fields {
                put(CorsField::Set(name, value));
            }
            if let Some(headers) = request.headers.filter(|_| self.echoes_headers) {
                put(CorsField::Set(b"Access-Control-Allow-Headers", headers));
            }
        }
        let timing = self.timing.as_ref();
        if let Some(origin) = timing.and_then(|origins| allowed(origins, request.origin)) {
            put(CorsField::Set(b"Timing-Allow-Origin", origin));
        }
    }
}

/// What is said of this origin; `None` if it may not read.
fn allowed<'a>(origins: &CorsOrigins, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match origins {
        CorsOrigins::Any => Some(b"*"),
        CorsOrigins::Each => Some(origin.unwrap_or(b"*")),
        CorsOrigins::Listed(list) => {
            origin.filter(|one| list.iter().any(|known| known.as_bytes() == *one))
        }
        CorsOrigins::Matching(all) => {
            origin.filter(|one| all.iter().any(|known| known.is_match(one)))
        }
    }
}
