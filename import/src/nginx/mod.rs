//! nginx: `nginx.conf` and the files that it includes.

mod certificates;
mod conditions;
mod constants;
mod expressions;
mod files;
mod guards;
mod job;
mod jumps;
mod known;
mod lexer;
mod listen;
mod location;
mod names;
mod process;
mod proxy;
mod response;
mod rewritten;
mod risks;
mod route;
mod scope;
mod script;
mod serving;
mod subjects;
mod tls;
mod tree;
mod units;
mod upstream;
mod variables;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Value as Toml;

use crate::output::Import;
use crate::proof::{Draft, finish};
use crate::report::Kind;
use crate::work::Work;

pub use self::files::{Disk, Files};
use self::job::{Job, Refused};
use self::known::{Context, Fate, fate, inside, is_list, is_table};
use self::listen::{Ports, ServerBlock};
use self::scope::Scope;
use self::tree::{Directive, TreeReader};

/// What is said on the command line.
#[derive(Clone, Debug, Default)]
pub struct NginxOptions {
    /// The name of the file, for the report.
    pub source: String,
    /// The file itself; relative paths in it count from its folder.
    pub path: PathBuf,
    /// What the paths of logs and pages count from: nginx's `-p`.
    pub prefix: Option<PathBuf>,
    /// Locations that serve files are left out, and answered with 404.
    pub skips_files: bool,
}

/// What stands in the first line of what is made.
const MAKER: &str = "ferrule import nginx";

/// What is different for every configuration that moves here.
const DIFFERENCES: [&str; 14] = [
    "Certificates and keys stay where they are: they are named by their absolute paths, so that whoever renews them renews them here, too.",
    "Headers that say who the client is are removed from every request, in every spelling, before they are set; so is whatever other gateways use.",
    "X-Forwarded-For, -Proto, -Host, -Port and X-Real-IP are always set, and Forwarded is removed (http.forwarded_headers).",
    "Upstreams are spoken to by HTTP/1.1, over connections that are kept (upstream.keepalive_pool), and always get a server name by TLS.",
    "Connecting to a node takes 5 s at most unless `proxy_connect_timeout` says otherwise; at most 2 further nodes are tried, within 15 s.",
    "A node that fails two requests in a row is set aside, in nginx one; the only node of an upstream never is.",
    "Paths with dot segments or broken escapes are refused with 400 and not resolved. %2F and the like are not decoded to find a route, and such a path must meet the demands of every route that it could be read as.",
    "Framing is strict: what RFC 9112 calls invalid is refused and never mended. Only HTTP/1.1 and 1.0 are spoken.",
    "Error answers are Ferrule's own, in JSON, HTML or text; `Location` of redirects is relative where it was given so.",
    "`add_header` does not reach answers to clients that are refused before a route is taken. `Location` of upstreams is not rewritten.",
    "Sessions are resumed only under the policy under which they were made. TLS 1.1 and suites without forward secrecy and AEAD do not exist.",
    "Every certificate in a file of authorities is trusted for what it issued, an intermediate one as well.",
    "A request whose Host belongs to another policy than its server name gets 421. A path that no location takes gets 404.",
    "Without `access_log` nothing is written; $http_x_forwarded_for is read only from http.trusted_addresses.",
];

/// Fields of upstreams that nginx keeps for itself.
const HIDDEN: [&str; 7] = [
    "Server",
    "X-Pad",
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
];

