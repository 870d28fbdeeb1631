//! Who may create next, when an account's quota does not let everybody.
//!
//! OMS refuses without a number (OMS.0077, OMS.1021, OMS.1037), so the numbers come from the connection, and what counts
//! against them is what is known: the creates of the last 24 hours and what waits at OMS. Namespaces take turns; within
//! one the higher priority comes first, then the older object.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::wish::Kind;
use crate::api::{self, Priority};

/// The span that OMS counts creates over.
pub const DAY: Duration = Duration::from_hours(24);

/// What the account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Migration tasks created in 24 hours.
    pub tasks_per_day: usize,
    /// Migration tasks that wait at OMS at once.
    pub waiting_tasks: usize,
    /// Task groups created in 24 hours.
    pub groups_per_day: usize,
    /// Sync tasks at once.
    pub running_sync_tasks: usize,
}

impl Default for Limits {
    /// The service's own (OMS API reference 5.3.3, 5.4.3, 5.5.2).
    fn default() -> Self {
        Self { tasks_per_day: 1500, waiting_tasks: 1500, groups_per_day: 100, running_sync_tasks: 5 }
    }
}

impl From<&api::Limits> for Limits {
    fn from(limits: &api::Limits) -> Self {
        let or = |given: Option<i64>, default| given.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
        let default = Self::default();
        Self {
            tasks_per_day: or(limits.tasks_per_day, default.tasks_per_day),
            waiting_tasks: or(limits.waiting_tasks, default.waiting_tasks),
            groups_per_day: or(limits.groups_per_day, default.groups_per_day),
            running_sync_tasks: or(limits.running_sync_tasks, default.running_sync_tasks),
        }
    }
}

impl Limits {
    /// What holds where two connections reach the same project.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            tasks_per_day: self.tasks_per_day.min(other.tasks_per_day),
            waiting_tasks: self.waiting_tasks.min(other.waiting_tasks),
            groups_per_day: self.groups_per_day.min(other.groups_per_day),
            running_sync_tasks: self.running_sync_tasks.min(other.running_sync_tasks),
        }
    }

    /// What holds for creates of a kind.
    pub fn of(&self, kind: Kind) -> Quota {
        match kind {
            Kind::MigrationTask => {
                Quota { per_day: Some(self.tasks_per_day), at_once: Some(self.waiting_tasks) }
            }
            // However many groups wait, OMS refuses no further one (OMS API reference 8.2).
            Kind::TaskGroup => Quota { per_day: Some(self.groups_per_day), at_once: None },
            Kind::SyncTask => Quota { per_day: None, at_once: Some(self.running_sync_tasks) },
        }
    }
}

/// What holds for creates of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Creates in 24 hours.
    pub per_day: Option<usize>,
    /// What may be there at once.
    pub at_once: Option<usize>,
}

/// An object that wants to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// UID of the object.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its priority; none for kinds that have none.
    pub priority: Option<Priority>,
    /// When it was made.
    pub since: Timestamp,
}

/// What counts against a quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Creates of the last 24 hours, the oldest first.
    pub created: Vec<Timestamp>,
    /// How many are there that count against [`Quota::at_once`].
    pub present: usize,
    /// Creates that were let through and are not known to have come to anything yet.
    pub under_way: usize,
    /// Until when the gate is closed, as OMS refused.
    pub closed_until: Option<Timestamp>,
    /// Whether OMS refused the last create: then one tries for all.
    pub doubtful: bool,
}

/// Whether an object may create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may.
    Now,
    /// It waits.
    Later(Place),
}

/// A place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub position: usize,
    /// Not before this time, as far as known.
    pub earliest_at: Option<Timestamp>,
}

impl Usage {
    /// How many more may be let through now.
    pub fn room(&self, quota: Quota, now: Timestamp) -> usize {
        if self.closed_until.is_some_and(|until| until > now) {
            return 0;
        }
        let left = |limit: Option<usize>, used: usize| {
            limit.map_or(usize::MAX, |limit| limit.saturating_sub(used.saturating_add(self.under_way)))
        };
        let room = left(quota.per_day, self.created.len()).min(left(quota.at_once, self.present));
        if self.doubtful { room.min(1_usize.saturating_sub(self.under_way)) } else { room }
    }

