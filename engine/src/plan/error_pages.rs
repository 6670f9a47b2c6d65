//! The operator's own pages for our own error answers, ready to be sent.
//!
//! In: the texts of the files, by what they stand for. Out: for each status the pages that there
//! are, one of each type. A page is text between which the request's id may stand, and nothing else.

use ferrule_config::model::{PageMedia, PageStatuses};

/// What stands for the request's id in a page.
const REQUEST_ID: &str = "$request_id";

/// Places in one page that hold the id; more would let a page grow by much.
pub const IDS_MAX: usize = 8;

const FIRST: u16 = 400;
const LAST: u16 = 599;

/// nginx's numbers for refused certificates and for plain HTTP on a TLS port: their answers have a
/// reason that no page for a whole class can know.
const SPECIAL: [u16; 3] = [495, 496, 497];

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its media type.
    pub media: PageMedia,
    /// The text around the ids: an id goes between each two pieces.
    pieces: Box<[Box<str>]>,
}

/// All pages, by status.
#[derive(Debug, Default)]
pub struct ErrorPages {
    /// Sets of pages for some statuses, the most particular first.
    sets: Vec<PageSet>,
    /// For each status from 400: one more than the index of its set, or 0.
    by_status: Vec<u8>,
}

/// The pages for some statuses, one for each media type.
#[derive(Debug)]
struct PageSet {
    statuses: PageStatuses,
    pages: Vec<Page>,
}

impl Page {
    /// Of a file's text; `None` if the id stands in it too often.
    #[must_use]
    pub fn new(media: PageMedia, text: &str) -> Option<Self> {
        let pieces: Box<[Box<str>]> = text.split(REQUEST_ID).map(Into::into).collect();
        (pieces.len() <= IDS_MAX + 1).then_some(Self { media, pieces })
    }

    /// Its length with an id of this length.
    #[must_use]
    pub fn len(&self, id_len: usize) -> usize {
        let text: usize = self.pieces.iter().map(|piece| piece.len()).sum();
        text + id_len * self.pieces.len().saturating_sub(1)
    }

    /// Appends it with this id.
    pub fn render(&self, id: &[u8], out: &mut Vec<u8>) {
        for (at, piece) in self.pieces.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(id);
            }
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

impl ErrorPages {
    /// Of all pages in the order of the file.
    #[must_use]
    pub fn new(pages: impl IntoIterator<Item = (PageStatuses, Page)>) -> Self {
        let mut sets: Vec<PageSet> = Vec::new();
        for (statuses, page) in pages {
            match sets.iter_mut().find(|set| set.statuses == statuses) {
                Some(set) => set.pages.push(page),
                None => sets.push(PageSet { statuses, pages: vec![page] }),
            }
        }
        sets.sort_by_key(|set| set.statuses);
        let stands_for = |statuses: &PageStatuses, status: u16| match *statuses {
            PageStatuses::One(one) => one == status,
            PageStatuses::Class(digit) => {
                status / 100 == u16::from(digit) && !SPECIAL.contains(&status)
            }
        };
        let set_of = |status| {
            let set = sets.iter().position(|set| stands_for(&set.statuses, status));
            set.and_then(|set| u8::try_from(set + 1).ok()).unwrap_or(0)
        };
        let by_status =
            if sets.is_empty() { Vec::new() } else { (FIRST..=LAST).map(set_of).collect() };
        Self { sets, by_status }
    }

    /// The pages for this status; none if our own answer stands.
    #[must_use]
    pub fn of(&self, status: u16) -> &[Page] {
        let set = status.checked_sub(FIRST).and_then(|at| self.by_status.get(usize::from(at)));
        let set = set.and_then(|set| usize::from(*set).checked_sub(1));
        set.and_then(|set| self.sets.get(set)).map_or(&[], |set| &set.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::new(PageMedia::Html, text).unwrap()
    }

    #[test]
    fn a_status_beats_its_class_and_classes_spare_certificates() {
        let pages = ErrorPages::new([
            (PageStatuses::Class(4), page("any")),
            (PageStatuses::One(404), page("none")),
            (PageStatuses::One(496), page("show one")),
        ]);
        let text = |status| {
            let mut out = Vec::new();
            for page in pages.of(status) {
                page.render(b"", &mut out);
            }
            String::from_utf8(out).unwrap()
        };
        for (status, wanted) in [
            (399, ""),
            (400, "any"),
            (404, "none"),
            (495, ""),
            (496, "show one"),
            (499, "any"),
            (500, ""),
            (600, ""),
        ] {
            assert_eq!(text(status), wanted, "{status}");
        }
        assert!(ErrorPages::default().of(404).is_empty());
    }

    #[test]
    fn the_id_is_all_that_is_put_into_a_page() {
        let page = page("a $request_id b $status $request_id");
        let mut out = Vec::new();
        page.render(b"<id>", &mut out);
        assert_eq!(out, b"a <id> b $status <id>");
        assert_eq!(page.len(4), out.len());
        assert!(Page::new(PageMedia::Html, &REQUEST_ID.repeat(IDS_MAX)).is_some());
        assert!(Page::new(PageMedia::Html, &REQUEST_ID.repeat(IDS_MAX + 1)).is_none());
    }
}