/// Converts a configuration. `bytes` are those of the file; what it includes is read through `files`.
#[must_use]
pub fn convert(bytes: &[u8], options: &NginxOptions, files: &dyn Files) -> Import {
    let work = Work::default();
    let mut draft = Draft::new(MAKER);
    let folder = options.path.parent().unwrap_or_else(|| Path::new("/"));
    let mut reader = TreeReader::new(files, folder);
    match reader.read(&options.path, bytes) {
        Ok(tree) => {
            for line in &reader.left_out {
                let why = "it cannot be read, and is left out: files of this name hold the types of files alone, and \
                           files are not served here";
                work.log.add_in(Kind::Changed, line.file.as_deref(), line.spot, &line.path, why);
            }
            let wrapped = whole(tree, &work);
            let context = part_of(&wrapped, &work).unwrap_or(Context::Main);
            walk(&wrapped, context, &work);
            if !work.log.refused() {
                // What is wrong is in the log.
                let _ = write_all(&wrapped, options, folder, files, &work, &mut draft);
            }
            if !work.log.refused() {
                draft.prove(&work, &|_| None);
            }
        }
        Err(found) => {
            let file = found.file.as_deref();
            work.log.add_in(Kind::Refused, file, found.error.spot, "file", found.error.message);
        }
    }
    finish(work, draft, &options.source, &DIFFERENCES)
}

/// A file that has no `http` is one that is included into it, as those of conf.d and sites-enabled are.
fn whole(tree: Vec<Directive>, work: &Work) -> Vec<Directive> {
    let is_part = |one: &Directive| matches!(one.name.as_str(), "server" | "upstream");
    if tree.iter().any(|one| one.name == "http") || !tree.iter().any(is_part) {
        return tree;
    }
    let spot = crate::document::Spot { line: 1, column: 1 };
    let path = String::from("http");
    work.log.add(
        Kind::Security,
        spot,
        &path,
        "this file has no `http`, so what the file that includes it says there is not seen: `deny`, `ssl_verify_client`, \
         `limit_req`, `set_real_ip_from` and the like keep people out for all servers; import that file instead",
    );
    vec![Directive {
        name: path.clone(),
        args: Vec::new(),
        block: Some(tree),
        spot,
        file: None,
        path,
    }]
}

/// Says that a file without a server is a part of one, which another file includes; where it stands there.
fn part_of(tree: &[Directive], work: &Work) -> Option<Context> {
    let is_allowed =
        |one: &Directive, context: Context| !matches!(fate(one, context), Fate::Refused(_));
    let is_part = |one: &&Directive, context: Context| {
        is_allowed(one, context) && !is_allowed(one, Context::Main)
    };
    let of_server = tree.iter().find(|one| is_part(one, Context::Server));
    let of_location = tree.iter().find(|one| is_part(one, Context::Location));
    let first = of_server.or(of_location)?;
    work.log.add_in(
        Kind::Refused,
        first.file.as_deref(),
        first.spot,
        &first.path,
        "this file is a part of a `server`, and whom that lets in is not seen here: import the file that includes it",
    );
    for location in tree.iter().filter(|one| one.name == "location") {
        let mut all = location.locations();
        all.push(location);
        let lines = all.into_iter().flat_map(Directive::inner);
        for line in lines.filter(|one| matches!(one.name.as_str(), "root" | "alias" | "try_files"))
        {
            let file = line.file.as_deref();
            work.log.add_in(Kind::Refused, file, line.spot, &line.path, serving::NO_FILES);
        }
    }
    let is_wide = tree
        .iter()
        .all(|one| !is_part(&one, Context::Location) || is_allowed(one, Context::Server));
    Some(if is_wide { Context::Server } else { Context::Location })
}

