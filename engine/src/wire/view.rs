//! A head together with the buffer that its spans index.
//!
//! In: a head that `head` has parsed, and the bytes it was parsed from. Out: its parts as bytes.
//! A [`Span`] alone means nothing; whoever passes a view on cannot pair it with another buffer.
//! Views are `Copy` and cost two pointers and a length.

use super::fields::{Field, Fields, Known, eq_ignore_case, list_items};
use super::head::{Method, RequestHead, ResponseHead, Version};
use super::span::Span;

/// A parsed head of kind `H`, and its buffer.
#[derive(Debug)]
pub struct HeadView<'a, H> {
    buf: &'a [u8],
    head: &'a H,
}

/// A request head and its buffer.
pub type RequestView<'a> = HeadView<'a, RequestHead>;

/// A response head and its buffer.
pub type ResponseView<'a> = HeadView<'a, ResponseHead>;

impl RequestHead {
    /// The head with the buffer that it was parsed from.
    #[must_use]
    #[inline]
    pub const fn view<'a>(&'a self, buf: &'a [u8]) -> RequestView<'a> {
        HeadView { buf, head: self }
    }
}

impl ResponseHead {
    /// The head with the buffer that it was parsed from.
    #[must_use]
    #[inline]
    pub const fn view<'a>(&'a self, buf: &'a [u8]) -> ResponseView<'a> {
        HeadView { buf, head: self }
    }
}

// Not derived: that would demand it of `H`, of which there is only a reference.
impl<H> Clone for HeadView<'_, H> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for HeadView<'_, H> {}

impl<'a, H> HeadView<'a, H> {
    /// The whole buffer.
    #[inline]
    pub(super) const fn buf(self) -> &'a [u8] {
        self.buf
    }

    /// The bytes of a span of this head.
    #[must_use]
    #[inline]
    pub fn text(self, span: Span) -> &'a [u8] {
        span.of(self.buf)
    }
}

impl<'a> RequestView<'a> {
    /// What the method means to us.
    #[must_use]
    #[inline]
    pub const fn method(self) -> Method {
        self.head.method
    }

    /// The method as it came.
    #[must_use]
    #[inline]
    pub fn method_text(self) -> &'a [u8] {
        self.text(self.head.method_text)
    }

    /// The request target as it came.
    #[must_use]
    #[inline]
    pub fn target(self) -> &'a [u8] {
        self.text(self.head.target)
    }

    /// Where the request target lies in the buffer.
    #[must_use]
    #[inline]
    pub const fn target_span(self) -> Span {
        self.head.target
    }

    /// The version.
    #[must_use]
    #[inline]
    pub const fn version(self) -> Version {
        self.head.version
    }

    /// The fields.
    #[must_use]
    #[inline]
    pub const fn fields(self) -> FieldsView<'a> {
        FieldsView { buf: self.buf, fields: &self.head.fields }
    }
}

impl<'a> ResponseView<'a> {
    /// 100..=599
    #[must_use]
    #[inline]
    pub const fn status(self) -> u16 {
        self.head.status
    }

    /// The reason phrase as it came; may be empty.
    #[must_use]
    #[inline]
    pub fn reason(self) -> &'a [u8] {
        self.text(self.head.reason)
    }

    /// The version.
    #[must_use]
    #[inline]
    pub const fn version(self) -> Version {
        self.head.version
    }

    /// The fields.
    #[must_use]
    #[inline]
    pub const fn fields(self) -> FieldsView<'a> {
        FieldsView { buf: self.buf, fields: &self.head.fields }
    }
}

/// The fields of one head, and its buffer.
#[derive(Clone, Copy, Debug)]
pub struct FieldsView<'a> {
    buf: &'a [u8],
    fields: &'a Fields,
}

impl<'a> FieldsView<'a> {
    /// All fields, in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = FieldView<'a>> {
        let buf = self.buf;
        self.fields.as_slice().iter().map(move |field| FieldView { buf, field })
    }

    /// The field at this place.
    #[must_use]
    #[inline]
    pub fn get(self, at: u16) -> Option<FieldView<'a>> {
        let buf = self.buf;
        self.fields.as_slice().get(usize::from(at)).map(|field| FieldView { buf, field })
    }

    /// All fields with this meaning, in order.
    #[inline]
    pub fn all(self, known: Known) -> impl Iterator<Item = FieldView<'a>> {
        self.iter().filter(move |field| field.known() == known)
    }

    /// The first field with this meaning.
    #[must_use]
    #[inline]
    pub fn find(self, known: Known) -> Option<FieldView<'a>> {
        self.all(known).next()
    }

    /// Is there a field with this meaning?
    #[must_use]
    #[inline]
    pub fn contains(self, known: Known) -> bool {
        self.find(known).is_some()
    }

    /// All fields with this name in any case, in order.
    #[inline]
    pub fn all_named(self, name: &'a [u8]) -> impl Iterator<Item = FieldView<'a>> {
        self.iter().filter(move |field| eq_ignore_case(field.name(), name))
    }

    /// The first field with this name in any case.
    #[must_use]
    #[inline]
    pub fn named(self, name: &[u8]) -> Option<FieldView<'a>> {
        self.iter().find(|field| eq_ignore_case(field.name(), name))
    }

    /// The list elements of all fields with this meaning, in order.
    #[inline]
    pub fn items(self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        self.all(known).flat_map(|field| list_items(field.value()))
    }

    /// Is `item` (in any case) one of the list elements of the fields with this meaning?
    #[must_use]
    #[inline]
    pub fn has_item(self, known: Known, item: &[u8]) -> bool {
        self.items(known).any(|found| eq_ignore_case(found, item))
    }
}

/// One field line, and its buffer.
#[derive(Clone, Copy, Debug)]
pub struct FieldView<'a> {
    buf: &'a [u8],
    field: &'a Field,
}

impl<'a> FieldView<'a> {
    /// The name as it came.
    #[must_use]
    #[inline]
    pub fn name(self) -> &'a [u8] {
        self.field.name.of(self.buf)
    }

    /// The value without surrounding white space.
    #[must_use]
    #[inline]
    pub fn value(self) -> &'a [u8] {
        self.field.value.of(self.buf)
    }

    /// Where the value lies in the buffer.
    #[must_use]
    #[inline]
    pub const fn value_span(self) -> Span {
        self.field.value
    }

    /// What the name means to us.
    #[must_use]
    #[inline]
    pub const fn known(self) -> Known {
        self.field.known
    }
}
