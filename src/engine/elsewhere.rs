//! Objects that stay where their connection led before: another endpoint or project than it names now.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::project::{Project, TurnedAway};
use super::session::Session;
use crate::oms::{Client, ListTasks, Urgency};

/// How long keys that did not list a project are not tried there again: a gateway locks those that fail too often.
const PAUSE: Duration = Duration::from_mins(10);

impl Engine {
    /// Lets a connection join the view of a project to which it led before; without that nobody polls the objects that
    /// stay there. As everywhere, its own keys have to list the project first; `Err` has the words for it when they do not.
    pub(super) async fn join_elsewhere(
        &self,
        session: &Session,
        project: &Arc<Project>,
        client: &Client,
    ) -> Result<(), String> {
        let connection = &session.pinned.uid;
        if project.has_joined(connection) {
            return Ok(());
        }
        let _turn = project.trying.lock().await;
        if project.has_joined(connection) {
            return Ok(());
        }
        let now = self.clock.now();
        let known = project
            .turned_away(connection)
            .filter(|known| known.made_from == session.made_from && known.at + PAUSE > now);
        let why = if let Some(known) = known {
            known.why
        } else {
            let probe = ListTasks { limit: 1, ..ListTasks::default() };
            let Err(error) = client.list_tasks(&probe, Urgency::User).await else {
                self.sessions.join(connection, project, client.clone());
                return Ok(());
            };
            let code = error.code().map_or_else(String::new, |code| format!(" ({code})"));
            let why = format!("{}{code}", error.message().trim_end_matches('.'));
            let made_from = session.made_from.clone();
            project.turn_away(connection, TurnedAway { at: now, made_from, why: why.clone() });
            why
        };
        let (key, pinned) = (project.key(), &session.pinned);
        Err(format!(
            "{} `{}` has another endpoint or project now, and with its present keys OMS does not show project {} at {}, where \
             this task is: {why}. Give the connection keys that can see both, or set its endpoint and project back",
            pinned.kind, pinned.name, key.project_id, key.endpoint
        ))
    }
}
