//! Lines that are too long for a datagram.
//!
//! In: the text of a line, and for how many bytes there is room. Out: a shorter text that says so. Clients can make
//! their lines long, and what stands at the end of a line, as who the client was, must not go by that. JSON stays
//! JSON: long strings in it are cut, and a member tells how long the line was. Any other text loses its middle. Pure.

use serde_json::{Map, Value};

/// The member that a shortened object has: the bytes of the whole line.
const WHOLE_LENGTH: &str = "cut_from_bytes";
/// Where strings are cut, one length after the other until the object fits.
const STRING_BYTES: [usize; 4] = [1024, 256, 64, 16];
/// What a cut string ends with.
const ELLIPSIS: &str = "...";

/// This text in at most so many bytes; there have to be a hundred at least.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let object = text.starts_with('{').then(|| serde_json::from_str::<Map<String, Value>>(text));
    match object {
        Some(Ok(object)) => shortened_object(object, text.len(), most),
        Some(Err(_)) | None => without_middle(text, most),
    }
}

fn shortened_object(mut object: Map<String, Value>, whole: usize, most: usize) -> String {
    object.insert(WHOLE_LENGTH.to_owned(), whole.into());
    for bytes in STRING_BYTES {
        object.values_mut().for_each(|value| shorten_value(value, bytes));
        let text = serde_json::to_string(&object).unwrap_or_default();
        if !text.is_empty() && text.len() <= most {
            return text;
        }
    }
    format!("{{\"{WHOLE_LENGTH}\":{whole}}}")
}

/// Cuts a string; what is nested goes as a whole.
fn shorten_value(value: &mut Value, bytes: usize) {
    match value {
        Value::String(text) if text.len() > bytes => {
            text.truncate(text.floor_char_boundary(bytes));
            text.push_str(ELLIPSIS);
        }
        Value::Array(_) | Value::Object(_) if value.to_string().len() > bytes => {
            *value = Value::Null;
        }
        _ => {}
    }
}

fn without_middle(text: &str, most: usize) -> String {
    let mark = format!(" [cut: this line had {} bytes] ", text.len());
    let half = most.saturating_sub(mark.len()) / 2;
    let start = text.get(..text.floor_char_boundary(half)).unwrap_or_default();
    let end = text.ceil_char_boundary(text.len().saturating_sub(half));
    [start, &mark, text.get(end..).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_beginning_and_its_end() {
        let line = format!("GET /{} SUCCESS 0a0b", "\u{e9}".repeat(9_000));
        for most in [100, 101, 8_000] {
            let short = shortened(&line, most);
            assert!(short.len() <= most && short.len() + 4 > most, "{most} {}", short.len());
            assert!(short.starts_with("GET /\u{e9}") && short.ends_with("\u{e9} SUCCESS 0a0b"));
            assert!(short.contains(&format!(" [cut: this line had {} bytes] ", line.len())));
        }
    }

    /// However long its strings are, and however much longer their escapes.
    #[test]
    fn an_object_stays_one_and_says_that_it_was_cut() {
        for (one, count) in [("x", 9_000), ("\u{1}", 9_000), ("\u{e9}", 60_000), ("\"", 8_000)] {
            let long = Value::from(one.repeat(count));
            let line = format!(
                "{{\"uri\":{long},\"status\":400,\"agent\":{long},\"referer\":{long},\"list\":[{long}],\
                 \"ssl_client_fingerprint\":\"0a0b\"}}"
            );
            let short = shortened(&line, 8_000);
            assert!(short.len() <= 8_000, "{}", short.len());
            let found: Map<String, Value> = serde_json::from_str(&short).unwrap();
            assert_eq!(found["ssl_client_fingerprint"], "0a0b");
            assert_eq!((&found["status"], &found["list"]), (&400.into(), &Value::Null));
            assert_eq!(found[WHOLE_LENGTH], line.len());
            let uri = found["uri"].as_str().unwrap();
            assert!(uri.starts_with(one) && uri.ends_with(ELLIPSIS), "{uri}");
        }
    }

    #[test]
    fn an_object_of_too_many_members_leaves_its_length() {
        let members: Vec<String> = (0..2_000).map(|at| format!("\"member{at}\":1")).collect();
        let line = format!("{{{}}}", members.join(","));
        let wanted = format!("{{\"cut_from_bytes\":{}}}", line.len());
        assert_eq!(shortened(&line, 8_000), wanted);
    }

    #[test]
    fn what_only_begins_as_an_object_is_text() {
        let line = format!("{{\"uri\":\"{}\"", "x".repeat(9_000));
        assert!(shortened(&line, 8_000).starts_with("{\"uri\":\"xxx"));
    }
}
