//! As much of PromQL as it takes to see what an expression speaks of.

use std::collections::BTreeSet;

/// Series that an expression asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Selector {
    /// The name of the series.
    pub(crate) metric: String,
    /// Labels, each with the values of which one is wanted or none.
    pub(crate) matchers: Vec<(String, Vec<String>)>,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Everything in an expression that is named like a metric of an exporter: words with an underscore that call nothing.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        let quoted = rest[..start].matches('"').count() % 2 == 1;
        if quoted {
            rest = rest[start..].split_once('"').unwrap().1;
            continue;
        }
        let word = &rest[start..];
        let word = &word[..word.find(|c| !is_word(c)).unwrap_or(word.len())];
        rest = &rest[start + word.len()..];
        // A variable of Grafana's, the labels of a grouping, or a function.
        if expression_variable(expression, rest, word)
            || !word.contains('_')
            || rest.trim_start().starts_with('(')
        {
            continue;
        }
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}').unwrap();
            rest = after;
            found.push(Selector { metric: word.to_owned(), matchers: matchers(inside) });
        } else if !["group_left", "group_right"].contains(&word) {
            found.push(Selector { metric: word.to_owned(), matchers: Vec::new() });
        }
    }
    found
}

/// Whether the word just before `rest` begins with a dollar.
fn expression_variable(expression: &str, rest: &str, word: &str) -> bool {
    expression[..expression.len() - rest.len() - word.len()].ends_with('$')
}

fn matchers(inside: &str) -> Vec<(String, Vec<String>)> {
    let parts: Vec<_> = inside.split('"').collect();
    let pairs = parts.chunks(2).filter(|pair| pair.len() == 2);
    pairs
        .map(|pair| {
            let label = pair[0].trim_matches(|c: char| !is_word(c));
            (label.to_owned(), pair[1].split('|').map(str::to_owned).collect())
        })
        .collect()
}

/// The labels by which an expression groups, or on which it joins.
pub(crate) fn groupings(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in ["by (", "on ("] {
        for rest in expression.split(word).skip(1) {
            let labels = rest.split(')').next().unwrap();
            found.extend(labels.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}

#[test]
fn an_expression_is_taken_apart() {
    let expression = "sum by (kind, le) (rate(a_total{kind=\"x|y\",namespace=~\"$namespace\"}[$__rate_interval])) \
                      / count(b_now) and on (pod) c_d{}";
    let matcher = |label: &str, values: &[&str]| {
        (label.to_owned(), values.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let selector = |metric: &str, matchers: Vec<_>| Selector { metric: metric.to_owned(), matchers };
    assert_eq!(
        selectors(expression),
        [
            selector("a_total", vec![matcher("kind", &["x", "y"]), matcher("namespace", &["$namespace"])]),
            selector("b_now", vec![]),
            selector("c_d", vec![]),
        ]
    );
    assert_eq!(groupings(expression).into_iter().collect::<Vec<_>>(), ["kind", "le", "pod"]);
}
