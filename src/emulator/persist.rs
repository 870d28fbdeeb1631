//! The state folder: a log of changes, one JSON document per line. An accepted call is in it before it is answered,
//! so that not even SIGKILL makes the emulator forget one.
//!
//! The log holds the secrets of active tasks, else they could not go on after a restart; so folder and file are
//! readable by their owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{
    groups::Group,
    identity::issued::Change,
    mover::Checkpoint,
    notifications::Entry,
    sync::{statistics::Verdict, task::SyncTask},
    tasks::Task,
};

/// A change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// A task as it is now.
    Task(Box<Task>),
    /// How far the objects of a running task are.
    Checkpoint {
        /// The task.
        id: u64,
        /// How far.
        checkpoint: Box<Checkpoint>,
    },
    /// A task was deleted.
    Gone {
        /// The task.
        id: u64,
    },
    /// A group as it is now, with those of its tasks that changed with it: all of it or nothing.
    Group {
        /// The group.
        group: Box<Group>,
        /// The tasks.
        tasks: Vec<Task>,
    },
    /// A group is gone, and its tasks with it.
    GroupGone {
        /// The group.
        id: String,
    },
    /// A group was created, which counts for 24 hours even if it is deleted.
    GroupCreated {
        /// The project.
        project: String,
        /// When.
        at: Timestamp,
    },
    /// The privacy agreement of a project was accepted.
    Agreement {
        /// The project.
        project: String,
    },
    /// A token or a temporary key pair was handed out, or ended before its time.
    Identity(Box<Change>),
    /// A task was created, which counts for 24 hours even if it is deleted.
    Created {
        /// The project.
        project: String,
        /// When.
        at: Timestamp,
    },
    /// A synchronization task as it is now, with its queue.
    SyncTask(Box<SyncTask>),
    /// Objects that a synchronization task is to copy were accepted.
    SyncEvent {
        /// The task.
        id: String,
        /// Keys at the source.
        keys: Vec<String>,
        /// When.
        at: Timestamp,
    },
    /// What became of one of those objects.
    SyncSettled {
        /// The task.
        id: String,
        /// Number of the acceptance.
        number: u64,
        /// What.
        verdict: Verdict,
        /// When.
        at: Timestamp,
    },
    /// A synchronization task was deleted; its ID stays known as that.
    SyncGone {
        /// Its project.
        project: String,
        /// The task.
        id: String,
    },
    /// Somebody was told of an end.
    Notified(Box<Entry>),
}

/// The open log of a state folder. Closing waits until everything is written.
#[derive(Debug)]
pub struct Log {
    sender: Mutex<Option<mpsc::Sender<Message>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Bytes since the last compaction.
    grown: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Append { line: Vec<u8>, done: Option<oneshot::Sender<io::Result<()>>> },
    Replace { lines: Vec<u8> },
}

const LOG: &str = "changes.jsonl";
const LOCK: &str = "lock";

/// A log that has grown by this much since it was last compacted is worth compacting.
const COMPACTION: u64 = 32 * 1024 * 1024;

