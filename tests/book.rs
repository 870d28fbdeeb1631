//! The book as it was built: no link inside it leads nowhere. `make docs` builds it and then runs this.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/book")
}

/// Every page, by its path in the book.
fn pages() -> BTreeMap<String, String> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("the book is not built; run `make docs`") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let name = path.strip_prefix(book()).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&book(), &mut found);
    // It is shown at any address, so its links are absolute.
    found.remove("404.html");
    found
}

/// The values of an attribute; what is shown as code is escaped, so quotes do not stand in it.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let opening = format!(" {attribute}=\"");
    page.split(opening.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().unwrap()),
            Component::ParentDir => drop(parts.pop().expect("a link leaves the book")),
            _ => {}
        }
    }
    parts.join("/")
}

/// As a browser reads `%20` and the like, and `&amp;`.
fn decoded(link: &str) -> String {
    percent_encoding::percent_decode_str(&link.replace("&amp;", "&")).decode_utf8().unwrap().into_owned()
}

#[test]
fn every_link_in_the_book_leads_somewhere() {
    let pages = pages();
    let ids: BTreeMap<&str, BTreeSet<String>> = pages
        .iter()
        .map(|(name, page)| (name.as_str(), values(page, "id").into_iter().map(decoded).collect()))
        .collect();
    let mut dead = Vec::new();
    let mut seen = 0;
    for (name, page) in &pages {
        for link in values(page, "href").into_iter().chain(values(page, "src")) {
            if link.contains("://") || link.starts_with("mailto:") || link.starts_with("data:") {
                continue;
            }
            seen += 1;
            let link = decoded(link);
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(name).parent().unwrap();
            let target = if path.is_empty() { name.clone() } else { normal(&folder.join(path)) };
            let file = book().join(&target);
            if !file.is_file() {
                dead.push(format!("{name}: {link}"));
            } else if !anchor.is_empty() && ids.get(target.as_str()).is_some_and(|ids| !ids.contains(anchor))
            {
                dead.push(format!("{name}: {link}, which is no heading there"));
            }
        }
    }
    assert!(dead.is_empty(), "{} links lead nowhere: {dead:#?}", dead.len());
    assert!(seen > 1000, "only {seen} links were seen");
}

#[test]
fn every_page_of_docs_is_in_the_book() {
    let pages = pages();
    let summary = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SUMMARY.md")).unwrap();
    let listed: Vec<_> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(listed.len() > 40, "{listed:?}");
    for page in listed {
        let shown = page.replace("README.md", "index.md").replace(".md", ".html");
        assert!(pages.contains_key(&shown), "the book has no {shown}");
    }
    assert!(
        pages.contains_key("files/examples/connection.yaml.html"),
        "files that pages link to are in the book"
    );
}
