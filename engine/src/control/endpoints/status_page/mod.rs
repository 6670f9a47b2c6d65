//! The status page: one page, read-only, that shows a running process as it is.
//!
//! In: GET or HEAD of a path at or below `metrics.status_path`. Out: the page and its two files, the routes, the way
//! of one request through them, and a stream of everything that changes. It holds no secret, but names of routes,
//! upstreams and clients: the endpoint has checked `Host` before. Everything that came from elsewhere is JSON here,
//! and text in the page.

mod import_report;
mod query;
mod sections;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use self::sections::Sections;
use self::stream::{PageReader, PageReaders};
use super::connection::EndpointConnection;
use super::http_answer::HttpAnswer;
use crate::control::process::clock;
use crate::control::state::route_question::{self, RouteQuestion};
use crate::control::state::status::ProcessStatus;
use crate::report::RateLimit;
use crate::setup::Generation;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";

/// What stands in the page for the last segment of its own path.
const BASE: &str = "@base@";
/// Routes that the page lists.
const ROUTES_MAX: usize = 20_000;
/// Requests whose route is asked for, in one second, by everybody together.
const QUESTIONS_PER_SECOND: u32 = 20;

/// The status page.
#[derive(Debug)]
pub(super) struct StatusPage {
    status: Arc<ProcessStatus>,
    sections: Arc<Sections>,
    readers: PageReaders,
    /// Those of one generation.
    routes: Mutex<Option<ListedRoutes>>,
    questions: Mutex<RateLimit<1>>,
}

/// The routes of a generation, as JSON.
#[derive(Debug)]
struct ListedRoutes {
    generation: u64,
    text: Arc<str>,
}

/// What a request for the page gets.
pub(super) enum PageAnswer {
    /// This.
    Whole(HttpAnswer),
    /// Everything that changes, as it changes.
    Stream(PageReader),
}

impl StatusPage {
    /// The page of this process.
    pub(super) fn new(status: Arc<ProcessStatus>) -> Self {
        let sections = Arc::new(Sections::new(Arc::clone(&status)));
        let questions = Mutex::new(RateLimit::new(QUESTIONS_PER_SECOND));
        let readers = PageReaders::default();
        Self { status, sections, readers, routes: Mutex::default(), questions }
    }

    /// Answers a request for what is `below` the path of the page, which is `at`.
    pub(super) fn answer(&self, at: &str, below: &str, query: &[u8]) -> PageAnswer {
        let whole = |media_type, text: Arc<str>| {
            PageAnswer::Whole(HttpAnswer::new(200, media_type, text).of_page())
        };
        match below {
            "" => {
                let base = at.rsplit('/').next().unwrap_or_default();
                whole(HTML, include_str!("page.html").replace(BASE, base).into())
            }
            "/page.css" => whole(CSS, include_str!("page.css").into()),
            "/page.js" => whole(
                JAVASCRIPT,
                concat!(
                    include_str!("tables.js"),
                    include_str!("routes.js"),
                    include_str!("page.js")
                )
                .into(),
            ),
            "/icon.svg" => whole(SVG, include_str!("icon.svg").into()),
            "/routes" => whole(JSON, self.routes()),
            "/match" => PageAnswer::Whole(self.matching(query).of_page()),
            "/events" => match self.readers.enter(&self.sections) {
                Some(reader) => PageAnswer::Stream(reader),
                None => refusal(503, "others read the events already; ask again later"),
            },
            _ => refusal(404, "there is nothing here"),
        }
    }

    /// Sends everything that changes until the reader leaves.
    pub(super) fn stream(
        reader: &PageReader,
        head_only: bool,
        connection: &mut EndpointConnection,
    ) {
        let head = HttpAnswer::new(200, EVENT_STREAM, "".into()).of_page().head(None);
        if head_only {
            // A client that has left does not need its answer.
            drop(connection.write_all(&head));
        } else {
            reader.serve(&head, connection);
        }
    }

    fn routes(&self) -> Arc<str> {
        let Some(active) = self.status.current() else { return "{}".into() };
        let mut listed = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = active.generation.number;
        if let Some(listed) = listed.as_ref().filter(|listed| listed.generation == generation) {
            return Arc::clone(&listed.text);
        }
        let text: Arc<str> = routes_json(&active.generation).to_string().into();
        *listed = Some(ListedRoutes { generation, text: Arc::clone(&text) });
        text
    }

    /// The way of one request through the routes.
    fn matching(&self, query: &[u8]) -> HttpAnswer {
        let second = clock::unix_seconds().unsigned_abs();
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.allow(0, second).is_none() {
            return HttpAnswer::words(429, "too many questions in this second; ask again");
        }
        drop(questions);
        let (Some(method), Some(url)) =
            (query::value(query, b"method"), query::value(query, b"url"))
        else {
            return HttpAnswer::words(400, "ask with `method` and `url`");
        };
        let Some(active) = self.status.current() else {
            return HttpAnswer::words(503, "there is no configuration in force yet");
        };
        let question = RouteQuestion { method: &method, url: url.trim(), chain: &[] };
        match route_question::answer(&active.generation, question) {
            Ok(answer) => HttpAnswer::new(200, JSON, answer.to_string().into()),
            Err(words) => HttpAnswer::words(400, words),
        }
    }
}

impl From<HttpAnswer> for PageAnswer {
    fn from(answer: HttpAnswer) -> Self {
        Self::Whole(answer)
    }
}

fn refusal(status: u16, words: &str) -> PageAnswer {
    PageAnswer::Whole(HttpAnswer::words(status, words).of_page())
}

fn routes_json(generation: &Generation) -> Value {
    let config = &generation.config;
    let routes = config.routes.iter().take(ROUTES_MAX);
    let routes: Vec<Value> =
        routes.map(|route| route_question::route_json(config, route)).collect();
    let router: &str = config.http.router.into();
    json!({
        "generation": generation.number,
        "router": router,
        "left_out": config.routes.len() - routes.len(),
        "routes": routes,
    })
}
