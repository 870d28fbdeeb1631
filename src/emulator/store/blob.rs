//! Bytes on disk: each upload or part is one file with a number for a name, never changed once written.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use futures::{Stream, StreamExt};
use md5::{Digest, Md5};
use s3s::dto::StreamingBlob;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Bytes read from a file at once.
const READ_CHUNK: u64 = 128 * 1024;

/// From so many zeros in a row on, a file gets a hole in their place: huge test objects then cost no disk.
const HOLE: usize = 4096;

/// A file of bytes. It is removed when it was marked obsolete and its last reader is gone.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) id: u64,
    pub(super) size: u64,
    path: PathBuf,
    obsolete: AtomicBool,
}

impl Blob {
    /// Nothing refers to the file any more but readers.
    pub(super) fn retire(&self) {
        self.obsolete.store(true, Ordering::Release);
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            // A file that stays behind is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A blob that is not referred to yet: it goes with this value unless it is kept.
#[derive(Debug)]
pub(super) struct Written {
    blob: Option<Arc<Blob>>,
    pub(super) md5: [u8; 16],
    pub(super) crc64: u64,
    pub(super) size: u64,
}

impl Written {
    /// The blob, now in the care of the caller.
    pub(super) fn keep(mut self) -> Arc<Blob> {
        self.blob.take().unwrap_or_else(|| unreachable!("a written blob is kept once"))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(blob) = &self.blob {
            blob.retire();
        }
    }
}

/// The folder of blobs.
#[derive(Debug)]
pub(super) struct Blobs {
    dir: PathBuf,
    next: AtomicU64,
}

impl Blobs {
    /// Opens the folder and removes the files whose number is not among `wanted`.
    pub(super) fn open(dir: PathBuf, wanted: &std::collections::HashSet<u64>) -> std::io::Result<Self> {
        let mut last = wanted.iter().copied().max().unwrap_or(0);
        for shard in 0..=255u8 {
            let shard_dir = dir.join(format!("{shard:02x}"));
            std::fs::create_dir_all(&shard_dir)?;
            for entry in std::fs::read_dir(&shard_dir)? {
                let entry = entry?;
                let id = entry.file_name().to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
                let Some(id) = id else { continue };
                last = last.max(id);
                if !wanted.contains(&id) {
                    std::fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(Self { dir, next: AtomicU64::new(last + 1) })
    }

    fn path(dir: &Path, id: u64) -> PathBuf {
        dir.join(format!("{:02x}", id & 0xff)).join(format!("{id:016x}"))
    }

    /// A blob that an earlier process wrote.
    pub(super) fn known(&self, id: u64, size: u64) -> Arc<Blob> {
        Arc::new(Blob { id, size, path: Self::path(&self.dir, id), obsolete: AtomicBool::new(false) })
    }

    /// Writes a stream to a new file, hashing on the way.
    ///
    /// # Errors
    /// When the stream breaks off or the disk refuses; nothing stays behind then.
    pub(super) async fn write<S, E>(&self, mut stream: S) -> Result<Written, WriteError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let path = Self::path(&self.dir, id);
        let mut md5 = Md5::new();
        let mut crc = Crc::new(CrcAlgorithm::Crc64Nvme);
        let mut size = 0u64;
        let file = tokio::fs::File::create(&path).await?;
        // From here on the file goes when this value is dropped before it is complete.
        let mut unfinished = Written {
            blob: Some(Arc::new(Blob { id, size: 0, path: path.clone(), obsolete: AtomicBool::new(false) })),
            md5: [0; 16],
            crc64: 0,
            size: 0,
        };
        let mut file = tokio::io::BufWriter::with_capacity(256 * 1024, file);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| WriteError::Incomplete)?;
            md5.update(&chunk);
            crc.update(&chunk);
            size += chunk.len() as u64;
            if chunk.len() >= HOLE && chunk.iter().all(|byte| *byte == 0) {
                file.seek(std::io::SeekFrom::Current(chunk.len() as i64)).await?;
            } else {
                file.write_all(&chunk).await?;
            }
        }
        file.flush().await?;
        // A hole at the end counts too.
        file.get_ref().set_len(size).await?;
        unfinished.blob = Some(Arc::new(Blob { id, size, path, obsolete: AtomicBool::new(false) }));
        unfinished.md5 = md5.finalize().into();
        unfinished.crc64 = crc.finalize();
        unfinished.size = size;
        Ok(unfinished)
    }
}

/// Why an upload did not become a blob.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The client stopped sending.
    #[error("the request body ended early")]
    Incomplete,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] std::io::Error),
}

/// Streams `length` bytes from `start` of the concatenated blobs.
///
/// # Errors
/// When a file cannot be opened or a small body cannot be read.
pub(super) async fn read(blobs: &[Arc<Blob>], start: u64, length: u64) -> std::io::Result<StreamingBlob> {
    let mut pieces = Vec::new();
    let mut offset = 0u64;
    for blob in blobs {
        let from = start.max(offset);
        let to = (start + length).min(offset + blob.size);
        if from < to {
            let mut file = tokio::fs::File::open(&blob.path).await?;
            if from > offset {
                file.seek(std::io::SeekFrom::Start(from - offset)).await?;
            }
            pieces.push((file, to - from));
        }
        offset += blob.size;
    }
    if length <= READ_CHUNK {
        let mut bytes = Vec::with_capacity(length as usize);
        for (file, size) in pieces {
            file.take(size).read_to_end(&mut bytes).await?;
        }
        let once = futures::stream::once(std::future::ready(Ok::<_, std::io::Error>(Bytes::from(bytes))));
        return Ok(StreamingBlob::wrap(once));
    }
    let (sender, mut receiver) = mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::spawn(async move {
        for (mut file, mut left) in pieces {
            while left > 0 {
                let mut chunk = vec![0; left.min(READ_CHUNK) as usize];
                let read = file.read_exact(&mut chunk).await;
                left -= chunk.len() as u64;
                let failed = read.is_err();
                // Nobody listens any more when the client is gone.
                if sender.send(read.map(|_| Bytes::from(chunk))).await.is_err() || failed {
                    return;
                }
            }
        }
    });
    Ok(StreamingBlob::wrap(futures::stream::poll_fn(move |context| receiver.poll_recv(context))))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[tokio::test]
    async fn zeros_cost_no_disk_and_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_owned(), &HashSet::new()).unwrap();
        let zeros = Bytes::from(vec![0; 1 << 20]);
        let data = Bytes::from_static(b"data");
        let chunks = [zeros.clone(), data.clone(), zeros.clone(), zeros];
        let whole: Vec<u8> = chunks.concat();
        let stream = futures::stream::iter(chunks.map(Ok::<_, std::io::Error>));
        let written = blobs.write(stream).await.unwrap();
        assert_eq!(written.md5, <[u8; 16]>::from(Md5::digest(&whole)));
        let blob = written.keep();
        let file = std::fs::metadata(&blob.path).unwrap();
        assert_eq!(file.len(), whole.len() as u64);
        assert!(file.blocks() * 512 < 1 << 19, "{} blocks", file.blocks());
        let mut again = Vec::new();
        let mut stream = read(&[blob], 0, whole.len() as u64).await.unwrap();
        while let Some(chunk) = stream.next().await {
            again.extend_from_slice(&chunk.unwrap());
        }
        assert!(again == whole);
    }
}
