//! The checks of URL lists: what a create looks at, and what CheckUrlSourceListFileFormat reads (codes OMS.0173 to
//! OMS.0188 of the OMS API reference 8.2).

use percent_encoding::percent_decode_str;

use super::destination_store;
use crate::emulator::{
    mover::{Keys, ListFile},
    service::Service,
    stores::ListFileProblem,
    wire::refusal::{
        Refusal, URL_LIST_BOM, URL_LIST_CODING, URL_LIST_ENCODING, URL_LIST_KEY, URL_LIST_LAYOUT,
        URL_LIST_LINE, URL_LIST_METADATA, URL_LIST_MISSING, URL_LIST_PROTOCOL, URL_LIST_SIZE,
        URL_LIST_SUFFIX, URL_LIST_TYPE, URL_LIST_URL,
    },
};

/// Characters of a line.
const LONGEST_LINE: usize = 65_535;
/// Characters of an object name.
const LONGEST_KEY: usize = 1024;

impl Service {
    /// What can be told of a URL list without reading it.
    pub(super) async fn check_url_list_head(
        &self,
        region: &str,
        list: &ListFile,
        keys: &Keys,
    ) -> Result<(), Refusal> {
        let store = destination_store(&self.stores, region)?;
        let head = match self.stores.look_at_list(store, region, list, keys).await {
            Ok(head) => head,
            Err(ListFileProblem::Missing) => return Err(URL_LIST_MISSING),
            Err(ListFileProblem::Access) => return Err(URL_LIST_METADATA),
        };
        if head.content_type != "text/plain" {
            Err(URL_LIST_TYPE)
        } else if !head.content_encoding.is_empty() {
            Err(URL_LIST_ENCODING)
        } else if head.size >= 1 << 30 {
            Err(URL_LIST_SIZE)
        } else if head.has_bom {
            Err(URL_LIST_BOM)
        } else {
            Ok(())
        }
    }

    /// Reads a URL list from beginning to end.
    pub(super) async fn check_url_list_format(
        &self,
        region: &str,
        list: &ListFile,
        keys: &Keys,
    ) -> Result<(), Refusal> {
        if !list.key.as_bytes().ends_with(b".txt") {
            return Err(URL_LIST_SUFFIX);
        }
        self.check_url_list_head(region, list, keys).await?;
        let store = destination_store(&self.stores, region)?;
        let read = self.stores.read_list(store, region, list, keys).await;
        let mut answer = read.map_err(|_: ListFileProblem| URL_LIST_MISSING)?;
        let mut lines = Lines::default();
        while let Some(chunk) = answer.chunk().await.map_err(|_| URL_LIST_MISSING)? {
            lines.feed(&chunk)?;
        }
        lines.finish()
    }
}

/// The lines of a list, as they arrive.
#[derive(Debug, Default)]
struct Lines {
    /// The line that has begun.
    begun: Vec<u8>,
    /// Lines that were no blank ones.
    entries: u64,
}

impl Lines {
    fn feed(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let mut parts = chunk.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.begun.extend_from_slice(part);
            self.end_line()?;
        }
        self.begun.extend_from_slice(last);
        // No character takes more than four bytes, and the line end may be two.
        if self.begun.len() > LONGEST_LINE * 4 + 1 { Err(URL_LIST_LINE) } else { Ok(()) }
    }

    fn finish(mut self) -> Result<(), Refusal> {
        self.end_line()?;
        if self.entries == 0 { Err(URL_LIST_LAYOUT) } else { Ok(()) }
    }

    fn end_line(&mut self) -> Result<(), Refusal> {
        let line = std::mem::take(&mut self.begun);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return Ok(());
        }
        self.entries += 1;
        check_line(std::str::from_utf8(line).map_err(|_| URL_LIST_CODING)?)
    }
}

/// A line is a URL, a tab and the name of the object, both encoded.
fn check_line(line: &str) -> Result<(), Refusal> {
    if line.chars().count() > LONGEST_LINE {
        return Err(URL_LIST_LINE);
    }
    let mut columns = line.split('\t');
    let (url, name) = match (columns.next(), columns.next()) {
        (Some(url), Some(name)) if !url.is_empty() && !name.is_empty() => (url, name),
        _ => return Err(URL_LIST_LAYOUT),
    };
    let decoded = |text| percent_decode_str(text).decode_utf8().map_err(|_| URL_LIST_CODING);
    decoded(url)?;
    let parsed = url::Url::parse(url).map_err(|_| URL_LIST_URL)?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(URL_LIST_PROTOCOL);
    }
    if decoded(name)?.chars().count() > LONGEST_KEY { Err(URL_LIST_KEY) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &[u8], chunk: usize) -> String {
        let mut lines = Lines::default();
        let read = text.chunks(chunk).try_for_each(|chunk| lines.feed(chunk));
        match read.and_then(|()| lines.finish()) {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => refusal.code.into_owned(),
        }
    }

    #[test]
    fn every_mistake_in_a_list_has_its_code_however_it_arrives() {
        let long_name = format!("http://h/a\t{}", "n".repeat(1025));
        let longest_name = format!("http://h/a\t{}", "n".repeat(1024));
        let long_line = format!("http://h/{}\tn", "a".repeat(65_535));
        for (text, expected) in [
            (&b"http://h/a\ta\n"[..], "ok"),
            (b"http://h/a\ta\r\n\nhttps://h/b\tb/%E7%85%A7", "ok"),
            ("http://h/照\t照\n".as_bytes(), "ok"),
            (longest_name.as_bytes(), "ok"),
            (b"", "OMS.0176"),
            (b"\n\n", "OMS.0176"),
            (b"http://h/a\n", "OMS.0176"),
            (b"http://h/a\t\n", "OMS.0176"),
            (b"http://h/a a\n", "OMS.0176"),
            (b"\ta\n", "OMS.0176"),
            (b"http://h/a\ta\nhttp://\tb\n", "OMS.0173"),
            (b"nowhere\tb\n", "OMS.0173"),
            (b"ftp://h/a\ta\n", "OMS.0177"),
            (b"http://h/\xff\ta\n", "OMS.0174"),
            (b"http://h/%FF\ta\n", "OMS.0174"),
            (b"http://h/a\t%FF\n", "OMS.0174"),
            (long_name.as_bytes(), "OMS.0178"),
            (long_line.as_bytes(), "OMS.0179"),
        ] {
            for chunk in [1, 7, 1 << 20] {
                assert_eq!(
                    code(text, chunk),
                    expected,
                    "{:?}",
                    String::from_utf8_lossy(&text[..text.len().min(60)])
                );
            }
        }
        assert_eq!(code(&vec![b'a'; 300_000], 4096), "OMS.0179", "a line without an end");
    }
}
