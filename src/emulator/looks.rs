//! Looks into the stores for callers who ask about buckets: nothing is changed, and nothing is kept.

use std::time::Duration;

use jiff::Timestamp;
use rusty_s3::{
    Bucket, Credentials, Method, S3Action as _,
    actions::{ListObjectsV2, ListObjectsV2Response},
    signing::sign,
};
use url::Url;

use super::{
    mover::{Keys, ListFile},
    stores::{ListFileProblem, StoreAddress, Stores, credentials, open, signing_region},
};

/// How long a signed URL is good for.
const VALIDITY: Duration = Duration::from_mins(1);
/// How long reading a list file may take.
const READING: Duration = Duration::from_mins(10);
/// The largest answer that is read; a page of a listing is much smaller.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// Sorts after every key that begins with what is before it.
const LAST: char = char::MAX;

/// Why a look told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookProblem {
    /// The store does not accept the keys.
    Keys,
    /// There is no such bucket.
    NoBucket,
    /// The keys are good and do not suffice.
    Denied,
    /// The store does not answer, or not as S3 does.
    Unreachable,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key; that of a folder ends with `/`.
    pub name: String,
    /// Bytes; folders have none.
    pub size: Option<u64>,
}

/// A page of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderPage {
    /// Objects and folders, in order.
    pub entries: Vec<Entry>,
    /// There are more.
    pub more: bool,
}

impl Stores {
    /// The names of all buckets that a store shows to these keys.
    pub async fn list_buckets(&self, store: &StoreAddress, keys: &Keys) -> Result<Vec<String>, LookProblem> {
        let url = store.endpoint.parse().map_err(|_| LookProblem::Unreachable)?;
        let text = self.fetch_signed(url, signing_region(store, "us-east-1"), keys, &[]).await?;
        Ok(elements(&text, "Name").map(str::to_owned).collect())
    }

    /// The region that a store tells for a bucket; `None` where it tells none.
    pub async fn bucket_region(
        &self,
        store: &StoreAddress,
        bucket: &str,
        keys: &Keys,
    ) -> Result<Option<String>, LookProblem> {
        let region = signing_region(store, "us-east-1");
        let opened = open(store, region, bucket).ok_or(LookProblem::NoBucket)?;
        let text = self.fetch_signed(opened.base_url().clone(), region, keys, &[("location", "")]).await?;
        Ok(elements(&text, "LocationConstraint")
            .next()
            .filter(|region| !region.is_empty())
            .map(str::to_owned))
    }

    /// Whether any key of a bucket begins with a prefix.
    pub async fn has_prefix(
        &self,
        (store, region, bucket): (&StoreAddress, &str, &str),
        prefix: &str,
        keys: &Keys,
    ) -> Result<bool, LookProblem> {
        let bucket = open(store, region, bucket).ok_or(LookProblem::NoBucket)?;
        let page = self.list_page(&bucket, keys, prefix, None, None, 1).await?;
        Ok(!page.contents.is_empty())
    }

    /// What lies in a folder (`""`: in the bucket itself) behind a name.
    pub async fn list_folder(
        &self,
        (store, region, bucket): (&StoreAddress, &str, &str),
        (folder, behind, most): (&str, &str, u16),
        keys: &Keys,
    ) -> Result<FolderPage, LookProblem> {
        let bucket = open(store, region, bucket).ok_or(LookProblem::NoBucket)?;
        // A folder does not lie in itself, so its own marker is passed over; of a folder in it, everything is.
        let after = match behind {
            "" => folder.to_owned(),
            folder if folder.ends_with('/') => format!("{folder}{LAST}"),
            object => object.to_owned(),
        };
        let after = Some(after.as_str()).filter(|after| !after.is_empty());
        let page = self.list_page(&bucket, keys, folder, Some("/"), after, most).await?;
        let objects = page.contents.into_iter().map(|object| Entry {
            size: object.size.filter(|_| !object.key.ends_with('/')),
            name: object.key,
        });
        let folders = page
            .common_prefixes
            .into_iter()
            .map(|folder| Entry { name: folder.prefix, size: None })
            .filter(|folder| folder.name != behind);
        let mut entries: Vec<Entry> = objects.chain(folders).collect();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(FolderPage { more: page.next_continuation_token.is_some(), entries })
    }

