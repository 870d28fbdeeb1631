//! Objects that go in parts: each part on its own, and the object appears when all of them are there.
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};

use super::copy::{Attempts, Shared};
use super::failure::{Kind, Trouble};
use super::s3::{Endpoint, Head, Header};
use super::transfer::{Paced, Passed, Tally, pump, tidy, unless_stopped};

impl Shared {
    /// Copies in ranges of the version that was seen; the object appears when all of them are there.
    pub(super) async fn copy_in_parts(
        &self,
        source: &Endpoint,
        key: &str,
        target: &str,
        seen: &Head,
    ) -> Result<Passed, Trouble> {
        let size = seen.facts.size.unwrap_or(0);
        let part_size = self.settings.part_size(size);
        let headers = self.headers(seen);
        let upload = self.destination.create_upload(target, headers).await?;
        let copied = async {
            let mut tally = self.tally();
            let mut etags = Vec::new();
            let mut whole = Passed { crc64: 0, bytes: 0 };
            while whole.bytes < size {
                let first = whole.bytes;
                let length = part_size.min(size - first);
                let mark = tally.mark();
                let mut attempts = Attempts::default();
                let (etag, passed) = loop {
                    let part = self
                        .copy_part(source, key, seen, (first, length), &mut tally, |stream| {
                            let number = etags.len() as u32 + 1;
                            self.destination.upload_part(target, &upload, number, length, stream)
                        })
                        .await;
                    match part {
                        Err(trouble) if trouble.kind != Kind::Changed => {
                            tally.back_to(mark);
                            self.before_another(trouble, &mut attempts).await?;
                        }
                        result => break result?,
                    }
                };
                whole.crc64 =
                    checksum_combine(CrcAlgorithm::Crc64Nvme, whole.crc64, passed.crc64, passed.bytes);
                whole.bytes += passed.bytes;
                self.succeeded();
                etags.push(etag);
            }
            self.destination.complete_upload(target, &upload, &etags).await?;
            Ok(whole)
        }
        .await;
        if copied.is_err() {
            tidy(&self.destination, target, &upload).await;
        }
        copied
    }

    async fn copy_part<F>(
        &self,
        source: &Endpoint,
        key: &str,
        seen: &Head,
        (first, length): (u64, u64),
        tally: &mut Tally,
        send: impl FnOnce(futures::stream::BoxStream<'static, std::io::Result<Bytes>>) -> F,
    ) -> Result<(String, Passed), Trouble>
    where
        F: Future<Output = Result<String, Trouble>>,
    {
        let range = Some((first, first + length - 1));
        let (_, response) = self.read(source, key, range, Some(seen)).await?;
        pump(Paced::new(response, &self.bandwidth, &self.control), length, tally, send).await
    }

    /// Sends a body of unknown length, or of a server that need not know ranges: one part in memory at a time.
    pub(super) async fn upload_buffered(
        &self,
        mut body: Paced<'_>,
        first: Bytes,
        part_size: usize,
        target: &str,
        headers: Vec<Header>,
        tally: &mut Tally,
    ) -> Result<Passed, Trouble> {
        let upload = self.destination.create_upload(target, headers).await?;
        let copied = async {
            let mut etags = Vec::new();
            let mut whole = Passed { crc64: 0, bytes: 0 };
            let mut part = first;
            while !part.is_empty() {
                let passed = passed_of(&part);
                let number = etags.len() as u32 + 1;
                let bytes = part.clone();
                let stream = futures::stream::once(std::future::ready(Ok(bytes)));
                let sent = self.destination.upload_part(target, &upload, number, passed.bytes, stream);
                etags.push(unless_stopped(&self.control, sent).await?);
                whole.crc64 =
                    checksum_combine(CrcAlgorithm::Crc64Nvme, whole.crc64, passed.crc64, passed.bytes);
                whole.bytes += passed.bytes;
                part = body.fill(part_size, tally).await?;
            }
            self.destination.complete_upload(target, &upload, &etags).await?;
            Ok(whole)
        }
        .await;
        if copied.is_err() {
            tidy(&self.destination, target, &upload).await;
        }
        copied
    }
}

/// The CRC64 and length of bytes at hand.
pub(super) fn passed_of(bytes: &Bytes) -> Passed {
    Passed { crc64: checksum(CrcAlgorithm::Crc64Nvme, bytes), bytes: bytes.len() as u64 }
}