/// Says of each directive what becomes of it, if no converter takes it.
fn walk(block: &[Directive], context: Context, work: &Work) {
    let mut before: BTreeSet<&str> = BTreeSet::new();
    for directive in block {
        let say = |kind: Kind, message: String| {
            work.log.add_in(
                kind,
                directive.file.as_deref(),
                directive.spot,
                &directive.path,
                message,
            );
        };
        match fate(directive, context) {
            Fate::Taken => {
                if before.contains(directive.name.as_str()) && !is_list(&directive.name) {
                    say(Kind::Refused, String::from("it is there twice, and nginx does not start"));
                }
            }
            Fate::Dropped(why) => say(Kind::Dropped, why.to_owned()),
            Fate::Changed(why) => say(Kind::Changed, why.to_owned()),
            Fate::Refused(why) => say(Kind::Refused, format!("`{}`: {why}", directive.name)),
        }
        before.insert(&directive.name);
        let needs_block = inside(&directive.name).is_some() && context != Context::Upstream;
        if needs_block != directive.block.is_some() && !is_table(&directive.name) {
            let message = if needs_block { "a block is missing" } else { "no block belongs here" };
            say(Kind::Refused, message.to_owned());
        } else if directive.block.is_none()
            && directive.args.is_empty()
            && !takes_nothing(&directive.name)
        {
            say(Kind::Refused, String::from("a value is missing"));
        }
        if let Some(inner) = inside(&directive.name).filter(|_| !is_table(&directive.name)) {
            walk(directive.inner(), inner, work);
        }
    }
}

fn takes_nothing(name: &str) -> bool {
    matches!(name, "least_conn" | "ip_hash" | "random" | "internal")
}

fn write_all(
    tree: &[Directive],
    options: &NginxOptions,
    folder: &Path,
    files: &dyn Files,
    work: &Work,
    draft: &mut Draft,
) -> Result<(), Refused> {
    let http = tree.iter().find(|one| one.name == "http");
    let empty: &[Directive] = &[];
    let inner = http.map_or(empty, Directive::inner);
    let job = Job {
        work,
        files,
        folder,
        prefix: options.prefix.as_deref(),
        skips_files: options.skips_files,
        http: Scope::new(tree).within(inner),
        blocks: job::blocks(inner),
        upstreams: RefCell::default(),
        made: Cell::default(),
        doubts: RefCell::default(),
    };
    let mut servers = Vec::new();
    for directive in job.http.own().iter().filter(|one| one.name == "server") {
        servers.push(ServerBlock::read(&job, directive)?);
    }
    if servers.is_empty() {
        work.log.add(
            Kind::Refused,
            crate::document::Spot::default(),
            "file",
            "there is no `server` in it",
        );
        return Err(Refused);
    }
    let ports = Ports::of(&job, &servers)?;
    names::check(&job, &servers, &ports)?;
    job.maps_are_clear()?;
    let pages = process::pages(&job, &servers)?;
    let mut routes = Draft::new(MAKER);
    let mut found = Vec::new();
    let mut is_refused = false;
    for which in 0..servers.len() {
        if servers.get(which).is_some_and(|server| server.rejects) {
            continue;
        }
        match route::write(&job, &servers, which, &ports, &mut routes) {
            Ok(proxied) => found.extend(proxied),
            Err(Refused) => is_refused = true,
        }
    }
    if is_refused {
        return Err(Refused);
    }
    process::write(&job, &servers, pages, draft)?;
    listen::write(&job, &servers, &ports, draft);
    certificates::write(&job, &servers, &ports, draft)?;
    for made in job.upstreams.take().list {
        let mut table = toml::Table::new();
        table.insert("id".to_owned(), Toml::from(made.id));
        table.extend(made.table);
        draft.push("upstreams", table, made.source);
    }
    draft.append(routes);
    hidden(&job, draft);
    risks::of_servers(&job, &servers);
    risks::of_locations(&job, &found);
    Ok(())
}

/// Takes out of responses what nginx does not pass on.
fn hidden(job: &Job<'_>, draft: &mut Draft) {
    let passed = job.http.all("proxy_pass_header");
    let passes = |name: &str| passed.iter().any(|line| line.arg(0).eq_ignore_ascii_case(name));
    let list = HIDDEN.iter().filter(|name| !passes(name)).map(|name| Toml::from(*name)).collect();
    let remove = [("remove".to_owned(), Toml::Array(list))].into_iter().collect();
    let headers = [("headers".to_owned(), Toml::Table(remove))].into_iter().collect();
    let rule = [("response".to_owned(), Toml::Table(headers))].into_iter().collect();
    draft.push_own("global_rules", rule, true);
}
