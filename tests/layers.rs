//! Who may import whom, and what the product must not contain.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every room of `src/` and the rooms it may use. `lib` only lists them.
const MAY_USE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("oms", &[]),
    ("telemetry", &[]),
    ("emulator", &[]),
    ("leader", &[]),
    ("plan", &["api"]),
    ("engine", &["plan", "oms", "api", "telemetry"]),
    ("cli", &["api", "telemetry"]),
    ("config", &["api", "cli", "leader", "telemetry"]),
    ("controller", &["engine", "plan", "oms", "api", "config", "leader", "telemetry"]),
    ("main", &["api", "cli", "config", "controller", "leader", "telemetry"]),
    ("dev", &["api"]),
    ("bin/oms-emulator", &["emulator"]),
    ("bin/oms-dev", &["dev"]),
];

/// What decisions must not touch: the network, the clock, the runtime.
const NOT_IN_PLAN: &[&[&str]] = &[
    &["async"],
    &["await"],
    &["tokio"],
    &["futures"],
    &["reqwest"],
    &["Instant"],
    &["SystemTime"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["kube", "Client"],
    &["kube", "Api"],
    &["kube", "api"],
    &["kube", "client"],
    &["kube", "runtime"],
];

#[test]
fn every_room_uses_only_what_its_layer_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.len() > 20, "the folder was read");
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let place = file.strip_prefix(&src).unwrap().to_str().unwrap();
            complaints(place, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_forbidden_edge_is_found_however_it_is_written() {
    for (place, code) in [
        ("api/task.rs", "use crate::oms::Client;"),
        ("oms/mod.rs", "use crate::{api::Phase};"),
        ("oms/sign.rs", "fn f(p: crate::api::Phase) {}"),
        ("oms/sign.rs", "use super::super::api::Phase;"),
        ("telemetry/mod.rs", "use super::api::Phase;"),
        ("leader.rs", "use super::api::Phase;"),
        ("oms/sign.rs", "let a = \"\"; let b = '\"'; use crate::api;"),
        ("plan/mod.rs", "use crate::{\n    api::{Phase, Spec},\n    oms::{self, Error},\n};"),
        ("plan/mod.rs", "use crate::telemetry as t;"),
        ("emulator/http.rs", "use crate::oms::sign;"),
        ("engine/act.rs", "#[cfg(feature = \"emulator\")] use crate::emulator::clock;"),
        ("controller/mod.rs", "use crate::dev::ControlPlane;"),
        ("telemetry/http.rs", "use crate::api::GROUP;"),
        ("main.rs", "use oms_operator::engine;"),
        ("bin/oms-emulator.rs", "use oms_operator::oms::Error;"),
        ("plan/mod.rs", "async fn decide() {}"),
        ("plan/mod.rs", "let now = jiff::Timestamp::now();"),
        ("plan/mod.rs", "use std::time::{Duration, Instant};"),
        ("plan/mod.rs", "use kube::{Client, ResourceExt};"),
        ("cellar/mod.rs", "fn a_room_without_a_rule() {}"),
    ] {
        assert!(!complaints(place, code).is_empty(), "{place}: {code}");
    }
}

#[test]
fn what_is_allowed_is_not_complained_about() {
    for (place, code) in [
        ("plan/mod.rs", "use crate::{api::{Phase, Spec}, plan::seen};"),
        (
            "plan/mod.rs",
            "// use crate::oms; async\n/* crate::oms /* nested */ crate::oms */\nuse crate::api;",
        ),
        (
            "plan/mod.rs",
            "let text = \"crate::oms::x\"; let raw = r#\"use crate::oms; \" async\"#; 'a: loop {}",
        ),
        ("plan/mod.rs", "use jiff::Timestamp; fn decide(now: Timestamp) {}"),
        ("oms/model/tasks.rs", "use super::super::Error;"),
        ("emulator/http.rs", "use super::api::Route;"),
        ("engine/mod.rs", "use crate::oms::Error; use crate::telemetry::Metrics;"),
        ("lib.rs", "pub mod oms; pub mod emulator;"),
    ] {
        assert_eq!(complaints(place, code), Vec::<String>::new(), "{place}: {code}");
    }
}

#[test]
fn the_product_links_neither_the_emulator_nor_the_harness_nor_a_second_tls() {
    let product = packages(&[]);
    assert!(product.contains("kube") && product.contains("reqwest"), "the tree was read: {product:?}");
    for development in ["s3s", "rusty-s3", "crc-fast", "tempfile", "indicatif", "fs4"] {
        assert!(!product.contains(development), "{development} is in the product");
    }
    let everything = packages(&["--all-features"]);
    for refused in ["openssl-sys", "native-tls", "aws-lc-sys", "aws-lc-rs", "serde_yaml"] {
        assert!(!everything.contains(refused), "{refused} is in the tree");
    }
}

/// Names of the packages that a build links.
fn packages(features: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What is wrong in the file at `place` (relative to `src/`).
fn complaints(place: &str, code: &str) -> Vec<String> {
    let room = match place.trim_end_matches(".rs").split('/').collect::<Vec<_>>()[..] {
        ["lib"] => return Vec::new(),
        ["bin", program, ..] => format!("bin/{program}"),
        [room, ..] => room.to_owned(),
        [] => unreachable!("a split has one part at least"),
    };
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{place}: room `{room}` has no rule, add one to tests/layers.rs")];
    };
    // `oms/mod.rs` is one below the root, `oms/sign.rs` two.
    let depth = place.trim_end_matches("/mod.rs").split('/').count();
    let paths = paths(&tokens(code));
    let mut found = BTreeSet::new();
    for path in &paths {
        if let Some(used) = used_room(path, depth)
            && used != room
            && !allowed.contains(&used)
        {
            found.insert(format!("{place}: `{room}` must not use `{used}` ({})", path.join("::")));
        }
        let forbidden =
            NOT_IN_PLAN.iter().find(|word| path.windows(word.len()).any(|window| window == **word));
        if let Some(word) = forbidden
            && room == "plan"
        {
            found.insert(format!("{place}: decisions must not use `{}`", word.join("::")));
        }
    }
    found.into_iter().collect()
}

/// The room of ours that a path leads to.
fn used_room(path: &[String], depth: usize) -> Option<&str> {
    let is_room = |name: &&str| MAY_USE.iter().any(|(room, _)| room == name);
    match path.first()?.as_str() {
        "crate" | "oms_operator" => path.get(1).map(String::as_str).filter(is_room),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            path.get(ups).map(String::as_str).filter(|name| ups >= depth && is_room(name))
        }
        _ => None,
    }
}

