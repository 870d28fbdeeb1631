//! A pass that panics or hangs hurts one object, never the loop.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use super::Error;

/// Runs a pass with a time limit; a panic becomes an error.
pub async fn guarded<T>(limit: Duration, pass: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match AssertUnwindSafe(tokio::time::timeout(limit, pass)).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::Timeout(limit.as_secs())),
        Err(panic) => Err(Error::Panic(words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_a_hang_become_errors() {
        let limit = Duration::from_secs(1);
        let panicked: Result<(), _> = guarded(limit, async { panic!("boom") }).await;
        assert!(matches!(panicked, Err(Error::Panic(text)) if text == "boom"));
        let hung: Result<(), _> = guarded(limit, std::future::pending()).await;
        assert!(matches!(hung, Err(Error::Timeout(1))));
    }
}
