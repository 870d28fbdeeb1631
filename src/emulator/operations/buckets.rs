//! Checks and listings of buckets (OMS API reference 5.6). Nothing is changed; every call looks at the stores anew.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Done, no_store};
use crate::emulator::{
    config::Project,
    looks::LookProblem,
    mover::Keys,
    regions,
    service::Service,
    stores::{BucketProblem, StoreAddress},
    wire::{
        members::parse,
        refusal::{
            BUCKET_NOT_FOUND, BUCKET_REGION, DESTINATION_KEYS, LISTING_REFUSED, Refusal, SOURCE_BUCKET,
            SOURCE_REGION, TIMED_OUT, TOO_MANY_BUCKETS, URL_LIST_METADATA,
        },
        request::buckets::{Account, CheckPrefix, CheckUrlList, ShowBucketObjects, ShowBucketRegion},
    },
};

impl Service {
    pub(super) async fn show_bucket_list(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let account = Account::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let mut names = BTreeSet::new();
        let mut problem = None;
        // An account of a cloud may be spread over several stores; those that know its keys answer.
        for (store, keys) in self.stores_of(&account)? {
            match self.stores.list_buckets(store, &keys).await {
                Ok(buckets) => names.extend(buckets),
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        match problem.filter(|_| names.is_empty()) {
            Some(found) => return Err(self.refuse_look(project, found, BUCKET_NOT_FOUND, BUCKET_NOT_FOUND)),
            None => self.attempts.note(&project.id, false, self.clock.now()),
        }
        if names.len() > self.config.limits.listed_buckets {
            return Err(TOO_MANY_BUCKETS);
        }
        Ok(Done::read(json!(names)))
    }

    pub(super) async fn show_bucket_region(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request = ShowBucketRegion::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let cloud = request.account.cloud_type;
        let mut problem = None;
        for (store, keys) in self.stores_of(&request.account)? {
            match self.stores.bucket_region(store, &request.bucket, &keys).await {
                Ok(told) => {
                    self.attempts.note(&project.id, false, self.clock.now());
                    let region = match (store.region.as_str(), told) {
                        ("*", Some(region)) => region,
                        ("*", None) => regions::first(cloud).to_owned(),
                        (region, _) => region.to_owned(),
                    };
                    let known = regions::find(cloud, &region);
                    let name = known.map_or(region.as_str(), |region| region.description);
                    let support = known.is_some() || store.region == region;
                    return Ok(Done::read(json!({ "id": region, "name": name, "support": support })));
                }
                // A store that knows the keys tells more than one that does not.
                Err(found) if problem.is_none() || found != LookProblem::Keys => problem = Some(found),
                Err(_) => {}
            }
        }
        let problem = problem.unwrap_or(LookProblem::NoBucket);
        Err(self.refuse_look(project, problem, BUCKET_REGION, BUCKET_REGION))
    }

    pub(super) async fn check_prefix(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request = CheckPrefix::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let (store, keys) = self.store_of(&request.account, &request.region)?;
        let place = (store, request.region.as_str(), request.bucket.as_str());
        let exist = self.stores.has_prefix(place, &request.prefix, &keys).await;
        let exist = self.looked(project, exist)?;
        Ok(Done::read(json!({ "exist": exist })))
    }

    pub(super) async fn show_bucket_objects(&self, project: &Project, body: &[u8]) -> Result<Done, Refusal> {
        let request = ShowBucketObjects::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let (store, keys) = self.store_of(&request.account, &request.region)?;
        let place = (store, request.region.as_str(), request.bucket.as_str());
        let page = (request.folder.as_str(), request.behind.as_str(), request.page_size);
        let page = self.stores.list_folder(place, page, &keys).await;
        let page = self.looked(project, page)?;
        let records: Vec<Value> = page
            .entries
            .iter()
            .map(|entry| json!({ "name": entry.name, "size": entry.size.map_or("--".to_owned(), display_size) }))
            .collect();
        let marker = page.entries.last().filter(|_| page.more).map(|entry| entry.name.as_str());
        Ok(Done::read(json!({ "next_page": page.more, "next_marker": marker, "records": records })))
    }

    pub(super) async fn check_url_source_list(
        &self,
        project: &Project,
        body: &[u8],
    ) -> Result<Done, Refusal> {
        let request = CheckUrlList::read(&parse(body, false)?)?;
        self.check_attempts(project)?;
        let region = request.region.as_str();
        let store = self
            .stores
            .find("HuaweiCloud", region)
            .ok_or_else(|| URL_LIST_METADATA.with_detail(no_store("HuaweiCloud", region)))?;
        match self.stores.check_bucket(store, region, &request.list.bucket, &request.keys).await {
            Ok(()) => self.attempts.note(&project.id, false, self.clock.now()),
            Err(BucketProblem::Keys) => {
                self.attempts.note(&project.id, true, self.clock.now());
                return Err(DESTINATION_KEYS);
            }
            Err(BucketProblem::Access) => return Err(URL_LIST_METADATA),
        }
        self.check_url_list_format(region, &request.list, &request.keys).await?;
        Ok(Done::default())
    }

    /// The store for a cloud and region, and the keys that open it.
    pub(super) fn store_of(&self, account: &Account, region: &str) -> Result<(&StoreAddress, Keys), Refusal> {
        let cloud = account.cloud_type;
        let store = self.stores.find(cloud, region);
        let store = store.ok_or_else(|| SOURCE_REGION.with_detail(no_store(cloud, region)))?;
        Ok((store, open(store, account)?))
    }

    /// All stores of a cloud, for requests that name no region.
    fn stores_of(&self, account: &Account) -> Result<Vec<(&StoreAddress, Keys)>, Refusal> {
        let mut opened = Vec::new();
        let mut refusal = None;
        for store in self.stores.of_cloud(account.cloud_type) {
            match open(store, account) {
                Ok(keys) => opened.push((store, keys)),
                Err(refused) => refusal = Some(refused),
            }
        }
        match refusal {
            _ if !opened.is_empty() => Ok(opened),
            Some(refused) => Err(refused),
            None => Err(SOURCE_REGION.with_detail(no_store(account.cloud_type, "*"))),
        }
    }

    /// What a look into a bucket told, or the refusal for why it told nothing.
    pub(super) fn looked<T>(&self, project: &Project, look: Result<T, LookProblem>) -> Result<T, Refusal> {
        match look {
            Ok(told) => {
                self.attempts.note(&project.id, false, self.clock.now());
                Ok(told)
            }
            Err(problem) => Err(self.refuse_look(project, problem, BUCKET_NOT_FOUND, LISTING_REFUSED)),
        }
    }

    fn refuse_look(
        &self,
        project: &Project,
        problem: LookProblem,
        no_bucket: Refusal,
        denied: Refusal,
    ) -> Refusal {
        match problem {
            LookProblem::Keys => {
                self.attempts.note(&project.id, true, self.clock.now());
                SOURCE_BUCKET
            }
            LookProblem::NoBucket => no_bucket,
            LookProblem::Denied => denied,
            LookProblem::Unreachable => TIMED_OUT,
        }
    }

    /// After too many wrong keys in a row nothing is looked at for a while.
    pub(super) fn check_attempts(&self, project: &Project) -> Result<(), Refusal> {
        match self.config.limits.failed_credential_checks {
            Some(most) if self.attempts.are_used_up(&project.id, most, self.clock.now()) => {
                Err(self.config.behaviour.failed_checks_code.refusal())
            }
            _ => Ok(()),
        }
    }
}

/// A connection string or a service account that opens nothing is as bad as wrong keys.
fn open(store: &StoreAddress, account: &Account) -> Result<Keys, Refusal> {
    account.keys.open(store).map_err(|unusable| SOURCE_BUCKET.with_detail(unusable.message))
}

/// A size for people: two decimals from kilobytes on, of 1024 each.
fn display_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded up to 1024 is one of the next unit.
    while size >= 1023.995 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_for_people() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KB"),
            (77_164_708, "73.59 MB"),
            (1_048_575, "1.00 MB"),
            (5 << 30, "5.00 GB"),
            (u64::MAX, "16.00 EB"),
        ] {
            assert_eq!(display_size(bytes), shown);
        }
    }
}
