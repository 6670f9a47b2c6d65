//! What a file declares: functions and their length, types, public items, and tuples that stand where a
//! struct with names should.

use std::fmt;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Fields, FnArg, ImplItemFn, Item, ItemFn, ItemImpl, Signature, TraitItemFn, Type, Visibility,
};

use super::source::Source;

/// Something that was found, and where.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Found {
    /// `engine/src/shell/relay.rs:95`.
    pub place: String,
    /// The name of the function, type or field.
    pub name: String,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.name)
    }
}

/// A function, and how long it is.
#[derive(Debug)]
pub(super) struct Function {
    pub found: Found,
    /// From its signature to its last brace.
    pub lines: usize,
}

/// What one file declares.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Functions, with their lines.
    pub functions: Vec<Function>,
    /// Parameters that are tuples, of functions whose signature is ours.
    pub tuple_parameters: Vec<Found>,
    /// Fields that hold tuples, and variants of three and more parts without names.
    pub tuple_fields: Vec<Found>,
    /// Structs, enumerations, traits and aliases.
    pub types: Vec<Found>,
    /// Items, methods and fields that are `pub` without a bound.
    pub public: usize,
}

/// What `source` declares.
#[must_use]
pub(super) fn items(source: &Source) -> Items {
    let mut visitor = ItemVisitor { source, items: Items::default(), foreign: false };
    visitor.visit_file(&source.syntax);
    visitor.items
}

struct ItemVisitor<'source> {
    source: &'source Source,
    items: Items,
    /// Inside the implementation of a trait: its signatures are the trait's.
    foreign: bool,
}

impl ItemVisitor<'_> {
    fn found(&self, what: &impl Spanned, name: &str) -> Found {
        let line = what.span().start().line;
        Found { place: format!("{}:{line}", self.source.path.display()), name: name.to_owned() }
    }

    fn function(&mut self, signature: &Signature, lines: Range<usize>) {
        let name = signature.ident.to_string();
        let found = self.found(&signature.ident, &name);
        self.items.functions.push(Function { found, lines: lines.len() });
        if self.foreign {
            return;
        }
        for input in &signature.inputs {
            if let FnArg::Typed(typed) = input
                && is_tuple(&typed.ty)
            {
                let found = self.found(typed, &name);
                self.items.tuple_parameters.push(found);
            }
        }
    }

    fn count(&mut self, visibility: &Visibility) {
        self.items.public += usize::from(matches!(visibility, Visibility::Public(_)));
    }

    fn fields(&mut self, fields: &Fields, owner: &str) {
        for field in fields {
            self.count(&field.vis);
            let mut tuples = Tuples(false);
            tuples.visit_type(&field.ty);
            if tuples.0 {
                let name = field.ident.as_ref().map_or_else(String::new, ToString::to_string);
                let found = self.found(field, &format!("{owner}.{name}"));
                self.items.tuple_fields.push(found);
            }
        }
    }

    fn declared(&mut self, item: &Item) {
        let (ident, visibility) = match item {
            Item::Struct(item) => {
                self.fields(&item.fields, &item.ident.to_string());
                (&item.ident, &item.vis)
            }
            Item::Enum(item) => {
                for variant in &item.variants {
                    let name = format!("{}::{}", item.ident, variant.ident);
                    self.fields(&variant.fields, &name);
                    if matches!(&variant.fields, Fields::Unnamed(all) if all.unnamed.len() > 2) {
                        let found = self.found(variant, &name);
                        self.items.tuple_fields.push(found);
                    }
                }
                (&item.ident, &item.vis)
            }
            Item::Trait(item) => (&item.ident, &item.vis),
            Item::Type(item) => (&item.ident, &item.vis),
            Item::Const(item) => return self.count(&item.vis),
            Item::Static(item) => return self.count(&item.vis),
            _ => return,
        };
        self.count(visibility);
        let found = self.found(ident, &ident.to_string());
        self.items.types.push(found);
    }
}

impl<'ast> Visit<'ast> for ItemVisitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.declared(item);
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.count(&item.vis);
        self.function(&item.sig, lines(item));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.count(&item.vis);
        self.function(&item.sig, lines(item));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.function(&item.sig, lines(item));
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let before = self.foreign;
        self.foreign = item.trait_.is_some();
        visit::visit_item_impl(self, item);
        self.foreign = before;
    }
}

/// From the signature to the last brace: attributes and docs do not count.
fn lines(item: &impl HasBody) -> Range<usize> {
    item.first_line()..item.span().end().line + 1
}

trait HasBody: Spanned {
    fn first_line(&self) -> usize;
}

impl HasBody for ItemFn {
    fn first_line(&self) -> usize {
        self.sig.span().start().line
    }
}

impl HasBody for ImplItemFn {
    fn first_line(&self) -> usize {
        self.sig.span().start().line
    }
}

impl HasBody for TraitItemFn {
    fn first_line(&self) -> usize {
        self.sig.span().start().line
    }
}

fn is_tuple(ty: &Type) -> bool {
    match ty {
        Type::Tuple(tuple) => tuple.elems.len() > 1,
        Type::Reference(reference) => is_tuple(&reference.elem),
        _ => false,
    }
}

/// Is there a tuple anywhere in a type? Those of a function's type are its parameters.
struct Tuples(bool);

impl<'ast> Visit<'ast> for Tuples {
    fn visit_type(&mut self, ty: &'ast Type) {
        self.0 |= matches!(ty, Type::Tuple(tuple) if tuple.elems.len() > 1);
        visit::visit_type(self, ty);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn of(text: &str) -> Items {
        items(&Source {
            path: PathBuf::from("a.rs"),
            krate: "engine".to_owned(),
            module: vec!["a".to_owned()],
            text: text.to_owned(),
            syntax: syn::parse_str(text).unwrap(),
        })
    }

    fn names(found: &[Found]) -> Vec<String> {
        found.iter().map(|found| format!("{} {}", found.place, found.name)).collect()
    }

    #[test]
    fn tuples_are_found_in_parameters_and_fields() {
        let found = of(
            "pub fn f(a: u8, (b, c): (u8, u8)) {}\nimpl A { fn g(&self, x: &mut (u8, u8)) {} }\n\
             impl B for A { fn h(_: (u8, u8)) {} }\nfn unit(_: ()) {}",
        );
        assert_eq!(names(&found.tuple_parameters), ["a.rs:1 f", "a.rs:2 g"]);
        assert_eq!(found.public, 1);
        let found =
            of("struct A { pub a: Option<(u8, u8)>, b: u8 }\nenum E { X(u8, u8, u8), Y(u8, u8) }");
        assert_eq!(names(&found.tuple_fields), ["a.rs:1 A.a", "a.rs:2 E::X"]);
        assert_eq!(names(&found.types), ["a.rs:1 A", "a.rs:2 E"]);
    }

    #[test]
    fn a_function_is_as_long_as_its_lines_from_its_signature_on() {
        let found = of("/// Docs.\n#[must_use]\nfn f() -> u8 {\n    1\n}\n");
        let lengths: Vec<_> =
            found.functions.iter().map(|it| (it.found.name.as_str(), it.lines)).collect();
        assert_eq!(lengths, [("f", 3)]);
    }
}
