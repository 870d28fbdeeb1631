//! The calls to OMS that differ by the kind of an object alone.

use std::collections::HashMap;

use jiff::Timestamp;

use super::wire;
use super::wire::sync::Month;
use crate::oms::{
    self, BandwidthWindow, BatchUpdateTasks, Client, ListSyncTasks, ListTaskGroup, ListTasks, SyncStatus,
    TaskId, TaskSelection, TaskStatus, Urgency,
};
use crate::plan::facts::Fact;
use crate::plan::seen::{RemoteId, RemoteState, RemoteTask, Whole};
use crate::plan::wish::Kind;

/// Records per page: OMS's maximum.
const PAGE: u32 = 100;

/// The number of a migration task.
pub(super) fn task_id(id: &RemoteId) -> TaskId {
    TaskId::new(id.number())
}

/// Reads one.
pub(super) async fn show(
    kind: Kind,
    client: &Client,
    id: &RemoteId,
    urgency: Urgency,
) -> Result<RemoteTask, oms::Error> {
    match kind {
        Kind::MigrationTask => client.show_task(task_id(id), urgency).await.map(wire::task::seen),
        Kind::TaskGroup => client.show_task_group(id.as_str(), urgency).await.map(wire::group::seen),
        Kind::SyncTask => {
            // Months are the service's, so they go by the wall clock.
            let month = Month::of(Timestamp::now());
            let shown = client.show_sync_task(id.as_str(), month.middle, urgency).await;
            shown.map(|task| wire::sync::seen_in(task, &month))
        }
    }
}

/// Reads one in full, as one that may be adopted: the task, what it is a part of, and what it is field by field.
pub(super) async fn describe(
    kind: Kind,
    client: &Client,
    id: &RemoteId,
    urgency: Urgency,
) -> Result<(RemoteTask, Option<Whole>, Vec<Fact>), oms::Error> {
    match kind {
        Kind::MigrationTask => client.show_task(task_id(id), urgency).await.map(|task| {
            let (whole, facts) = (wire::task::part_of(&task), wire::facts::of_task(&task));
            (wire::task::seen(task), whole, facts)
        }),
        Kind::TaskGroup => client.show_task_group(id.as_str(), urgency).await.map(|group| {
            let facts = wire::facts::of_group(&group);
            (wire::group::seen(group), None, facts)
        }),
        Kind::SyncTask => {
            let month = Month::of(Timestamp::now());
            let shown = client.show_sync_task(id.as_str(), month.middle, urgency).await;
            shown.map(|task| {
                let facts = wire::facts::of_sync_task(&task);
                (wire::sync::seen_in(task, &month), None, facts)
            })
        }
    }
}

/// Stops one.
pub(super) async fn stop(
    kind: Kind,
    client: &Client,
    id: &RemoteId,
    urgency: Urgency,
) -> Result<(), oms::Error> {
    match kind {
        Kind::MigrationTask => client.stop_task(task_id(id), urgency).await,
        Kind::TaskGroup => client.stop_task_group(id.as_str(), urgency).await,
        Kind::SyncTask => client.stop_sync_task(id.as_str(), urgency).await,
    }
}

/// Deletes the record of one; that it is gone already is fine.
pub(super) async fn delete(
    kind: Kind,
    client: &Client,
    id: &RemoteId,
    urgency: Urgency,
) -> Result<(), oms::Error> {
    let deleted = match kind {
        Kind::MigrationTask => client.delete_task(task_id(id), urgency).await,
        Kind::TaskGroup => client.delete_task_group(id.as_str(), urgency).await,
        Kind::SyncTask => client.delete_sync_task(id.as_str(), urgency).await,
    };
    match deleted {
        Err(error) if is_gone(kind, &error) => Ok(()),
        deleted => deleted,
    }
}

/// Whether OMS said that it does not exist. A sync task that was deleted has codes of its own (`OMS.0093`, `OMS.1011`).
pub(super) fn is_gone(kind: Kind, error: &oms::Error) -> bool {
    error.is_not_found() || (kind == Kind::SyncTask && error.class() == oms::Class::NotFound)
}

/// Sets the bandwidth windows of one.
pub(super) async fn set_bandwidth(
    kind: Kind,
    client: &Client,
    id: &RemoteId,
    windows: &[BandwidthWindow],
    urgency: Urgency,
) -> Result<(), oms::Error> {
    match kind {
        Kind::MigrationTask => client.update_bandwidth_policy(task_id(id), windows, urgency).await,
        Kind::TaskGroup => client.update_task_group(id.as_str(), windows, urgency).await,
        // It has none, and nothing asks for them.
        Kind::SyncTask => Ok(()),
    }
}

