//! The ConfigMap for Argo CD is made from the Lua files: one script of health and one of discovery for all kinds, and each
//! action once, as Argo CD has no way to let kinds share them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use oms_operator::api;

use crate::{gitops, read, render_with};

/// Every action, in the order in which it is written.
const ACTIONS: [&str; 6] = ["reconcile", "suspend", "resume", "approve", "retry", "rerun"];

/// The actions of a kind.
fn actions(kind: &str) -> &'static [&'static str] {
    match kind {
        "MigrationTask" | "TaskGroup" => &ACTIONS,
        // It has one run and no end.
        "SyncTask" => &ACTIONS[..4],
        _ => &ACTIONS[..1],
    }
}

/// A block of YAML's own kind, which takes Lua as it is.
fn block(text: &str, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") })
        .collect()
}

fn config_map() -> String {
    let health = read("argocd/lua/health.lua");
    let mut text = "# Written by tests/gitops from gitops/argocd/lua; `make docs` writes it anew.\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\ndata:\n"
        .to_owned();
    for kind in api::crds().iter().map(|definition| &definition.spec.names.kind) {
        let key = format!("{}_{kind}", api::GROUP);
        writeln!(text, "  resource.customizations.health.{key}: |").unwrap();
        text += &block(&health, 2);
        let mut of_kind =
            format!("discovery.lua: |\n{}definitions:\n", block(&read("argocd/lua/discovery.lua"), 1));
        for action in actions(kind) {
            let lua = read(&format!("argocd/lua/actions/{action}.lua"));
            write!(of_kind, "- name: {action}\n  action.lua: |\n{}", block(&lua, 2)).unwrap();
        }
        writeln!(text, "  resource.customizations.actions.{key}: |").unwrap();
        text += &block(&of_kind, 2);
    }
    text
}

#[test]
fn the_config_map_for_argo_cd_is_made_from_the_lua_files() {
    let file = gitops("argocd/argocd-cm.yaml");
    let wanted = config_map();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(stored == wanted, "gitops/argocd/argocd-cm.yaml is not what the Lua files say; run `make docs`");
}

#[test]
fn every_lua_file_of_an_action_is_in_use() {
    let files: BTreeSet<String> = std::fs::read_dir(gitops("argocd/lua/actions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, ACTIONS.iter().map(|action| format!("{action}.lua")).collect());
}

/// An install of Argo CD has its ConfigMap in a namespace of its own, with entries of its own.
#[test]
fn the_component_adds_its_entries_to_those_of_an_install() {
    let install = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: argocd-cm, namespace: argocd }\n\
                   data: { url: https://argocd.example }\n";
    let rendered = render_with("argocd", install);
    let entries: BTreeSet<_> = rendered[0]["data"].as_object().unwrap().keys().cloned().collect();
    let mut wanted: BTreeSet<_> = ["url".to_owned()].into();
    for kind in api::crds().iter().map(|definition| &definition.spec.names.kind) {
        wanted.insert(format!("resource.customizations.health.{}_{kind}", api::GROUP));
        wanted.insert(format!("resource.customizations.actions.{}_{kind}", api::GROUP));
    }
    assert_eq!(entries, wanted);
    assert_eq!(rendered[0]["metadata"]["namespace"], "argocd");
}
