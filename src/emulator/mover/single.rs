//! Objects that are named one by one, by somebody who keeps the books.
use super::checkpoint::Place;
use super::copy::{Fate, Shared};
use super::job::Job;
use super::run::prepare;
use super::selection::Item;
use super::{Context, Outcome};

/// Copies single objects by the rules of a job, without its selection, its counters and its lists. Calls may run
/// beside each other; how many is the caller's choice.
pub struct ObjectMover {
    shared: Shared,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was copied.
    Copied {
        /// Its size.
        bytes: u64,
    },
    /// The overwrite rule left the destination as it was.
    Skipped,
    /// It could not be copied.
    Failed {
        /// OMS task failure cause, such as `TRF.0156`.
        code: String,
        /// What happened, for people.
        message: String,
    },
    /// [`super::Control::Pause`] came first: nothing is known of the object.
    Abandoned,
}

impl ObjectMover {
    /// Makes a mover for the endpoints of a job; nothing is looked at yet.
    pub fn new(job: &Job, context: &Context) -> Result<Self, Outcome> {
        let shared = prepare(job, context, context.control.clone(), Default::default())?;
        Ok(Self { shared })
    }

    /// Copies the object with this key, with retries. An endpoint that is gone fails its objects one by one.
    pub async fn settle(&self, key: &str) -> Settled {
        let place = Place { index: 0, key: key.to_owned() };
        let item = Item { place, key: key.to_owned(), url: None, known: None };
        match self.shared.settle(&item).await {
            Fate::Copied { bytes } => Settled::Copied { bytes },
            Fate::Skipped { .. } => Settled::Skipped,
            Fate::Failed { code, message, .. } => Settled::Failed { code, message },
            Fate::Abandoned => Settled::Abandoned,
            Fate::Fatal(trouble) => {
                Settled::Failed { code: trouble.code().to_owned(), message: trouble.message }
            }
        }
    }
}
