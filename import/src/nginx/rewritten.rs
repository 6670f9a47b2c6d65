//! What a `rewrite` changes: nginx shows the new path and query behind it, and here variables hold those that came.

use toml::Value as Toml;

use super::constants::expanded;
use super::job::{Job, Refused};
use super::scope::Scope;
use super::tree::Directive;
use super::variables::{Constant, is_changed, is_rewritten};

impl Job<'_> {
    /// Refuses a question that is asked behind a `rewrite` about what that changes.
    pub(super) fn asks_what_came(
        &self,
        directive: &Directive,
        variable: &str,
    ) -> Result<(), Refused> {
        let by_map = self.map_of(variable).is_some_and(|map| is_rewritten(map.arg(0)));
        if is_changed(variable) || by_map {
            self.refuse(
                directive,
                "an `if` behind a `rewrite` on the path or query is not converted: nginx asks the new ones, and those \
                 that came are asked here; put it in front of the `rewrite`",
            );
            return Err(Refused);
        }
        Ok(())
    }

    /// Refuses an answer behind a `rewrite` that holds what that changes.
    pub(super) fn answers_what_came(&self, directive: &Directive) -> Result<(), Refused> {
        if directive.name == "rewrite" || directive.texts().any(is_rewritten) {
            self.refuse(
                directive,
                "an answer behind a `rewrite` with the path or query in it is not converted: nginx takes the new ones",
            );
            return Err(Refused);
        }
        Ok(())
    }

    /// Refuses fields and limits of a route that rewrites, if they hold what that changes. What `set` makes was read in
    /// front of the rewrite.
    pub(super) fn fields_stay(
        &self,
        scope: &Scope<'_>,
        constants: &[Constant],
        rewrites: &[Toml],
    ) -> Result<(), Refused> {
        if rewrites.is_empty() {
            return Ok(());
        }
        let fields = ["proxy_set_header", "add_header"].into_iter();
        let fields = fields.flat_map(|name| scope.all(name)).filter(|line| {
            let kept: Vec<Constant> = constants
                .iter()
                .map(|one| Constant { name: one.name.clone(), text: String::new() })
                .collect();
            is_rewritten(&expanded(line.arg(1), &kept))
        });
        let limits = ["limit_req", "limit_conn"].into_iter();
        let limits = limits.flat_map(|name| scope.all(name));
        let limits =
            limits.filter(|line| self.zone(line).is_some_and(|zone| is_rewritten(zone.arg(0))));
        let all: Vec<&Directive> = fields.chain(limits).collect();
        for line in &all {
            self.refuse(
                line,
                "the path or query of a request in it, behind a `rewrite`, is not converted: nginx takes the new ones, \
                 and those that came are taken here; `$request_uri` is what came for both",
            );
        }
        if all.is_empty() { Ok(()) } else { Err(Refused) }
    }
}
