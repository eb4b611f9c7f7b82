//! Ages and instants as kubectl shows them: `45s`, `3m12s`, `5h`, `2d3h`.
//! Knows no object; a missing or unreadable timestamp is shown as `<unknown>`.
//! The steps in precision are those of Kubernetes' `HumanDuration`.

use serde_json::Value;

use crate::base::time::{Span, Time};

/// A span in at most two units, coarser the longer it is.
/// Up to one second of clock skew into the future reads `0s`, more reads `<invalid>`.
pub(super) fn human(span: Span) -> String {
    let seconds = span.0.div_euclid(1_000_000_000);
    if seconds < -1 {
        return "<invalid>".into();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, "d", hours % 24, "h")
    } else if days < 365 * 2 {
        format!("{days}d")
    } else if days < 365 * 8 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

/// Two units, the second left out where it is zero.
fn two(first: i64, first_unit: &str, second: i64, second_unit: &str) -> String {
    if second == 0 {
        format!("{first}{first_unit}")
    } else {
        format!("{first}{first_unit}{second}{second_unit}")
    }
}

/// The instant that a field such as `creationTimestamp` names, if it is there and can be read.
pub(super) fn instant(timestamp: Option<&Value>) -> Option<Time> {
    Time::from_rfc3339(timestamp?.as_str()?)
}

/// How long ago a timestamp was.
pub(super) fn since(timestamp: Option<&Value>, now: Time) -> String {
    instant(timestamp).map_or_else(|| "<unknown>".into(), |then| human(now - then))
}

#[cfg(test)]
mod tests {
    use super::{human, since};
    use crate::base::time::{Span, Time};
    use serde_json::json;

    #[test]
    fn precision_falls_with_age_as_kubectl_shows_it() {
        let (minute, hour, day) = (60, 3600, 86_400);
        let shown = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (9 * minute + 59, "9m59s"),
            (10 * minute + 5, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (7 * hour + 5 * minute, "7h5m"),
            (47 * hour, "47h"),
            (2 * day + 3 * hour, "2d3h"),
            (8 * day + 3 * hour, "8d"),
            (800 * day, "2y70d"),
            (9 * 365 * day, "9y"),
        ];
        for (seconds, text) in shown {
            assert_eq!(human(Span::seconds(seconds)), text, "{seconds} s");
        }
    }

    #[test]
    fn a_missing_timestamp_is_unknown() {
        let now = Time::EPOCH + Span::seconds(90);
        assert_eq!(since(Some(&json!("1970-01-01T00:00:30Z")), now), "60s");
        assert_eq!(since(Some(&json!("yesterday")), now), "<unknown>");
        assert_eq!(since(None, now), "<unknown>");
    }
}
