//! Reading a request limit out of a gateway's refusal.

use std::time::Duration;

/// So many calls in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) calls: u32,
    pub(super) window: Duration,
}

impl Limit {
    /// Calls per second, spread evenly.
    pub(super) fn rate(self) -> f64 {
        f64::from(self.calls) / self.window.as_secs_f64()
    }

    /// Understands any text with a number of calls and a span of time, such as
    /// `policy user over ratelimit,limit:60,time:1 minute` or `request over limit: 200 times in 5 minutes`. The text is
    /// not documented, so anything else is simply no limit.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text);
        let before = |at: usize| at.checked_sub(1).and_then(|at| tokens.get(at)).map_or("", String::as_str);
        let (unit_at, unit) = tokens.iter().enumerate().find_map(|(at, token)| {
            // A letter alone is a unit in `20/s` and `5m`, not in `request(s)`.
            let plain = token.len() > 1 || before(at) == "per" || before(at).parse::<u32>().is_ok();
            unit(token).filter(|_| plain).map(|unit| (at, unit))
        })?;
        let number =
            |at: Option<usize>| at.and_then(|at| tokens.get(at)).and_then(|token| token.parse::<u32>().ok());
        // "5 minutes"; "per minute" is one.
        let span_at = unit_at.checked_sub(1).filter(|at| number(Some(*at)).is_some());
        let span = number(span_at).unwrap_or(1);
        let numbers = || (0..tokens.len()).filter(|at| Some(*at) != span_at && number(Some(*at)).is_some());
        let is = |at: Option<usize>, words: &[&str]| {
            at.and_then(|at| tokens.get(at)).is_some_and(|token| words.contains(&token.as_str()))
        };
        let counted = numbers().find(|at| {
            is(Some(at + 1), &["times", "time", "calls", "requests", "request", "per"])
                || is(at.checked_sub(1), &["limit", "threshold", "quota", "most", "ratelimit"])
        });
        let calls = number(counted.or_else(|| numbers().next()))?;
        let window = unit.checked_mul(span)?;
        let sensible = (1..=1_000_000).contains(&calls)
            && (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&window);
        sensible.then_some(Self { calls, window })
    }
}

/// Lower-case words and numbers; `5min` is two, `/` is `per`.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars().take(1024).flat_map(char::to_lowercase) {
        let joins =
            (c.is_ascii_digit() && last.is_ascii_digit()) || (c.is_alphabetic() && last.is_alphabetic());
        match tokens.last_mut() {
            Some(token) if joins => token.push(c),
            _ if c.is_ascii_digit() || c.is_alphabetic() => tokens.push(c.to_string()),
            _ if c == '/' => tokens.push("per".to_owned()),
            _ => {}
        }
        last = c;
    }
    tokens
}

fn unit(token: &str) -> Option<Duration> {
    let seconds = match token {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_the_words_gateways_use() {
        for (text, calls, seconds) in [
            (
                "The throttling threshold has been reached: policy user over ratelimit,limit:60,time:1 minute",
                60,
                60,
            ),
            (
                "The throttling threshold has been reached: policy ip over ratelimit, limit:200, time:5 minutes",
                200,
                300,
            ),
            ("request over limit: 200 times in 5 minutes", 200, 300),
            ("at most 10 requests per second", 10, 1),
            ("Too many requests (20/s)", 20, 1),
            ("limit 1000 per 1h", 1000, 3600),
            ("200 request(s) in 5 minutes", 200, 300),
            ("in 5min only 200 calls are allowed", 200, 300),
            ("Limit:100 Time:60 seconds", 100, 60),
        ] {
            let limit = Limit::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((limit.calls, limit.window), (calls, Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_texts_hold_no_limit() {
        for text in
            ["", "Too many requests", "retry in 5 minutes", "limit:0,time:1 minute", "5 calls per 900 days"]
        {
            assert_eq!(Limit::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_harm(text: String) {
            if let Some(limit) = Limit::parse(&text) {
                proptest::prop_assert!(limit.rate() > 0.0 && limit.rate().is_finite());
            }
        }
    }
}
