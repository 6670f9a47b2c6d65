//! `ferrule ctl`: asks a running process through its admin socket, and shows what it says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use ferrule_config::model::Level;
use serde_json::Value;
use strum::VariantNames;

use super::ctl_clients::clients;
use super::ctl_events;
use super::ctl_operator::{ConnectionsArguments, config_diff, connections, log_level};
use super::ctl_routes::{RoutesArguments, route};
use super::ctl_table::{age, list, printable, shown, table};
use super::ctl_upstreams::{breakers, limits, upstreams};
use crate::control::endpoints::admin_protocol::AdminCommand;
use crate::control::endpoints::upstream_answers::{NodeOrder, NodeOrderFor};
use crate::control::process::environment;
use crate::control::process::terminal;

/// The default path of the socket, as that of `admin.socket`.
const SOCKET: &str = "/run/ferrule/ctl.sock";
/// How long an answer may take; longer than the process waits for a reload.
const PATIENCE: Duration = Duration::from_secs(90);
/// The largest answer; it lists a thousand clients.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The arguments of `ferrule ctl`.
#[derive(Args, Debug)]
pub(crate) struct CtlArguments {
    /// The admin socket; `/run/ferrule/ctl.sock` if neither this nor a configuration is given.
    #[arg(short, long, value_name = "PATH", conflicts_with = "config", global = true)]
    socket: Option<PathBuf>,
    /// The configuration file that names the socket.
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Generation, uptime, cores, connections, buffers and listeners.
    Status,
    /// The clients of the last 24 hours whose certificates expire soonest, and those that lack `clientAuth` or will.
    Clients {
        /// How many of each.
        #[arg(long, value_name = "N", default_value_t = 20)]
        soonest: usize,
    },
    /// Every certificate of the configuration, and which client CAs are in use.
    Certs,
    /// Upstreams and their nodes: state, why, since when, figures; and the last changes.
    Upstreams {
        /// One upstream alone, by its id.
        upstream: Option<String>,
    },
    /// Changes of nodes as they happen, each as a line of JSON, until the process ends.
    Events {
        /// First, so many of the last ones; the process keeps 256.
        #[arg(long, value_name = "N", default_value_t = 0)]
        last: usize,
    },
    /// Which route a request would take in the running process, and why not another one.
    Routes(RoutesArguments),
    /// Open connections of clients, the oldest first: address, state, age, requests, TLS, server name, certificate.
    Connections(ConnectionsArguments),
    /// What a reload would change: the configuration on disk beside the one in force, by object. Exits with 0 if they
    /// are the same, 1 if they differ, 2 if that cannot be told.
    ConfigDiff,
    /// Set the level of the error log, until the next reload.
    LogLevel {
        /// How much is written.
        #[arg(value_parser = PossibleValuesParser::new(<Level as VariantNames>::VARIANTS))]
        level: String,
    },
    /// Close the log files and open them again, as SIGUSR1 does.
    ReopenLogs,
    /// Circuit breakers of routes: whether they keep an upstream from being asked, and for how long.
    Breakers,
    /// Limits of requests: how many keys each knows, and what it has refused and held back.
    Limits,
    /// Send no new requests to a node; what is under way ends by itself. It is still checked.
    Drain(NodeArguments),
    /// Send no new requests to a node, and do not check it.
    Disable(NodeArguments),
    /// End `drain` or `disable`: the node takes part again as its health allows.
    Enable(NodeArguments),
    /// Let a new process take the place of the running one, with the program as it is on disk now. No connection is
    /// lost; if the new process cannot serve, the running one goes on.
    Upgrade {
        /// Wait until it serves; exit with 1, and every reason, if it does not.
        #[arg(long)]
        wait: bool,
    },
    /// Load the configuration again.
    Reload {
        /// Wait until it is in force; exit with 1, and every reason, if it is refused.
        #[arg(long)]
        wait: bool,
    },
}