    /// Begins to read a whole list file.
    pub async fn read_list(
        &self,
        store: &StoreAddress,
        region: &str,
        list: &ListFile,
        keys: &Keys,
    ) -> Result<reqwest::Response, ListFileProblem> {
        let bucket = open(store, region, &list.bucket).ok_or(ListFileProblem::Access)?;
        let url = bucket.get_object(Some(&credentials(keys)), &list.key).sign(VALIDITY);
        let request = self.http().get(url).header(http::header::ACCEPT_ENCODING, "identity").timeout(READING);
        let answer = request.send().await.map_err(|_| ListFileProblem::Access)?;
        if answer.status().is_success() { Ok(answer) } else { Err(ListFileProblem::Access) }
    }

    async fn list_page(
        &self,
        bucket: &Bucket,
        keys: &Keys,
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<&str>,
        most: u16,
    ) -> Result<ListObjectsV2Response, LookProblem> {
        let most = most.to_string();
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("max-keys", most.as_str())];
        query.extend(Some(("prefix", prefix)).filter(|_| !prefix.is_empty()));
        query.extend(delimiter.map(|delimiter| ("delimiter", delimiter)));
        query.extend(after.map(|after| ("start-after", after)));
        let text = self.fetch_signed(bucket.base_url().clone(), bucket.region(), keys, &query).await?;
        ListObjectsV2::parse_response(&text).map_err(|_| LookProblem::Unreachable)
    }

    /// A signed GET; the text of the answer.
    async fn fetch_signed(
        &self,
        url: Url,
        region: &str,
        keys: &Keys,
        query: &[(&str, &str)],
    ) -> Result<String, LookProblem> {
        let credentials: Credentials = credentials(keys);
        let mut query = query.to_vec();
        query.sort_unstable();
        let url = sign(
            &Timestamp::now(),
            Method::Get,
            url,
            credentials.key(),
            credentials.secret(),
            credentials.token(),
            region,
            VALIDITY.as_secs(),
            query.into_iter(),
            std::iter::empty(),
        );
        let unreachable = |_| LookProblem::Unreachable;
        let mut answer = self.http().get(url).send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST_ANSWER {
                return Err(LookProblem::Unreachable);
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.is_success() { Ok(text) } else { Err(problem(status, &text)) }
    }
}

fn problem(status: http::StatusCode, text: &str) -> LookProblem {
    match (elements(text, "Code").next().unwrap_or_default(), status) {
        (
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" | "NotSignedUp",
            _,
        ) => LookProblem::Keys,
        ("NoSuchBucket" | "InvalidBucketName", _) | (_, http::StatusCode::NOT_FOUND) => LookProblem::NoBucket,
        (_, http::StatusCode::FORBIDDEN | http::StatusCode::UNAUTHORIZED) => LookProblem::Denied,
        _ => LookProblem::Unreachable,
    }
}

/// The texts of all elements of a name, which hold no other elements and whose texts need no escapes.
fn elements<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find(&open)? + open.len()..];
            let end = rest.find('>')?;
            let (tag, body) = (&rest[..end], &rest[end + 1..]);
            // Another element may have a name that begins alike.
            if tag.ends_with('/') && (tag == "/" || tag.starts_with(' ')) {
                return Some("");
            }
            if tag.is_empty() || tag.starts_with(' ') {
                return body.find(&close).map(|length| &body[..length]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_with_and_without_attributes() {
        let text = "<R><Names>no</Names><Name>a</Name><Name xmlns=\"x\">b</Name><Name/><Name /></R>";
        assert_eq!(elements(text, "Name").collect::<Vec<_>>(), ["a", "b", "", ""]);
        assert_eq!(elements("<Code>NoSuch", "Code").next(), None);
        assert_eq!(elements("<LocationConstraint/>", "LocationConstraint").next(), Some(""));
    }

    #[test]
    fn refusals_of_a_store_are_told_apart() {
        let told = |status: u16, code: &str| {
            problem(
                http::StatusCode::from_u16(status).unwrap(),
                &format!("<Error><Code>{code}</Code></Error>"),
            )
        };
        assert_eq!(told(403, "SignatureDoesNotMatch"), LookProblem::Keys);
        assert_eq!(told(403, "AccessDenied"), LookProblem::Denied);
        assert_eq!(told(404, "NoSuchBucket"), LookProblem::NoBucket);
        assert_eq!(told(503, "SlowDown"), LookProblem::Unreachable);
    }
}
