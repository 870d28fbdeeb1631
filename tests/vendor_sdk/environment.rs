//! A virtual environment with the vendor's SDK, made once per machine, SDK version and Python version.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sha2::{Digest as _, Sha256};

/// The interpreter of the environment, which is made when it is not there yet. The error says what is missing.
pub fn python(requirements: &Path) -> Result<PathBuf, String> {
    let wanted =
        fs::read_to_string(requirements).map_err(|error| format!("{}: {error}", requirements.display()))?;
    let version =
        said(Command::new("python3").args(["-c", "import sys; print(sys.implementation.cache_tag)"]))
            .map_err(|error| {
                format!(
                    "Missing tool `python3`: it runs the vendor's SDK; install Python 3.9 or later ({error})"
                )
            })?;
    let digest = Sha256::digest(wanted.as_bytes());
    let key = format!("{}-{}", version.trim(), &data_encoding::HEXLOWER.encode(&digest)[..12]);
    let folder = cache()?.join(key);
    let python = folder.join("bin/python");
    if !python.exists() {
        make(&folder, requirements)?;
    }
    Ok(python)
}

fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let cache = cache.ok_or("Neither `HOME` nor `XDG_CACHE_HOME` is set, so there is no cache folder")?;
    Ok(cache.join("oms-operator/python"))
}

/// Makes the environment beside its place and moves it there whole, so that nobody meets half of one. Who comes second
/// when two make it at once, throws its own away.
fn make(folder: &Path, requirements: &Path) -> Result<(), String> {
    let parent = folder.parent().ok_or("no folder to be in")?;
    fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    let making = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(parent)
        .map_err(|error| format!("{}: {error}", parent.display()))?;
    let made = making.path().join("made");
    install(&made, requirements)?;
    match fs::rename(&made, folder) {
        Err(error) if !folder.join("bin/python").exists() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

fn install(made: &Path, requirements: &Path) -> Result<(), String> {
    let inside = made.join("bin/python");
    let ways: [(&str, &[&str]); 3] =
        [("python3", &["-m", "venv"]), ("virtualenv", &["--quiet"]), ("uv", &["venv", "--quiet"])];
    let mut reasons = Vec::new();
    for (program, arguments) in ways {
        let _ = fs::remove_dir_all(made);
        match said(Command::new(program).args(arguments).arg(made)) {
            Ok(_) => {
                let mut pip = if program == "uv" {
                    let mut uv = Command::new("uv");
                    uv.args(["pip", "install", "--quiet", "--python"]).arg(&inside);
                    uv
                } else {
                    let mut pip = Command::new(&inside);
                    pip.args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--disable-pip-version-check",
                        "--no-input",
                    ]);
                    pip
                };
                return said(pip.arg("--requirement").arg(requirements)).map(drop).map_err(|error| {
                    format!("The vendor's SDK cannot be installed from PyPI; it is needed once per machine: {error}")
                });
            }
            Err(error) => reasons.push(format!("  {program}: {error}")),
        }
    }
    Err(format!(
        "Cannot make a virtual environment for the vendor's SDK; install one of python3-venv, virtualenv, uv:\n{}",
        reasons.join("\n"),
    ))
}

/// What a program printed, if it succeeded; else what it complained of.
fn said(command: &mut Command) -> Result<String, String> {
    let output: Output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{}: {} {}", output.status, text(&output.stdout), text(&output.stderr)))
}
