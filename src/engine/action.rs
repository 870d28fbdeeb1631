//! When an object comes again.

use std::time::Duration;

use kube::runtime::controller;

/// When an object comes again after a pass. It is `kube`'s own, but for an answer to when that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// After a pause, or sooner if something wakes it.
    pub fn requeue(after: Duration) -> Self {
        Self(Some(after))
    }

    /// When something wakes it.
    pub fn await_change() -> Self {
        Self(None)
    }

    /// The pause; none where it waits to be woken.
    pub fn pause(self) -> Option<Duration> {
        self.0
    }
}

impl From<Action> for controller::Action {
    fn from(action: Action) -> Self {
        action.0.map_or_else(Self::await_change, Self::requeue)
    }
}
