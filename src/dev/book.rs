//! The preprocessor of the book: mdBook gives it all pages and renders what it answers.
//!
//! The pages of `docs/` are read in the repository, too, so they link to files that are not in the book: examples,
//! charts, sources. Each of these becomes a page of the book, and the links lead there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::error::{Context, Error, Result};

/// Folder of the book's own pages.
const SOURCE: &str = "docs";
/// Folder of the other files, in the built book.
const FILES: &str = "files";

/// Reads what mdBook says, and writes the book that it shall render.
pub fn preprocess(mut input: impl Read, output: impl Write) -> Result<()> {
    let mut text = String::new();
    input.read_to_string(&mut text).context("Could not read what mdBook says")?;
    let (context, mut book): (Value, Value) =
        serde_json::from_str(&text).context("Could not read the book that mdBook gives")?;
    let root = PathBuf::from(context["root"].as_str().unwrap_or("."));
    add_files(&mut book, &root)?;
    serde_json::to_writer(output, &book).context("Could not write the book")
}

fn add_files(book: &mut Value, root: &Path) -> Result<()> {
    let Some(items) = book["items"].as_array_mut() else {
        return Err(Error::new("mdBook gives no `items`; the version that `hack/mdbook` pins does"));
    };
    let mut wanted = BTreeSet::new();
    for item in items.iter_mut() {
        relink(item, root, &mut wanted)?;
    }
    // A file that is added may link to further ones.
    let mut added: BTreeMap<String, String> = BTreeMap::new();
    while let Some(file) = wanted.pop_first() {
        if added.contains_key(&file) {
            continue;
        }
        let text = fs::read_to_string(root.join(&file)).context(format_args!("Could not read {file}"))?;
        let page = if is_markdown(&file) {
            relinked(&text, Place { page: &file, shown_at: &shown(&file) }, root, &mut wanted)?
        } else {
            // More backticks than any file has in a row.
            format!("# {file}\n\n``````{}\n{}\n``````\n", language(&file), text.trim_end())
        };
        added.insert(file, page);
    }
    let list: Vec<_> = added.keys().map(|file| format!("- [{file}]({})", shown(file))).collect();
    let title = "Files of the repository";
    let pages: Vec<_> =
        added.into_iter().map(|(file, page)| chapter(&file, &shown(&file), &page, &[title])).collect();
    let text =
        format!("# {title}\n\nFiles that pages of this book link to, as they are.\n\n{}\n", list.join("\n"));
    let mut files = chapter(title, &format!("{FILES}.md"), &text, &[]);
    files["Chapter"]["sub_items"] = Value::Array(pages);
    items.push(files);
    Ok(())
}

fn chapter(name: &str, path: &str, content: &str, parents: &[&str]) -> Value {
    json!({ "Chapter": {
        "name": name, "content": content, "number": null, "sub_items": [], "path": path, "source_path": null,
        "parent_names": parents,
    } })
}

/// Changes the links of a chapter and of those below it.
fn relink(item: &mut Value, root: &Path, wanted: &mut BTreeSet<String>) -> Result<()> {
    let Some(chapter) = item.get_mut("Chapter") else { return Ok(()) };
    if let (Some(path), Some(content)) = (chapter["source_path"].as_str(), chapter["content"].as_str()) {
        let page = format!("{SOURCE}/{path}");
        let text = relinked(content, Place { page: &page, shown_at: path }, root, wanted)?;
        chapter["content"] = text.into();
    }
    for below in chapter["sub_items"].as_array_mut().into_iter().flatten() {
        relink(below, root, wanted)?;
    }
    Ok(())
}

/// A page by its path in the repository, and where the book shows it.
#[derive(Clone, Copy)]
struct Place<'a> {
    page: &'a str,
    shown_at: &'a str,
}

/// The text of a page with its links changed; what they lead to outside of the book goes into `wanted`.
fn relinked(text: &str, place: Place<'_>, root: &Path, wanted: &mut BTreeSet<String>) -> Result<String> {
    let mut result = String::with_capacity(text.len());
    let mut fence: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        let ticks = &start[..start.len() - start.trim_start_matches('`').len()];
        match fence {
            Some(open) if ticks.len() >= open.len() && start.trim() == ticks => fence = None,
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                result.push_str(&relinked_line(line, place, root, wanted)?);
                continue;
            }
            Some(_) => {}
        }
        result.push_str(line);
    }
    Ok(result)
}