/// Which node.
#[derive(Args, Clone, Debug)]
struct NodeArguments {
    /// The upstream's id.
    upstream: String,
    /// The node as `ferrule ctl upstreams` lists it.
    node: String,
    /// Only until another configuration is put in force. Without it, reloads keep the node's state; a
    /// restart does not.
    #[arg(long)]
    until_reload: bool,
}

impl NodeArguments {
    fn command(&self, order: NodeOrder) -> AdminCommand {
        let Self { upstream, node, until_reload } = self.clone();
        AdminCommand::Node(NodeOrderFor { upstream, node, order, until_reload })
    }
}

impl CtlCommand {
    /// What the process is asked; the exit code if the question cannot be made.
    fn question(&self) -> Result<AdminCommand, ExitCode> {
        Ok(match self {
            Self::Status => AdminCommand::Status,
            Self::Clients { soonest } => AdminCommand::Clients { soonest: *soonest },
            Self::Certs => AdminCommand::Certs,
            Self::Upstreams { upstream } => AdminCommand::Upstreams { upstream: upstream.clone() },
            Self::Events { last } => AdminCommand::Events { last: *last },
            Self::Routes(arguments) => arguments.command()?,
            Self::Connections(arguments) => arguments.command(),
            Self::ConfigDiff => AdminCommand::ConfigDiff,
            Self::LogLevel { level } => AdminCommand::LogLevel { level: level.clone() },
            Self::ReopenLogs => AdminCommand::ReopenLogs,
            Self::Breakers => AdminCommand::Breakers,
            Self::Limits => AdminCommand::Limits,
            Self::Drain(node) => node.command(NodeOrder::Drain),
            Self::Disable(node) => node.command(NodeOrder::Disable),
            Self::Enable(node) => node.command(NodeOrder::Enable),
            Self::Upgrade { wait } => AdminCommand::Upgrade { wait: *wait },
            Self::Reload { wait } => AdminCommand::Reload { wait: *wait },
        })
    }
}

