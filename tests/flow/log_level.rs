//! The log level can be changed while the operator runs, by the file of `--config`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oms_operator::api::Phase;
use rustix::process::Signal;

use crate::operator::{Operator, OperatorFlags};
use crate::world::{LIMIT, Setup, World, eventually};

/// Only lines of this level are looked for; nothing else of a resting operator is at it.
const DEBUG: &str = "\"level\":\"DEBUG\"";

/// A mounted ConfigMap: what is in it is exchanged behind a symbolic link.
struct Mount {
    folder: PathBuf,
    versions: u32,
}

impl Mount {
    fn new(world: &World, text: &str) -> Self {
        let mut mount = Self { folder: world.folder().join("mounted"), versions: 0 };
        std::fs::create_dir_all(&mount.folder).unwrap();
        std::os::unix::fs::symlink("..data/config.yaml", mount.file()).unwrap();
        mount.put(text);
        mount
    }

    fn file(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    fn put(&mut self, text: &str) {
        self.versions += 1;
        let version = format!("..version-{}", self.versions);
        std::fs::create_dir_all(self.folder.join(&version)).unwrap();
        std::fs::write(self.folder.join(&version).join("config.yaml"), text).unwrap();
        self.link(Path::new(&version));
    }

    fn link(&self, target: &Path) {
        let new = self.folder.join("..data_tmp");
        std::os::unix::fs::symlink(target, &new).unwrap();
        std::fs::rename(&new, self.folder.join("..data")).unwrap();
    }
}

/// The last line about the file, waited for.
async fn told(operator: &Operator, words: &[&str]) -> String {
    eventually(&format!("a line says {words:?}"), async || {
        let log = operator.log();
        let found = log.lines().rev().find(|line| words.iter().all(|word| line.contains(word)));
        found.map(str::to_owned).ok_or_else(|| operator.log_tail(5))
    })
    .await
}

fn count(operator: &Operator, text: &str) -> usize {
    operator.log().matches(text).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_log_level_applies_without_a_restart_and_a_wrong_one_leaves_the_former() {
    let mut world = Setup::default().unoperated().start().await;
    let mut mount = Mount::new(&world, "logLevel: info\n");
    // Its clock runs fast, so that the file is looked at ten times a second. The file wins over the flag.
    let flags = OperatorFlags { log: "debug", ..OperatorFlags::default() }
        .scaled(50)
        .with(format!("--config={}", mount.file().display()));
    world.start_operator(&flags).await;
    world.put_objects(1).await;
    world.migration("first").apply().await.wait_phase(Phase::Succeeded).await;
    let operator = &world.operators[0];
    assert_eq!(count(operator, DEBUG), 0, "the file says info");

    mount.put("logLevel: info,oms_operator=debug\n");
    told(operator, &["changed, in effect now", "\"to\":\"info,oms_operator=debug\"", "logLevel"]).await;
    world
        .migration("second")
        .with("/destination/prefix", "b/")
        .apply()
        .await
        .wait_phase(Phase::Succeeded)
        .await;
    // Calls are told at that level.
    told(operator, &[DEBUG, "called OMS"]).await;

    mount.put("logLevel: verbose\n");
    let line = told(operator, &["the config file is not taken", "`logLevel`: log level"]).await;
    assert!(line.contains("verbose") && line.contains("\"level\":\"WARN\""), "{line}");
    let before = count(operator, "called OMS");
    world
        .migration("third")
        .with("/destination/prefix", "c/")
        .apply()
        .await
        .wait_phase(Phase::Succeeded)
        .await;
    assert!(count(operator, "called OMS") > before, "the former level holds");
    mount.put("loglevel: warn\n");
    told(operator, &["the config file is not taken", "unknown field `loglevel`"]).await;
    mount.link(Path::new("gone"));
    told(operator, &["the config file is not taken", "cannot be read"]).await;

    mount.put("logLevel: error\nlogFormat: text\n");
    told(operator, &["logFormat", "changed, takes effect after a restart"]).await;
    told(operator, &["changed, in effect now", "\"to\":\"error\""]).await;
    let lines = operator.log().lines().count();
    world.existing("first").delete().await;
    world.existing("first").wait_gone().await;
    let log = operator.log();
    let after: Vec<_> = log.lines().skip(lines).collect();
    // A level does not silence the audit.
    assert!(!after.is_empty(), "the record was deleted");
    assert!(after.iter().all(|line| line.contains("oms_operator::audit")), "{after:#?}");

    // What the file no longer says is the flag's again. SIGHUP asks for a look at once.
    mount.put("");
    world.operator().signal(Signal::HUP);
    let operator = &world.operators[0];
    told(operator, &["changed, in effect now", "\"from\":\"error\"", "\"to\":\"debug\""]).await;
    for (line, times) in [("verbose", 1), ("unknown field", 1), ("cannot be read", 1), ("takes effect", 2)] {
        assert_eq!(count(operator, line), times, "{line}: said once per change");
    }
    assert!(world.operator().terminate(LIMIT).await.is_some_and(|status| status.success()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_file_that_is_wrong_at_the_start_ends_the_operator_with_one_line() {
    let world = Setup::default().unoperated().start().await;
    let mount = Mount::new(&world, "logLevel: loud\n");
    let flags = OperatorFlags::default().with(format!("--config={}", mount.file().display()));
    let mut operator = world.spawn_operator(&flags);
    let ended = operator.exited(Duration::from_secs(30)).await;
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
    let log = operator.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    let path = mount.file().display().to_string();
    assert!(
        log.starts_with(&format!("oms-operator: --config: {path}: `logLevel`: log level \"loud\"")),
        "{log}"
    );
}
