//! The page of error codes, from the table that the client decides by.

use std::fmt::Write as _;

use oms_operator::oms::codes::{Class, CodeEntry, entries, failure_causes};

use crate::{NOTE, row};

pub(crate) fn page() -> String {
    let mut page = format!(
        "# Error codes of OMS\n\n{NOTE}\n\nEvery code that OMS and the gateway in front of it are documented with, and \
         what the operator makes of it. A code that is not here is `unknown`: it is survived, and counted in the metric \
         `oms_operator_unknown_codes_total`.\n\n## Classes\n\n"
    );
    row(&mut page, &["class", "whose move"]);
    row(&mut page, &["---"; 2]);
    for class in Class::ALL {
        row(&mut page, &[&format!("`{}`", class.as_str()), class.whose_move()]);
    }
    let gateway = |entry: &&CodeEntry| entry.code.starts_with("APIGW.");
    codes(
        &mut page,
        "The gateway",
        "Newer gateways write the prefix as `APIG`. Nothing behind the gateway has seen the call.",
        entries().iter().filter(gateway),
    );
    codes(
        &mut page,
        "OMS",
        "Families with the same number often mean the same, but not always: a code counts as a whole, with its \
         HTTP status. Status 200 marks codes that arrive inside a task.",
        entries().iter().filter(|entry| !gateway(entry) && !entry.legacy),
    );
    codes(
        &mut page,
        "Historic codes",
        "Documented for old interfaces; where a code stands above too, that meaning counts.",
        entries().iter().filter(|entry| entry.legacy),
    );
    page.push_str(
        "\n## Causes of a failed task\n\nWhat `status.failure.code` holds once OMS has given up on a task.\n\n",
    );
    row(&mut page, &["code", "where", "class", "cause", "remedy"]);
    row(&mut page, &["---"; 5]);
    for cause in failure_causes() {
        let (code, class) = (format!("`{}`", cause.code), format!("`{}`", cause.class.as_str()));
        row(&mut page, &[&code, cause.side.as_str(), &class, &cause.cause, &cause.remedy]);
    }
    page
}

fn codes<'a>(page: &mut String, title: &str, words: &str, entries: impl Iterator<Item = &'a CodeEntry>) {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|one, other| one.code.cmp(&other.code));
    writeln!(page, "\n## {title}\n\n{words}\n").unwrap();
    row(page, &["code", "HTTP", "class", "meaning", "whose move", "remedy"]);
    row(page, &["---"; 6]);
    for entry in entries {
        let status = entry.http_status.map(|status| status.to_string()).unwrap_or_default();
        let (code, class) = (format!("`{}`", entry.code), format!("`{}`", entry.class.as_str()));
        row(page, &[&code, &status, &class, &entry.meaning, entry.class.whose_move(), &entry.remedy]);
    }
}

/// 432 rows of the reference with 346 distinct codes: the page has all of them.
#[test]
fn the_page_has_every_code_of_the_reference() {
    let page = page();
    let rows =
        page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 5).count();
    assert_eq!(rows, entries().len());
    for entry in entries() {
        assert!(page.contains(&format!("| `{}` |", entry.code)), "{}", entry.code);
    }
}