/// Sends the command to the process and prints its answer.
pub(crate) fn run(arguments: &CtlArguments) -> ExitCode {
    // A comparison has an exit code of its own for "it differs".
    let cannot_tell = matches!(arguments.command, CtlCommand::ConfigDiff);
    let failed = |code: u8| ExitCode::from(if cannot_tell { terminal::USAGE } else { code });
    let socket = match find_socket(arguments) {
        Ok(socket) => socket,
        Err(_) if cannot_tell => return failed(terminal::REFUSED),
        Err(code) => return code,
    };
    if let CtlCommand::Events { last } = &arguments.command {
        return ctl_events::run(&socket, *last);
    }
    let command = match arguments.command.question() {
        Ok(command) => command,
        Err(code) => return code,
    };
    let answer = match ask(&socket, &command) {
        Ok(answer) => answer,
        Err(error) => {
            terminal::print_error(&format!("{}: {error}", socket.display()));
            return failed(terminal::CANNOT_RUN);
        }
    };
    let good = answer.get("ok").and_then(Value::as_bool) == Some(true);
    if arguments.json {
        terminal::print(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else if good {
        terminal::print(&words(&command, &answer));
        for warning in list(&answer, "warnings") {
            let warning = printable(warning.as_str().unwrap_or_default());
            terminal::print_error(&format!("warning: {warning}"));
        }
    } else {
        for error in list(&answer, "errors") {
            terminal::print_error(error.as_str().unwrap_or_default());
        }
    }
    match (good, answer.get("same").and_then(Value::as_bool)) {
        (false, _) => failed(terminal::REFUSED),
        (true, Some(false)) => ExitCode::from(terminal::REFUSED),
        (true, _) => ExitCode::SUCCESS,
    }
}

/// The answer to this command, for people.
fn words(command: &AdminCommand, answer: &Value) -> String {
    match command {
        AdminCommand::Status => status(answer),
        AdminCommand::Clients { .. } => clients(answer),
        AdminCommand::Certs => certs(answer),
        AdminCommand::Upstreams { .. } => upstreams(answer),
        // Printed as they came.
        AdminCommand::Events { .. } => String::new(),
        AdminCommand::Routes { .. } => route(answer),
        AdminCommand::Connections(_) => connections(answer),
        AdminCommand::ConfigDiff => config_diff(answer),
        AdminCommand::LogLevel { .. } => log_level(answer),
        AdminCommand::ReopenLogs => "asked for; the error log tells how it goes".to_owned(),
        AdminCommand::Breakers => breakers(answer),
        AdminCommand::Limits => limits(answer),
        AdminCommand::Node(_) => ordered(answer),
        AdminCommand::Reload { .. } => reloaded(answer),
        AdminCommand::Upgrade { .. } => upgraded(answer),
    }
}

fn find_socket(arguments: &CtlArguments) -> Result<PathBuf, ExitCode> {
    let Some(file) = &arguments.config else {
        return Ok(arguments.socket.clone().unwrap_or_else(|| PathBuf::from(SOCKET)));
    };
    let draft = ferrule_config::read(file, &environment::variable)
        .map_err(|problems| terminal::print_problems(&problems))?;
    draft.config.admin.map(|admin| admin.socket).ok_or_else(|| {
        terminal::print_error(&format!("{} has no [admin]: there is no socket", file.display()));
        ExitCode::from(terminal::REFUSED)
    })
}

fn ask(socket: &Path, command: &AdminCommand) -> io::Result<Value> {
    let mut line = UnixStream::connect(socket)?;
    // An upgrade takes as long as the process lets it.
    let patience = !matches!(command, AdminCommand::Upgrade { .. });
    line.set_read_timeout(patience.then_some(PATIENCE))?;
    line.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_string(command)?;
    text.push('\n');
    line.write_all(text.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(line.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::other("there was no answer"));
    }
    Ok(serde_json::from_str(&answer)?)
}

fn status(answer: &Value) -> String {
    let at = |path: &str| shown(answer, path);
    let last = if answer.pointer("/reloads/last_ok") == Some(&Value::Bool(false)) {
        "; the last one was refused"
    } else {
        ""
    };
    let upgrade = last_upgrade(answer);
    let mut out = format!(
        "ferrule {} (pid {}), {}, generation {}, up {}, driver {}\nconfiguration {}\n\
         reloads: {} taken, {} refused{last}\n\
         upgrades: {} taken, {} refused{upgrade}\n\
         {}\n\
         connections: {} open; requests: {}; handshakes: {} full, {} resumed, {} failed; panics: {}\n\
         buffers: {} bytes rented, {} may be; connections ended for that: {}\n",
        at("/version"),
        at("/pid"),
        at("/phase"),
        at("/generation"),
        age(answer.get("uptime_seconds").and_then(Value::as_u64).unwrap_or(0)),
        at("/driver"),
        at("/config"),
        at("/reloads/taken"),
        at("/reloads/refused"),
        at("/upgrades/taken"),
        at("/upgrades/refused"),
        log_level(answer),
        at("/connections"),
        at("/requests"),
        at("/handshakes/full"),
        at("/handshakes/resumed"),
        at("/handshakes/failed"),
        at("/panics"),
        at("/buffers/rented_bytes"),
        at("/buffers/budget_bytes"),
        at("/buffers/stalled_ended"),
    );
    let listeners = list(answer, "listeners").iter().map(|one| {
        let tls = one.get("tls").and_then(Value::as_bool) == Some(true);
        vec![shown(one, "/address"), if tls { "TLS" } else { "plain HTTP" }.to_owned()]
    });
    out.push_str(&table(&["LISTENER", "SPEAKS"], listeners));
    let failing = list(answer, "failing_nodes").iter().map(|one| {
        let since = age(one.get("seconds").and_then(Value::as_u64).unwrap_or(0));
        vec![shown(one, "/upstream"), shown(one, "/node"), since, shown(one, "/failed")]
    });
    if !list(answer, "failing_nodes").is_empty() {
        out.push_str(&table(&["UPSTREAM", "NODE THAT FAILS", "FOR", "TRIES FAILED"], failing));
    }
    let fetches = list(answer, "crl_fetches")
        .iter()
        .map(|one| ["/url", "/fetched", "/failed", "/error"].map(|path| shown(one, path)).to_vec());
    if !list(answer, "crl_fetches").is_empty() {
        out.push_str(&table(&["REVOCATION LIST", "FETCHED", "FAILED", "LAST ERROR"], fetches));
    }
    let cores = list(answer, "cores").iter().map(|one| {
        ["/core", "/generation", "/connections", "/requests"].map(|path| shown(one, path)).to_vec()
    });
    out.push_str(&table(&["CORE", "GENERATION", "CONNECTIONS", "REQUESTS"], cores));
    out
}

/// What is said of the last upgrade.
fn last_upgrade(answer: &Value) -> String {
    if answer.pointer("/upgrades/under_way") == Some(&Value::Bool(true)) {
        return String::from("; one is under way");
    }
    let Some(last) = answer.pointer("/upgrades/last").filter(|last| last.is_object()) else {
        return String::new();
    };
    match list(last, "errors").first().and_then(Value::as_str) {
        Some(reason) => format!("; the last one was refused: {}", printable(reason)),
        None => format!("; process {} has taken over", shown(last, "/pid")),
    }
}

fn certs(answer: &Value) -> String {
    let rows = list(answer, "certificates").iter().map(|one| {
        let days = one.get("days_left").and_then(Value::as_i64).unwrap_or(0);
        let left = if days < 0 { "expired".to_owned() } else { days.to_string() };
        let mut row = vec![left];
        row.extend(["/role", "/owner", "/subject", "/source"].map(|at| shown(one, at)));
        row
    });
    let mut out = table(&["DAYS LEFT", "ROLE", "OF", "SUBJECT", "FILE"], rows);
    let lists = list(answer, "crls").iter().map(|one| {
        let days = one.get("days_left").and_then(Value::as_i64);
        let left = match days {
            Some(days) if days < 0 => "expired".to_owned(),
            Some(days) => days.to_string(),
            None => "not said".to_owned(),
        };
        let mut row = vec![left];
        row.extend(["/key", "/issuer", "/revoked", "/source"].map(|at| shown(one, at)));
        row
    });
    out.push_str(&table(&["DAYS LEFT", "REVOCATION LIST", "ISSUER", "REVOKED", "FILE"], lists));
    let now = answer.get("now").and_then(Value::as_u64).unwrap_or(0);
    let uses = list(answer, "client_cas").iter().map(|one| {
        let last = match one.get("last_used").and_then(Value::as_u64) {
            None | Some(0) => "never since the start".to_owned(),
            Some(at) => format!("{} ago", age(now.saturating_sub(at))),
        };
        let mut row = ["/subject", "/serial", "/uses"].map(|at| shown(one, at)).to_vec();
        row.push(last);
        row
    });
    out.push_str(&table(&["CLIENT CA", "SERIAL", "USES", "LAST USED"], uses));
    out
}

fn ordered(answer: &Value) -> String {
    let changed = answer.get("changed").and_then(Value::as_bool) == Some(true);
    if changed { "done" } else { "it was so already" }.to_owned()
}

fn reloaded(answer: &Value) -> String {
    match (answer.get("generation"), answer.get("passed_on")) {
        (Some(number), _) => format!("generation {number} is in force"),
        (None, Some(pid)) => {
            format!("passed on to process {pid}, which has taken over by an upgrade")
        }
        (None, None) => "asked for; the error log tells how it goes".to_owned(),
    }
}

fn upgraded(answer: &Value) -> String {
    match answer.get("pid") {
        Some(pid) => format!("process {pid} serves, with ferrule {}", shown(answer, "/version")),
        None => "asked for; the error log and `ferrule ctl status` tell how it goes".to_owned(),
    }
}
