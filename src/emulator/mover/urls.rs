//! Objects of URL lists: fetched from a web server, about which nothing is known beforehand.
use super::copy::{Looked, Shared};
use super::failure::{Kind, Side, Trouble};
use super::job::ConsistencyCheck;
use super::parts::passed_of;
use super::policy::{self, Decision};
use super::s3::{Head, may_lead_to};
use super::transfer::{Paced, pump, unless_stopped};

impl Shared {
    pub(super) async fn copy_url(&self, url: &str, target: &str) -> Result<Looked, Trouble> {
        let allowed = url::Url::parse(url).is_ok_and(|url| may_lead_to(&url, &self.url_hosts));
        if !allowed {
            let message = "The emulator fetches from loopback addresses only; add the host to `httpSources.allowedHosts`";
            return Err(Trouble::new(Side::Source, Kind::Denied, message));
        }
        let lost = |error: reqwest::Error| {
            Trouble::new(Side::Source, Kind::Unavailable, error.without_url().to_string())
        };
        let answer = async { self.web.get(url).send().await.map_err(lost) };
        let response = unless_stopped(&self.control, answer).await?;
        let status = response.status();
        if !status.is_success() {
            let kind = match status.as_u16() {
                401 | 403 => Kind::Denied,
                404 | 410 => Kind::NoObject,
                429 => Kind::Throttled,
                500..=599 => Kind::Failing,
                _ => Kind::Other,
            };
            return Err(Trouble::new(Side::Source, kind, format!("The URL answered {}", status.as_u16())));
        }
        let seen = Head::from_headers(response.headers().clone());
        if seen.facts.size.is_none() && self.job.consistency_check != ConsistencyCheck::NoCheck {
            let message =
                "The URL tells no Content-Length, so the copy could not be verified; use `no_check`";
            return Err(Trouble::new(Side::Source, Kind::Other, message));
        }
        let size = seen.facts.size.unwrap_or(0);
        if policy::is_too_old(self.job.migrate_since, seen.facts.modified)
            || self.decide(&seen.facts, target).await? == Decision::Skip
        {
            return Ok(Looked::Skipped(size));
        }
        let mut tally = self.tally();
        let headers = self.headers(&seen);
        let mut body = Paced::new(response, &self.bandwidth, &self.control);
        let passed = match seen.facts.size {
            Some(length) if !self.settings.wants_parts(length) => {
                let put = |stream| self.destination.put_stream(target, headers, length, stream);
                pump(body, length, &mut tally, put).await?.1
            }
            known => {
                // Web servers need not know ranges, so parts are held in memory, one at a time.
                let part_size = self.settings.part_size(known.unwrap_or(0));
                let first = body.fill(part_size as usize, &mut tally).await?;
                if (first.len() as u64) < part_size {
                    let passed = passed_of(&first);
                    self.destination.put(target, headers, first).await?;
                    passed
                } else {
                    self.upload_buffered(body, first, part_size as usize, target, headers, &mut tally).await?
                }
            }
        };
        if seen.facts.size.is_some_and(|size| size != passed.bytes) {
            return Err(Trouble::new(Side::Source, Kind::Unavailable, "The URL sent less than it announced"));
        }
        self.verify(target, passed, None).await?;
        Ok(Looked::Copied(passed.bytes))
    }
}
