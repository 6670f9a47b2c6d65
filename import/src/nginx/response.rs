//! `add_header` and `proxy_hide_header` as `response`.

use toml::Value as Toml;

use crate::fields::plain;

use super::job::{Job, Refused};
use super::scope::Scope;
use super::tree::Directive;
use super::variables::Fixed;

/// The statuses of `add_header` without `always`.
const STATUSES: [i64; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];

/// Tables of `response`.
pub(super) fn of(
    job: &Job<'_>,
    scope: &Scope<'_>,
    fixed: Fixed<'_>,
) -> Result<Vec<toml::Table>, Refused> {
    let mut tables = Vec::new();
    let hidden = scope.all("proxy_hide_header");
    if !hidden.is_empty() {
        let list = hidden.iter().map(|line| plain(line.arg(0))).collect();
        tables.push(changes("remove", Toml::Array(list)));
    }
    let passed = scope.all("proxy_pass_header");
    let global = job.http.all("proxy_pass_header");
    let is_global = |line: &&Directive| global.iter().any(|own| std::ptr::eq(*own, *line));
    if let Some(line) = passed.iter().copied().find(|line| !is_global(line)) {
        job.refuse(line, "there is one list of fields that are not passed on: put it into `http`");
        return Err(Refused);
    }
    let lines = scope.all("add_header");
    for always in [true, false] {
        let mut added = toml::Table::new();
        for line in lines.iter().filter(|line| (line.arg(2) == "always") == always) {
            let name = job.field_name(line)?;
            let value = job.template(line, line.arg(1), fixed).ok_or(Refused)?;
            // An empty value sends nothing.
            if value.is_empty() {
                continue;
            }
            let value = Toml::from(value);
            match added.get_mut(name) {
                Some(Toml::Array(list)) => list.push(value),
                Some(first) => *first = Toml::Array(vec![first.clone(), value]),
                None => {
                    added.insert(name.to_owned(), value);
                }
            }
        }
        if added.is_empty() {
            continue;
        }
        let mut table = changes("add", Toml::Table(added));
        if !always {
            let statuses = STATUSES.map(Toml::from).to_vec();
            let condition = super::conditions::leaf("status", false, "in", Toml::Array(statuses));
            table.insert("vars".to_owned(), Toml::Array(vec![condition]));
        }
        tables.push(table);
    }
    let outer = scope.outside("add_header");
    let is_own = lines.iter().any(|line| scope.own().iter().any(|own| std::ptr::eq(own, *line)));
    if let Some(first) = lines.first().filter(|_| is_own) {
        let lost = outer
            .iter()
            .filter(|line| !lines.iter().any(|own| own.arg(0).eq_ignore_ascii_case(line.arg(0))));
        let lost: Vec<&str> = lost.map(|line| line.arg(0)).collect();
        if !lost.is_empty() {
            job.let_through(
                first,
                format!("this `add_header` replaces those of the blocks around it, so {} was not sent here, and is not", lost.join(", ")),
            );
        }
    }
    Ok(tables)
}

fn changes(key: &str, value: Toml) -> toml::Table {
    let headers = [(key.to_owned(), value)].into_iter().collect();
    [("headers".to_owned(), Toml::Table(headers))].into_iter().collect()
}
