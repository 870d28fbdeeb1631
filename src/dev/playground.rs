//! `make dev`: the whole stack, until somebody ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bucket::Endpoint;
use super::error::{Context, Result};
use super::stack::{self, Cluster, Programs, Stack};

/// Folder of the environment file, in the current folder.
const FOLDER: &str = ".dev";

/// Runs until `cancel`, or until a part of the stack dies (an error).
pub async fn run(programs: Programs, cluster: Cluster, cancel: &CancellationToken) -> Result<()> {
    let tell = |line: String| println!("{line}");
    stack::with_stack(programs, cluster, cancel, tell, async |stack| stay(stack).await).await?;
    println!("Ended");
    Ok(())
}

async fn stay(stack: &mut Stack) -> Result<()> {
    let environment = Environment::write(Path::new(FOLDER), &environment_text(stack))?;
    println!(
        "\n\
         Ready. In another terminal:\n\n\
         \x20 source {}\n\
         \x20 kubectl get connections\n\n\
         Make buckets with `oms-dev bucket make photos photos-archive`, or through S3 at $S3_SOURCE_ENDPOINT and\n\
         $S3_DESTINATION_ENDPOINT; then apply a MigrationTask.\n\
         Logs: {}\n\
         Ctrl-C ends everything.",
        environment.file.display(),
        stack.logs().display(),
    );
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stack.check()?;
        if let Some(how) = stack.revive_operator()? {
            println!("oms-operator ended ({how}); started it again");
        }
    }
}

/// The file to be sourced; removed on drop.
struct Environment {
    file: PathBuf,
}

impl Environment {
    /// Whoever sees the file can use everything in it: it appears whole and last.
    fn write(folder: &Path, text: &str) -> Result<Self> {
        fs::create_dir_all(folder).context(format_args!("Could not create {}", folder.display()))?;
        let file = folder.join("env");
        let partial = folder.join(format!(".env.{}", std::process::id()));
        fs::write(&partial, text)
            .and_then(|()| fs::rename(&partial, &file))
            .context(format_args!("Could not write {}", file.display()))?;
        Ok(Self { file })
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        if let Some(folder) = self.file.parent() {
            // Only when nobody else keeps something there.
            let _ = fs::remove_dir(folder);
        }
    }
}

fn environment_text(stack: &Stack) -> String {
    let mut lines = String::from("# The playground's environment; gone when the playground ends.\n");
    let mut export = |name: &str, value: &str| {
        lines.push_str("export ");
        lines.push_str(name);
        lines.push('=');
        lines.push_str(&quoted(value));
        lines.push('\n');
    };
    export("KUBECONFIG", &stack.plane.kubeconfig().display().to_string());
    export("OMS_ENDPOINT", &stack.oms);
    export("OMS_ADMIN_ENDPOINT", &stack.admin);
    export("OMS_METRICS_ENDPOINT", &stack.metrics);
    export("OMS_PROJECT_ID", &stack.project_id);
    export("OMS_ACCESS_KEY", &stack.access_key);
    export("OMS_SECRET_KEY", &stack.secret_key);
    for (side, Endpoint { url, region, cloud, access_key, secret_key }) in
        [("SOURCE", &stack.source), ("DESTINATION", &stack.destination)]
    {
        export(&format!("S3_{side}_ENDPOINT"), url);
        export(&format!("S3_{side}_ACCESS_KEY"), access_key);
        export(&format!("S3_{side}_SECRET_KEY"), secret_key);
        export(&format!("S3_{side}_REGION"), region);
        export(&format!("S3_{side}_CLOUD"), cloud);
    }
    let folders = [Some(stack.plane.tools().folder()), stack.programs()];
    let folders: String =
        folders.into_iter().flatten().map(|folder| quoted(&folder.display().to_string()) + ":").collect();
    lines + &format!("export PATH={folders}\"$PATH\"\n")
}

/// In single quotes for a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let value = "a b'c\"d$e`f\\g";
        let script = format!("printf %s {}", quoted(value));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }

    #[test]
    fn the_environment_file_goes_with_the_playground() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(".dev");
        let environment = Environment::write(&place, "export A='b'\n").unwrap();
        assert_eq!(fs::read_to_string(place.join("env")).unwrap(), "export A='b'\n");
        drop(environment);
        assert!(!place.exists());
    }
}
