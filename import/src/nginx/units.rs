//! nginx's times and sizes.

/// Seconds of a time such as `60`, `1m30s` or `500ms`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut milliseconds = 0_u64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|mark: char| !mark.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, unit) = rest.split_at_checked(end)?;
        let number: u64 = digits.parse().ok()?;
        let end = unit.find(|mark: char| !mark.is_ascii_lowercase() && mark != 'M');
        let (unit, after) = unit.split_at_checked(end.unwrap_or(unit.len()))?;
        let each = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        milliseconds = milliseconds.checked_add(number.checked_mul(each)?)?;
        rest = after.trim_start();
    }
    let milliseconds = u32::try_from(milliseconds).ok()?;
    Some(f64::from(milliseconds) / 1000.0)
}

/// A time as Ferrule writes it: whole seconds or milliseconds.
pub(super) fn duration(text: &str) -> Option<String> {
    let seconds = seconds(text)?;
    Some(if seconds.fract() == 0.0 {
        format!("{seconds}s")
    } else {
        format!("{}ms", (seconds * 1000.0).round())
    })
}

/// Bytes of a size such as `8k` or `1m`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, each) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (text.get(..at)?, 1_u64 << 10),
        (at, 'm' | 'M') => (text.get(..at)?, 1 << 20),
        (at, 'g' | 'G') => (text.get(..at)?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_nginxs() {
        for (text, wanted) in [
            ("60", Some("60s")),
            ("60s", Some("60s")),
            ("1m30s", Some("90s")),
            ("1h 30m", Some("5400s")),
            ("500ms", Some("500ms")),
            ("1s500ms", Some("1500ms")),
            ("", None),
            ("x", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(duration(text).as_deref(), wanted, "{text}");
        }
        for (text, wanted) in [
            ("0", Some(0)),
            ("8k", Some(8192)),
            ("1M", Some(1 << 20)),
            ("2g", Some(2 << 30)),
            ("k", None),
            ("1kb", None),
            ("99999999999999999999g", None),
        ] {
            assert_eq!(bytes(text), wanted, "{text}");
        }
    }
}