impl Log {
    /// Opens a state folder, which is made where there is none, and returns what is in it.
    ///
    /// # Errors
    /// When the folder cannot be used, is in use by another process, or holds something else.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<Record>)> {
        make_private_folder(folder)?;
        let lock =
            private(OpenOptions::new().write(true).create(true).truncate(false)).open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| {
            io::Error::new(io::ErrorKind::WouldBlock, format!("another emulator uses this folder: {error}"))
        })?;
        let path = folder.join(LOG);
        let records = read(&path)?;
        let (sender, receiver) = mpsc::channel();
        let writer = Writer { path, folder: folder.to_owned(), file: None, _lock: lock };
        let writer =
            std::thread::Builder::new().name("state".to_owned()).spawn(move || writer.run(&receiver))?;
        let log = Self {
            sender: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            grown: AtomicU64::new(0),
        };
        Ok((log, records))
    }

    /// Appends records in this order; the receiver hears when they are safe on the disk.
    pub fn append(&self, records: &[Record]) -> oneshot::Receiver<io::Result<()>> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Append { line: self.lines(records), done: Some(sender) });
        receiver
    }

    /// Appends a record whose loss would cost nothing but work.
    pub fn append_lazily(&self, record: &Record) {
        self.send(Message::Append { line: self.lines(std::slice::from_ref(record)), done: None });
    }

    /// Whether the log is long enough to be replaced by what it amounts to.
    pub fn wants_compaction(&self) -> bool {
        self.grown.load(Ordering::Relaxed) > COMPACTION
    }

    /// Replaces the log by the given records, which amount to the same.
    pub fn compact(&self, records: &[Record]) {
        let lines = self.lines(records);
        self.grown.store(0, Ordering::Relaxed);
        self.send(Message::Replace { lines });
    }

    /// Waits until everything is written.
    pub fn close(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has no reason to panic, and there is nobody left to tell.
            let _ = writer.join();
        }
    }

    fn lines(&self, records: &[Record]) -> Vec<u8> {
        let mut lines = Vec::new();
        for record in records {
            // These types have neither maps with odd keys nor failing serializers.
            if serde_json::to_writer(&mut lines, record).is_ok() {
                lines.push(b'\n');
            }
        }
        self.grown.fetch_add(lines.len() as u64, Ordering::Relaxed);
        lines
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // A writer that is gone drops the message, and with it the sender of the acknowledgement.
            let _ = sender.send(message);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

struct Writer {
    path: PathBuf,
    folder: PathBuf,
    file: Option<File>,
    /// Held as long as the folder is written.
    _lock: File,
}

impl Writer {
    /// Writes whatever has come meanwhile with one sync.
    fn run(mut self, messages: &mpsc::Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut lines = Vec::new();
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Append { line, done } => {
                        lines.extend_from_slice(&line);
                        waiting.extend(done);
                    }
                    Message::Replace { lines: all } => {
                        // What was gathered so far is part of the replacement.
                        if let Err(error) = self.replace(&all) {
                            tracing::error!(%error, "Cannot compact the state folder; going on with the long log");
                        } else {
                            lines.clear();
                        }
                    }
                }
                next = messages.try_recv().ok();
            }
            let result = self.append(&lines, !waiting.is_empty());
            if let Err(error) = &result {
                tracing::error!(%error, "Cannot write the state folder");
            }
            for done in waiting {
                let result = match &result {
                    Ok(()) => Ok(()),
                    Err(error) => Err(io::Error::from(error.kind())),
                };
                let _ = done.send(result);
            }
        }
    }

    fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(private(OpenOptions::new().append(true).create(true)).open(&self.path)?);
            File::open(&self.folder)?.sync_all()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let whole = file.metadata()?.len();
        if let Err(error) = file.write_all(lines) {
            // Half a line in the middle would spoil all that follows. On a full disk, shrinking still works.
            file.set_len(whole)?;
            return Err(error);
        }
        if sync { file.sync_data() } else { Ok(()) }
    }

    fn replace(&mut self, lines: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
        file.write_all(lines)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(&self.folder)?.sync_all()?;
        self.file = None;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result?,
    };
    let mut records = Vec::new();
    // What follows the last line end was being written when the process died, and was never acknowledged.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for (number, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
        if !line.is_empty() {
            records.push(serde_json::from_slice(line).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is damaged in line {}: {error}", path.display(), number + 1),
                )
            })?);
        }
    }
    if whole < bytes.len() {
        // The next append must not continue half a line.
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(records)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(id: u64) -> Record {
        Record::Gone { id }
    }

    fn ids(records: &[Record]) -> Vec<u64> {
        records
            .iter()
            .filter_map(|record| if let Record::Gone { id } = record { Some(*id) } else { None })
            .collect()
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (log, records) = Log::open(folder.path()).unwrap();
        assert!(records.is_empty());
        log.append(&[gone(1), gone(2)]).await.unwrap().unwrap();
        log.append_lazily(&gone(3));
        drop(log);
        assert_eq!(ids(&Log::open(folder.path()).unwrap().1), [1, 2, 3]);
    }

    #[tokio::test]
    async fn half_a_line_is_dropped_and_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOG), "{\"gone\":{\"id\":1}}\n{\"gone\":{\"i").unwrap();
        let (log, records) = Log::open(folder.path()).unwrap();
        assert_eq!(ids(&records), [1]);
        log.append(&[gone(2)]).await.unwrap().unwrap();
        drop(log);
        assert_eq!(ids(&Log::open(folder.path()).unwrap().1), [1, 2]);
    }

    #[tokio::test]
    async fn compaction_keeps_what_came_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(folder.path()).unwrap();
        log.append_lazily(&gone(1));
        log.compact(&[gone(7)]);
        log.append(&[gone(8)]).await.unwrap().unwrap();
        drop(log);
        assert_eq!(ids(&Log::open(folder.path()).unwrap().1), [7, 8]);
    }

    #[test]
    fn a_folder_in_use_or_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(folder.path()).unwrap();
        assert!(Log::open(folder.path()).unwrap_err().to_string().contains("another emulator"));
        drop(log);
        fs::write(folder.path().join(LOG), "hello\n").unwrap();
        assert!(Log::open(folder.path()).unwrap_err().to_string().contains("line 1"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_read_the_log() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(folder.path()).unwrap();
        log.append(&[gone(1)]).await.unwrap().unwrap();
        let mode = fs::metadata(folder.path().join(LOG)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
