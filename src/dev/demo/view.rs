//! What a person sees of the demo: bars at a terminal, lines elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::api::{Phase, Progress};

/// A progress bar at a terminal; nothing elsewhere, as a log wants results.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(total: u64, what: &str) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new(total) } else { ProgressBar::hidden() };
        bar.set_style(style("{spinner} {msg} [{bar:32}] {bytes}/{total_bytes}"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    pub(super) fn add(&self, size: u64) {
        self.0.inc(size);
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// How a person sees the migration: a bar at a terminal, elsewhere a line per step.
pub(super) struct View {
    bar: Option<ProgressBar>,
    last: Cell<Option<(Phase, u32)>>,
}

impl View {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            bar.set_style(style("{spinner} {prefix:9} [{bar:32}] {percent:>3}%  {msg}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: Cell::new(None) }
    }

    pub(super) fn show(&self, phase: Phase, message: &str, progress: Option<&Progress>) {
        let percent = progress.map_or(0, |progress| progress.percent);
        let details = progress.map_or_else(|| message.to_owned(), describe);
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("{phase:?}"));
            bar.set_position(u64::from(percent));
            bar.set_message(details);
        } else if self.last.replace(Some((phase, percent))) != Some((phase, percent)) {
            println!("{:10} {percent:>3}%  {details}", format!("{phase:?}"));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn describe(progress: &Progress) -> String {
    let objects = &progress.objects;
    let mut text = format!(
        "{}/{} objects, {} of {}",
        objects.succeeded + objects.failed + objects.skipped,
        objects.total,
        HumanBytes(progress.bytes.done),
        HumanBytes(progress.bytes.total),
    );
    if let Some(speed) = &progress.speed {
        text.push_str(", ");
        text.push_str(speed);
    }
    if let Some(remaining) = progress.remaining.as_deref().filter(|text| !text.is_empty()) {
        text.push_str(", ");
        text.push_str(remaining);
        text.push_str(" left");
    }
    if objects.failed > 0 {
        text = format!("{text}, {} failed", objects.failed);
    }
    text
}