fn relinked_line(line: &str, place: Place<'_>, root: &Path, wanted: &mut BTreeSet<String>) -> Result<String> {
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    let mut ticks = 0;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at + 2);
        result.push_str(before);
        ticks += before.matches('`').count();
        rest = after;
        if ticks % 2 == 1 {
            // It is code.
            continue;
        }
        let end = after.find(')').unwrap_or(after.len());
        result.push_str(&target(&after[..end], place, root, wanted)?);
        rest = &after[end..];
    }
    result.push_str(rest);
    Ok(result)
}

/// What a link has to say in the book.
fn target(link: &str, place: Place<'_>, root: &Path, wanted: &mut BTreeSet<String>) -> Result<String> {
    let (path, anchor) = link.find('#').map_or((link, ""), |at| link.split_at(at));
    if path.is_empty() || path.contains(':') {
        return Ok(link.to_owned());
    }
    let folder = Path::new(place.page).parent().unwrap_or(Path::new(""));
    let file = normal(&folder.join(path)).filter(|file| root.join(file).is_file()).ok_or_else(|| {
        Error::new(format!("{} links to {link}; link to a file of the repository", place.page))
    })?;
    let shown = if let Some(page) = file.strip_prefix(&format!("{SOURCE}/")) {
        // mdBook shows it as the page of its folder.
        page.strip_suffix("README.md").map_or(page.to_owned(), |folder| folder.to_owned() + "index.md")
    } else {
        wanted.insert(file.clone());
        shown(&file)
    };
    let up = "../".repeat(Path::new(place.shown_at).components().count() - 1);
    Ok(format!("{up}{shown}{anchor}"))
}

/// Where the book shows a file that is not one of its own pages.
fn shown(file: &str) -> String {
    format!("{FILES}/{file}{}", if is_markdown(file) { "" } else { ".md" })
}

fn is_markdown(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "md")
}

fn language(file: &str) -> &'static str {
    match Path::new(file).extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "rust,ignore",
        Some("yaml" | "yml" | "tpl") => "yaml",
        Some("lua") => "lua",
        Some("json") => "json",
        Some("toml") => "toml",
        _ if file.ends_with("Dockerfile") => "dockerfile",
        _ => "text",
    }
}

/// A path without `.` and `..`; none where it leaves the repository.
fn normal(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            _ => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("docs/guide.md", ""),
            ("docs/adr/README.md", ""),
            ("examples/first.yaml", "kind: MigrationTask\n"),
            ("CONTRIBUTING.md", "See [the guide](docs/guide.md#start) and [first](examples/first.yaml).\n"),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn book_of(page: &str, text: &str, root: &Path) -> Result<Value> {
        let mut book = json!({ "items": [{ "Chapter": {
            "name": "A page", "content": text, "path": page, "source_path": page, "sub_items": [],
        } }] });
        add_files(&mut book, root).map(|()| book)
    }

    #[test]
    fn a_file_outside_of_the_book_becomes_a_page_of_it() {
        let root = repository();
        let book = book_of("how-to/page.md", "[first](../../examples/first.yaml)", root.path()).unwrap();
        assert_eq!(book["items"][0]["Chapter"]["content"], "[first](../files/examples/first.yaml.md)");
        let added = &book["items"][1]["Chapter"]["sub_items"][0]["Chapter"];
        assert_eq!(added["path"], "files/examples/first.yaml.md");
        assert!(added["content"].as_str().unwrap().contains("``````yaml\nkind: MigrationTask\n``````"));
    }

    #[test]
    fn a_page_that_was_added_leads_back_into_the_book_and_to_further_files() {
        let root = repository();
        let book = book_of("page.md", "[code](../CONTRIBUTING.md)", root.path()).unwrap();
        let added = book["items"][1]["Chapter"]["sub_items"].as_array().unwrap();
        assert_eq!(
            added[0]["Chapter"]["content"],
            "See [the guide](../guide.md#start) and [first](../files/examples/first.yaml.md).\n"
        );
        assert_eq!(added[1]["Chapter"]["name"], "examples/first.yaml");
    }

    #[test]
    fn other_links_and_code_stay_as_they_are() {
        let root = repository();
        let text = "[a](#here) [b](https://example.com/x) `[A-Z](x)` [`c`](adr/README.md)\n```sh\necho '[d](../none)'\n```\n";
        let book = book_of("page.md", text, root.path()).unwrap();
        let shown = text.replace("adr/README.md", "adr/index.md");
        assert_eq!(book["items"][0]["Chapter"]["content"].as_str().unwrap(), shown);
    }

    #[test]
    fn a_link_to_nothing_is_told_with_its_page() {
        let root = repository();
        let error = book_of("page.md", "[a](../examples)", root.path()).unwrap_err().to_string();
        assert_eq!(error, "docs/page.md links to ../examples; link to a file of the repository");
    }
}
