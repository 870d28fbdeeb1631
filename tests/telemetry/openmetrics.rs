//! A reader of OpenMetrics 1.0 text that forgives nothing: what a scraper might let pass is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// A metric family with its samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: Option<String>,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

/// One line with a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The families in their order.
pub(crate) fn parse(text: &str) -> Result<Vec<Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the text does not end with # EOF and a line feed")?;
    let mut families: Vec<Family> = Vec::new();
    for line in body.split_terminator('\n') {
        read(line, &mut families).map_err(|why| format!("{why}: {line:?}"))?;
    }
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut names = BTreeSet::new();
    for family in &families {
        if !names.insert(&family.name) {
            return Err(format!("{} stands in two places", family.name));
        }
        check(family).map_err(|why| format!("{}: {why}", family.name))?;
    }
    Ok(families)
}

fn read(line: &str, families: &mut Vec<Family>) -> Result<(), String> {
    let Some(comment) = line.strip_prefix('#') else {
        let sample = sample(line)?;
        let family = families.last_mut().ok_or("a sample before any metadata")?;
        if family.kind.is_empty() {
            return Err("a sample of a family without type".into());
        }
        if !suffixes(&family.kind).iter().any(|suffix| sample.name == format!("{}{suffix}", family.name)) {
            return Err(format!("not the name of a sample of {} {}", family.kind, family.name));
        }
        family.samples.push(sample);
        return Ok(());
    };
    let mut parts = comment.strip_prefix(' ').ok_or("a comment that is none")?.splitn(3, ' ');
    let (what, name, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let (name, rest) = name.zip(rest).ok_or("metadata without a name or a value")?;
    if !is_name(name, true) {
        return Err("not a name".into());
    }
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family { name: name.to_owned(), ..Family::default() });
    }
    let family = families.last_mut().ok_or("unreachable")?;
    if !family.samples.is_empty() {
        return Err("metadata after samples".into());
    }
    match what {
        "HELP" if family.help.is_empty() => family.help = unescaped(rest)?,
        "TYPE" if family.kind.is_empty() && !suffixes(rest).is_empty() => rest.clone_into(&mut family.kind),
        "UNIT" if family.unit.is_none() => family.unit = Some(rest.to_owned()),
        _ => return Err("metadata that is unknown, or there already".into()),
    }
    Ok(())
}

fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_bucket", "_count", "_sum"],
        "info" => &["_info"],
        _ => &[],
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("not a name".into());
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
}

fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, false) || name.starts_with("__") {
            return Err(format!("{name:?} is not the name of a label"));
        }
        let end = end_of_quoted(after).ok_or("a value without an end")?;
        let value = unescaped(&after[..end])?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name} twice"));
        }
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = rest.strip_prefix(',').ok_or("neither a comma nor the end after a label")?;
    }
}

fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                _ => return Err("an escape that is none".into()),
            },
            '"' => return Err("a quote that is not escaped".into()),
            c => c,
        });
    }
    Ok(plain)
}

fn number(text: &str) -> Result<f64, String> {
    let fits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if text != "+Inf" && (text.is_empty() || !text.chars().all(fits)) {
        return Err("not a number; timestamps and exemplars are not ours".into());
    }
    text.parse().map_err(|_| "not a number".into())
}

/// What holds within a family.
fn check(family: &Family) -> Result<(), String> {
    if family.kind.is_empty() || family.help.is_empty() {
        return Err("no type or no help".into());
    }
    if let Some(unit) = &family.unit
        && !family.name.ends_with(&format!("_{unit}"))
    {
        return Err(format!("the name does not end with the unit {unit}"));
    }
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("a series twice: {sample:?}"));
        }
        let wanted: BTreeSet<_> = family.samples[0].labels.keys().filter(|name| *name != "le").collect();
        let found: BTreeSet<_> = sample.labels.keys().filter(|name| *name != "le").collect();
        if found != wanted {
            return Err(format!("series with different labels: {sample:?}"));
        }
        let fits = match family.kind.as_str() {
            "info" => (sample.value - 1.0).abs() < f64::EPSILON,
            "gauge" => sample.value.is_finite(),
            _ => sample.value >= 0.0 && sample.value.is_finite(),
        };
        if !fits {
            return Err(format!("a value that cannot be: {sample:?}"));
        }
        if sample.labels.contains_key("le") != sample.name.ends_with("_bucket") {
            return Err(format!("`le` belongs to buckets: {sample:?}"));
        }
    }
    if family.kind == "histogram" { buckets(family) } else { Ok(()) }
}

/// Bounds grow up to infinity, counts grow with them, and the last is the count of all.
fn buckets(family: &Family) -> Result<(), String> {
    let mut of: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for bucket in family.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let mut labels = bucket.labels.clone();
        let le = labels.remove("le").ok_or("a bucket without a bound")?;
        if le != "+Inf" && !le.contains(['.', 'e']) {
            return Err(format!("the bound {le} is not written as OpenMetrics wants it"));
        }
        of.entry(labels).or_default().push((number(&le)?, bucket.value));
    }
    for (labels, buckets) in of {
        let rising = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let value = |suffix: &str| {
            let name = format!("{}{suffix}", family.name);
            family.samples.iter().find(|sample| sample.name == name && sample.labels == labels)
        };
        let count = value("_count").ok_or("no count")?.value;
        value("_sum").ok_or("no sum")?;
        if !rising || buckets.last() != Some(&(f64::INFINITY, count)) {
            return Err(format!("buckets that do not add up: {labels:?} {buckets:?}"));
        }
    }
    Ok(())
}