    /// When the object at a place may create at the earliest: a lower bound, as others create too.
    pub fn earliest(&self, quota: Quota, position: usize, now: Timestamp) -> Option<Timestamp> {
        let closed = self.closed_until.filter(|until| *until > now);
        let used = self.created.len().saturating_add(self.under_way);
        let short = quota.per_day.map_or(0, |limit| used.saturating_add(position).saturating_sub(limit));
        let Some(index) = short.checked_sub(1) else { return closed };
        let round = quota.per_day.unwrap_or(1).max(1);
        // A place is free again a day after it was taken, and so on for those that will be taken before.
        let (mut before, mut days) = (index, 1_u32);
        while before >= self.created.len() && before >= round {
            before -= round;
            days = days.saturating_add(1);
        }
        let base = self.created.get(before).copied().unwrap_or(now);
        let expires = base.saturating_add(DAY.saturating_mul(days)).unwrap_or(Timestamp::MAX);
        Some(closed.map_or(expires, |closed| closed.max(expires)))
    }
}

/// The applicants in their order. `served`: how many each namespace was let through while others waited.
pub fn line<'a>(applicants: &'a [Applicant], served: &BTreeMap<String, u64>) -> Vec<&'a Applicant> {
    let mut by_namespace: HashMap<&str, Vec<&Applicant>> = HashMap::new();
    for applicant in applicants {
        by_namespace.entry(&applicant.namespace).or_default().push(applicant);
    }
    let mut ranked = Vec::with_capacity(applicants.len());
    for (namespace, mut own) in by_namespace {
        own.sort_by_key(|applicant| order(applicant));
        let before = served.get(namespace).copied().unwrap_or_default();
        ranked.extend((before..).zip(own));
    }
    ranked.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| order(a).cmp(&order(b))));
    ranked.into_iter().map(|(_, applicant)| applicant).collect()
}

