//! The built-in formats of the access log, made of the same pieces as a configured one.

use ferrule_config::model::AccessFormat;

use super::template::{Compiler, Escape, LineTemplate, Template};

/// Compiles a format.
pub(super) fn compile(format: &AccessFormat, compiler: &mut Compiler) -> LineTemplate {
    match format {
        AccessFormat::Text(template) => {
            LineTemplate { template: compiler.compile(template), escape: Escape::Log }
        }
        AccessFormat::Combined | AccessFormat::Json => {
            LineTemplate { template: Template::default(), escape: Escape::Json }
        }
    }
}
