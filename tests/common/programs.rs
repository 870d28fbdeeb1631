//! The programs that cargo built for the tests.

use std::path::Path;

/// The `oms-dev` binary, which starts what tests stand on and ends it with them.
pub(crate) fn oms_dev() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oms-dev"))
}