/// Sets priority and bandwidth windows, which OMS changes together.
pub(super) async fn set_priority(
    client: &Client,
    id: &RemoteId,
    priority: &str,
    windows: Vec<BandwidthWindow>,
    urgency: Urgency,
) -> Result<(), oms::Error> {
    let request = BatchUpdateTasks {
        tasks: TaskSelection::Ids(vec![task_id(id)]),
        bandwidth_policy: windows,
        task_priority: Some(priority.to_owned()),
    };
    client.batch_update_tasks(&request, urgency).await
}

/// All pages of a list, without doubles and without what belongs to something else, and whether the list shrank while it
/// was read. `state`: only those in it.
pub(super) async fn list(
    kind: Kind,
    client: &Client,
    state: Option<RemoteState>,
    urgency: Urgency,
) -> Result<(Vec<RemoteTask>, bool), oms::Error> {
    let mut found: HashMap<RemoteId, RemoteTask> = HashMap::new();
    let (mut offset, mut most, mut shrank) = (0, 0, false);
    loop {
        let (page, got, count) = match kind {
            Kind::MigrationTask => page_of_tasks(client, state, offset, urgency).await?,
            Kind::TaskGroup => page_of_groups(client, state, offset, urgency).await?,
            Kind::SyncTask => page_of_sync_tasks(client, state, offset, urgency).await?,
        };
        shrank |= count < most;
        most = most.max(count);
        offset += got;
        found.extend(page.into_iter().map(|task| (task.id.clone(), task)));
        if got < u64::from(PAGE) || offset >= count {
            return Ok((found.into_values().collect(), shrank));
        }
    }
}

/// A page, the number of its records, and how many there are in all.
async fn page_of_tasks(
    client: &Client,
    state: Option<RemoteState>,
    offset: u64,
    urgency: Urgency,
) -> Result<(Vec<RemoteTask>, u64, u64), oms::Error> {
    let status = state.map(|state| match state {
        RemoteState::Waiting => TaskStatus::Waiting,
        RemoteState::Stopped => TaskStatus::Stopped,
        RemoteState::Failed => TaskStatus::Failed,
        RemoteState::Succeeded => TaskStatus::Succeeded,
        RemoteState::Stopping => TaskStatus::Stopping,
        RemoteState::Running
        | RemoteState::Retrying
        | RemoteState::Creating
        | RemoteState::Deleting
        | RemoteState::Synchronizing
        | RemoteState::Unknown => TaskStatus::Running,
    });
    let query = ListTasks { status, limit: PAGE, offset, ..ListTasks::default() };
    let page = client.list_tasks(&query, urgency).await?;
    let got = page.tasks.len() as u64;
    let alone = page.tasks.into_iter().filter(wire::task::stands_alone).map(wire::task::seen);
    Ok((alone.collect(), got, page.count))
}

/// A page of groups, the number of its records, and how many there are in all.
async fn page_of_groups(
    client: &Client,
    state: Option<RemoteState>,
    offset: u64,
    urgency: Urgency,
) -> Result<(Vec<RemoteTask>, u64, u64), oms::Error> {
    let query = ListTaskGroup { status: state.and_then(wire::group::status), limit: PAGE, offset };
    let page = client.list_task_group(&query, urgency).await?;
    let got = page.groups.len() as u64;
    Ok((page.groups.into_iter().map(wire::group::seen).collect(), got, page.count))
}

/// The same of sync tasks. The last offset is 10,000: beyond it the client refuses, so that what is not complete never
/// passes for it.
async fn page_of_sync_tasks(
    client: &Client,
    state: Option<RemoteState>,
    offset: u64,
    urgency: Urgency,
) -> Result<(Vec<RemoteTask>, u64, u64), oms::Error> {
    let status = state.map(|state| match state {
        RemoteState::Stopped => SyncStatus::Stopped,
        _ => SyncStatus::Synchronizing,
    });
    let page = client.list_sync_tasks(&ListSyncTasks { status, limit: PAGE, offset }, urgency).await?;
    let got = page.tasks.len() as u64;
    Ok((page.tasks.into_iter().map(wire::sync::seen).collect(), got, page.count))
}

/// The tasks of a group, all pages, without doubles.
pub(super) async fn members(
    client: &Client,
    group: &RemoteId,
    urgency: Urgency,
) -> Result<Vec<RemoteTask>, oms::Error> {
    let mut found: HashMap<RemoteId, RemoteTask> = HashMap::new();
    let mut offset = 0;
    loop {
        let group_id = Some(group.as_str().to_owned());
        let page = client
            .list_tasks(&ListTasks { group_id, limit: PAGE, offset, ..ListTasks::default() }, urgency)
            .await?;
        let got = page.tasks.len() as u64;
        offset += got;
        // Should a service not know the filter, tasks of others are not ours to count.
        let ours = page.tasks.into_iter().filter(|task| {
            task.group_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(group.as_str()))
        });
        found.extend(ours.map(wire::task::seen).map(|task| (task.id.clone(), task)));
        if got < u64::from(PAGE) || offset >= page.count {
            return Ok(found.into_values().collect());
        }
    }
}