/// Every path of the code, with the trees of `use` written out; a single name is a path too.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_name(&tokens[at]) {
            at = path_tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path from `at` and returns where it ends.
fn path_tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path = prefix.to_vec();
    loop {
        match token(at) {
            "{" => {
                at += 1;
                while !matches!(token(at), "}" | "") {
                    at = if is_name(token(at)) { path_tree(tokens, at, &path, found) } else { at + 1 };
                }
                return at + 1;
            }
            name if is_name(name) => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => break,
        }
        if token(at) != "::" {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single characters; comments, strings and characters are left out.
fn tokens(code: &str) -> Vec<String> {
    let chars: Vec<char> = code.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match get(at) {
            '/' if get(at + 1) == '/' => at = skip_until(&chars, at, |c| c == '\n'),
            '/' if get(at + 1) == '*' => at = skip_comment(&chars, at),
            '"' => at = skip_string(&chars, at),
            'r' if matches!(get(at + 1), '"' | '#') && raw_string_end(&chars, at).is_some() => {
                at = raw_string_end(&chars, at).unwrap();
            }
            // A character, but not a lifetime.
            '\'' if get(at + 1) == '\\' => at = skip_until(&chars, at + 3, |c| c == '\'') + 1,
            '\'' if get(at + 2) == '\'' => at += 3,
            ':' if get(at + 1) == ':' => {
                tokens.push("::".to_owned());
                at += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = skip_until(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
                tokens.push(chars[at..end].iter().collect());
                at = end;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                at += 1;
            }
        }
    }
    tokens
}

fn skip_until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&at| stop(chars[at])).unwrap_or(chars.len())
}

fn skip_comment(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match chars[at..(at + 2).min(chars.len())] {
            ['/', '*'] => {
                depth += 1;
                at += 2;
            }
            ['*', '/'] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn skip_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where the raw string that starts at `from` ends; `None` when none does (`r#type` is a name).
fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let quote = skip_until(chars, from + 1, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - from - 1;
    let closes = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (quote + 1..chars.len()).find(closes).map(|at| at + 1 + hashes)
}