fn order(applicant: &Applicant) -> (u8, Timestamp, &str) {
    let rank = match applicant.priority {
        Some(Priority::High) => 0,
        Some(Priority::Medium) | None => 1,
        Some(Priority::Low) => 2,
    };
    (rank, applicant.since, &applicant.uid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn applicant(namespace: &str, uid: &str, priority: Priority, since: i64) -> Applicant {
        Applicant { uid: uid.into(), namespace: namespace.into(), priority: Some(priority), since: at(since) }
    }

    fn names(applicants: &[Applicant], served: &[(&str, u64)]) -> String {
        let served = served.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        line(applicants, &served).iter().map(|applicant| applicant.uid.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn within_a_namespace_the_higher_priority_comes_first_and_then_the_older_object() {
        use Priority::{High, Low, Medium};
        let all = [
            applicant("a", "low", Low, 0),
            applicant("a", "new", Medium, 9),
            applicant("a", "old", Medium, 1),
            applicant("a", "high", High, 10),
        ];
        assert_eq!(names(&all, &[]), "high old new low");
    }

    #[test]
    fn namespaces_take_turns_however_many_objects_one_has() {
        use Priority::{High, Medium};
        let all = [
            applicant("big", "b1", High, 1),
            applicant("big", "b2", High, 2),
            applicant("big", "b3", High, 3),
            applicant("small", "s1", Medium, 9),
        ];
        assert_eq!(names(&all, &[]), "b1 s1 b2 b3");
        assert_eq!(names(&all, &[("big", 1)]), "s1 b1 b2 b3", "the other's turn has come");
        assert_eq!(names(&all, &[("big", 1), ("small", 1)]), "b1 s1 b2 b3");
    }

    #[test]
    fn a_full_day_says_when_the_oldest_create_leaves_it() {
        let quota = Quota { per_day: Some(2), at_once: None };
        let usage = Usage { created: vec![at(0), at(100)], ..Usage::default() };
        assert_eq!(usage.room(quota, at(200)), 0);
        assert_eq!(usage.earliest(quota, 1, at(200)), Some(at(86_400)));
        assert_eq!(usage.earliest(quota, 2, at(200)), Some(at(86_500)));
        assert!(usage.earliest(quota, 3, at(200)) > Some(at(86_500)));
        let less = Usage { created: vec![at(100)], ..Usage::default() };
        assert_eq!((less.room(quota, at(200)), less.earliest(quota, 1, at(200))), (1, None));
    }

    #[test]
    fn what_is_under_way_counts_before_it_is_known_to_exist() {
        let quota = Quota { per_day: Some(3), at_once: Some(2) };
        let usage = Usage { created: vec![at(0)], under_way: 1, ..Usage::default() };
        assert_eq!(usage.room(quota, at(1)), 1);
        assert_eq!(Usage { present: 1, ..usage }.room(quota, at(1)), 0, "and against what may wait at once");
    }

    #[test]
    fn after_a_refusal_nobody_goes_for_a_while_and_then_one_tries_for_all() {
        let quota = Limits::default().of(Kind::MigrationTask);
        let closed = Usage { closed_until: Some(at(300)), doubtful: true, ..Usage::default() };
        assert_eq!((closed.room(quota, at(1)), closed.earliest(quota, 5, at(1))), (0, Some(at(300))));
        assert_eq!(closed.room(quota, at(300)), 1);
        assert_eq!(Usage { under_way: 1, ..closed.clone() }.room(quota, at(300)), 0);
        assert_eq!(Usage { doubtful: false, ..closed }.room(quota, at(300)), 1500);
    }

    #[test]
    fn the_smallest_number_of_all_connections_to_a_project_holds() {
        let spec = |tasks: i64| api::Limits { tasks_per_day: Some(tasks), ..api::Limits::default() };
        let both = Limits::from(&spec(7)).stricter(Limits::from(&spec(3)));
        assert_eq!(both, Limits { tasks_per_day: 3, ..Limits::default() });
    }

    prop_compose! {
        fn applicants()(
            drawn in prop::collection::vec(
                (
                    select(vec!["a", "b", "c"]),
                    select(vec![Priority::High, Priority::Medium, Priority::Low]),
                    0..5_i64,
                ),
                0..20,
            ),
        ) -> Vec<Applicant> {
            let uids = (0..).map(|number: u32| format!("{number:02}"));
            drawn.into_iter().zip(uids).map(|((ns, priority, since), uid)| applicant(ns, &uid, priority, since)).collect()
        }
    }

    proptest! {
        #[test]
        fn everybody_has_one_place_and_no_namespace_gets_two_turns_while_another_waits(all in applicants()) {
            let order = line(&all, &BTreeMap::new());
            let mut uids: Vec<_> = order.iter().map(|applicant| &applicant.uid).collect();
            uids.sort();
            uids.dedup();
            prop_assert_eq!(uids.len(), all.len());
            // In every beginning of the line no namespace is two ahead of one that still waits behind it.
            for end in 0..order.len() {
                let count = |from: &[&Applicant], name: &str| from.iter().filter(|one| one.namespace == name).count();
                for behind in &order[end..] {
                    let own = count(&order[..end], &behind.namespace);
                    for other in ["a", "b", "c"] {
                        prop_assert!(count(&order[..end], other) <= own + 1, "{order:?}");
                    }
                }
            }
        }

        #[test]
        fn room_and_time_fit_each_other(
            created in prop::collection::vec(0..80_000_i64, 0..9),
            limit in 1..9_usize,
            under_way in 0..3_usize,
            position in 1..30_usize,
        ) {
            let mut created: Vec<_> = created.into_iter().map(at).collect();
            created.sort();
            let usage = Usage { created, under_way, ..Usage::default() };
            let quota = Quota { per_day: Some(limit), at_once: None };
            let now = at(80_000);
            let waits = usage.earliest(quota, position, now).is_some();
            prop_assert_eq!(waits, usage.room(quota, now) < position);
            prop_assert!(usage.earliest(quota, position, now) <= usage.earliest(quota, position + 1, now));
            prop_assert!(usage.earliest(quota, position, now).is_none_or(|at| at > now));
        }
    }
}
