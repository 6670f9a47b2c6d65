//! Text as readers compare it who know no case, no white space and no compatibility forms.
//!
//! In: text of a certificate or of a configuration. Out: its one folded form, and its other forms. Such
//! forms decide for `deny` alone: what `allow` names is compared as it is written.

use unicode_normalization::UnicodeNormalization;

/// May an attribute's value be handed out? White space at its ends would be lost in a header.
pub(crate) fn is_plain_text(text: &str) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    !text.chars().any(char::is_control) && !ends.into_iter().flatten().any(char::is_whitespace)
}

/// As readers compare who know no case and no white space (X.520's `caseIgnoreMatch`), nor what has no
/// width, and to whom compatible characters are the same (RFC 4518, sections 2.2 to 2.3).
pub(crate) fn folded(text: &str) -> String {
    // ASCII has one form; decomposed before and behind, since a letter's other case may be composed.
    let folded: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // By capitals, which sharp, final and long letters have in common with others; some have those
        // only of their small form.
        let small = decomposed(text).flat_map(char::to_lowercase);
        let cased = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        decomposed(&cased.collect::<String>()).collect()
    };
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ")
}

/// Other texts as which somebody may read this one: without case, white space and compatibility forms, and
/// in its other forms of normalisation for readers who know case.
pub(crate) fn readings(text: &str) -> Vec<String> {
    let mut found = vec![folded(text)];
    if !text.is_ascii() {
        let plain: String = decomposed(text).collect();
        found.push(plain.nfc().collect());
        found.push(plain);
    }
    found
}

/// As readers take it who know no compatibility characters and none without width; case is kept.
pub(crate) fn decomposed(text: &str) -> impl Iterator<Item = char> {
    // What has no width may come out of a compatibility form, and stand between what is composed.
    text.chars().filter(|letter| !is_unseen(*letter)).nfkd().filter(|letter| !is_unseen(*letter))
}

/// What directories leave out when they compare (RFC 4518, section 2.2), but for control characters,
/// and what Unicode has shown as nothing since (`Default_Ignorable_Code_Point`).
const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{1806}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_folded_without_case_and_white_space() {
        for (text, plain) in [("a b", true), ("", true), (" a", false), ("a\u{a0}", false)] {
            assert_eq!(is_plain_text(text), plain, "{text:?}");
        }
        assert_eq!(folded(" \u{c4}B  c\u{200b} "), "a\u{308}b c");
    }
}
