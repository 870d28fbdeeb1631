//! The one layer of an image: the whole root file system.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::dev::error::{Context, Result};

/// Where the program's TLS looks for certificates first, without the root's slash.
pub const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The certificates that Mozilla trusts for servers, as PEM. Their order is that of the crate, which `Cargo.lock` pins.
pub fn certificates() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = data_encoding::BASE64.encode(certificate);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = tail;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// Writes the layer with a program and the certificates, compressed.
pub fn write(path: &Path, name: &str, binary: &Path, epoch: u64) -> Result<()> {
    let program = fs::read(binary).context(format_args!("Could not read {}", binary.display()))?;
    let doing = || format!("Could not write {}", path.display());
    let file = File::create(path).context(doing())?;
    // No name and no time in the head of the compressed file.
    let compressed = GzBuilder::new().write(file, Compression::best());
    let mut layer = Builder::new(compressed);
    let certificates = certificates();
    let mut write = || -> std::io::Result<()> {
        for folder in ["etc/", "etc/ssl/", "etc/ssl/certs/"] {
            add(&mut layer, folder, EntryType::Directory, 0o755, &[], epoch)?;
        }
        add(&mut layer, CERTIFICATES, EntryType::Regular, 0o644, certificates.as_bytes(), epoch)?;
        add(&mut layer, name, EntryType::Regular, 0o755, &program, epoch)
    };
    write().context(doing())?;
    layer.into_inner().and_then(flate2::write::GzEncoder::finish).context(doing())?;
    Ok(())
}

/// Adds an entry that says nothing of this machine: root's, and as old as the commit.
pub(super) fn add<W: Write>(
    archive: &mut Builder<W>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
    epoch: u64,
) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content)
}
