//! Fenced blocks of a page, and what the comment above each says about it.
//!
//! A comment is seen neither in the repository nor in the book:
//!
//! - `<!-- test: run -->`: the commands succeed on the playground, and print what is shown;
//! - `<!-- test: fails -->`: they fail there, and print what is shown;
//! - `<!-- test: save as NAME -->`: the block is a file that later commands use;
//! - `<!-- test: skip, REASON -->`: it cannot run there;
//! - `<!-- test: skip the rest, REASON -->`, once in a page: nor can any block of the page about which nothing is said.

use std::fs;
use std::path::{Path, PathBuf};

/// What happens to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Run,
    Fails,
    Save(String),
    Skip(String),
    /// Nothing is said.
    Unknown(String),
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) page: String,
    /// Line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) role: Role,
}

impl Block {
    /// Whether it shows commands of a shell.
    pub(crate) fn has_commands(&self) -> bool {
        matches!(self.language.as_str(), "console" | "sh" | "bash" | "shell")
    }

    /// Its commands, each with the output that is shown; none of the output where it is `sh`.
    pub(crate) fn commands(&self) -> Vec<(String, Vec<String>)> {
        if self.language != "console" {
            return vec![(self.text.clone(), Vec::new())];
        }
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ").filter(|_| !goes_on) {
                commands.push((command.to_owned(), Vec::new()));
            } else if let Some((command, output)) = commands.last_mut() {
                match line.strip_prefix("> ") {
                    Some(more) if output.is_empty() => command.extend(["\n", more]),
                    None if goes_on => command.extend(["\n", line]),
                    _ => output.push(line.to_owned()),
                }
            } else {
                panic!("{}:{}: the block begins with no command", self.page, self.line);
            }
            goes_on =
                commands.last().is_some_and(|(command, output)| output.is_empty() && command.ends_with('\\'));
        }
        commands
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page for users: the README and all below docs/, by path.
pub(crate) fn pages() -> Vec<String> {
    fn collect(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = vec!["README.md".to_owned()];
    collect(&root().join("docs"), &mut found);
    found.sort();
    found
}

/// All blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    blocks_of(page, &fs::read_to_string(root().join(page)).unwrap())
}

fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let indent = line.len() - start.len();
        match &open {
            None => {
                let ticks = start.len() - start.trim_start_matches('`').len();
                if ticks >= 3 {
                    open = Some((indent, "`".repeat(ticks)));
                    blocks.push(Block {
                        page: page.to_owned(),
                        line: at + 1,
                        language: start[ticks..].trim().to_owned(),
                        text: String::new(),
                        role: role(before),
                    });
                }
                before = start;
            }
            Some((_, fence)) if start.trim_end() == fence => {
                open = None;
                before = "";
            }
            Some((margin, _)) => {
                let line = line.get((*margin).min(indent)..).unwrap_or_default();
                if let Some(block) = blocks.last_mut() {
                    block.text += line;
                    block.text.push('\n');
                }
            }
        }
    }
    let of_the_rest = text.lines().find_map(|line| said(line).strip_prefix("skip the rest, "));
    if let Some(reason) = of_the_rest {
        for block in blocks.iter_mut().filter(|block| block.role == Role::Unknown(String::new())) {
            block.role = Role::Skip(reason.to_owned());
        }
    }
    blocks
}

/// What a line says to the tests, if it is a comment for them.
fn said(line: &str) -> &str {
    line.strip_prefix("<!-- test: ")
        .and_then(|rest| rest.trim_end().strip_suffix("-->"))
        .map(str::trim)
        .unwrap_or_default()
}

fn role(comment: &str) -> Role {
    let said = said(comment);
    match (said, said.strip_prefix("save as "), said.strip_prefix("skip, ")) {
        ("run", ..) => Role::Run,
        ("fails", ..) => Role::Fails,
        (_, Some(name), _) => Role::Save(name.to_owned()),
        (.., Some(reason)) => Role::Skip(reason.to_owned()),
        _ => Role::Unknown(said.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_once_why_its_other_blocks_do_not_run() {
        let text =
            "<!-- test: skip the rest, an alert -->\n\n<!-- test: run -->\n```sh\n1\n```\n\n```sh\n2\n```\n";
        let roles: Vec<_> = blocks_of("page.md", text).into_iter().map(|block| block.role).collect();
        assert_eq!(roles, [Role::Run, Role::Skip("an alert".into())]);
    }

    #[test]
    fn blocks_are_read_with_what_is_said_about_them() {
        let text = "\
1. In a list:

   <!-- test: run -->
   ```console
   $ kubectl get mt \\
       photos
   NAME
   $ cat <<EOF
   > a
   > EOF
   a
   ```

<!-- test: skip, a cluster -->
```sh
true
```

```yaml
a: 1
```
";
        let blocks = blocks_of("page.md", text);
        let roles: Vec<_> = blocks.iter().map(|block| block.role.clone()).collect();
        assert_eq!(roles, [Role::Run, Role::Skip("a cluster".into()), Role::Unknown(String::new())]);
        assert_eq!(
            blocks[0].commands(),
            [
                ("kubectl get mt \\\n    photos".to_owned(), vec!["NAME".to_owned()]),
                ("cat <<EOF\na\nEOF".to_owned(), vec!["a".to_owned()]),
            ]
        );
        assert_eq!((blocks[0].line, blocks[1].line), (4, 15));
        assert_eq!(blocks[2].text, "a: 1\n");
    }
}
