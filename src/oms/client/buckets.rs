//! Looking into buckets through OMS (OMS API reference 5.6). These calls change nothing. A wrong pair of keys should not be
//! tried again quickly: `OMS.0090` and `OMS.1015` count failures.

use http::Method;

use super::super::budget::Urgency;
use super::super::error::Error;
use super::super::model::{
    BucketAccess, BucketNames, BucketRegion, CdnCheck, CheckPrefix, CheckUrlSourceListFileFormat, ObjectPage,
    PrefixFound, Reply as _, ShowBucketObjects, ShowCdnInfo, filled,
};
use super::super::transport::Call;
use super::{Client, call, checked};

impl Client {
    /// Names of all buckets of an account (5.6.3). `OMS.0154` says that there are more than 700, which is no fault of the
    /// account.
    pub async fn show_bucket_list(
        &self,
        access: &BucketAccess,
        urgency: Urgency,
    ) -> Result<Vec<String>, Error> {
        const OPERATION: &str = "ShowBucketList";
        checked(OPERATION, access.check())?;
        let call = self.bucket_call(OPERATION, &[], urgency).with_keys(access.body(), access.secrets());
        Ok(self.fetch::<BucketNames>(call).await?.0)
    }

    /// One page of a folder (5.6.1). Begin without a marker and go on with [`ObjectPage::next_marker`] until there is none; a
    /// marker that does not move counts as none.
    pub async fn show_bucket_objects(
        &self,
        request: &ShowBucketObjects,
        urgency: Urgency,
    ) -> Result<ObjectPage, Error> {
        const OPERATION: &str = "ShowBucketObjects";
        checked(OPERATION, request.check())?;
        let call = self.bucket_call(OPERATION, &["objects"], urgency);
        let moved = |wire| {
            let mut page = ObjectPage::from_wire(wire)?;
            page.next_marker = page.next_marker.filter(|marker| *marker != request.behind_filename);
            Ok(page)
        };
        self.transport.fetch(call.with_keys(request.body(), request.access.secrets()), moved).await
    }

    /// Where a bucket lies, and whether OMS can migrate from there (5.6.4).
    pub async fn show_bucket_region(
        &self,
        access: &BucketAccess,
        bucket: &str,
        urgency: Urgency,
    ) -> Result<BucketRegion, Error> {
        const OPERATION: &str = "ShowBucketRegion";
        checked(OPERATION, access.check().and_then(|()| filled("bucket_name", bucket)))?;
        let call = self.bucket_call(OPERATION, &["regions"], urgency);
        self.fetch(call.with_keys(access.body_with_bucket(bucket), access.secrets())).await
    }

    /// Whether a bucket has an object with a prefix (5.6.5).
    pub async fn check_prefix(&self, request: &CheckPrefix, urgency: Urgency) -> Result<bool, Error> {
        const OPERATION: &str = "CheckPrefix";
        checked(OPERATION, request.check())?;
        let call = self.bucket_call(OPERATION, &["prefix"], urgency);
        Ok(self.fetch::<PrefixFound>(call.with_keys(request.body(), request.secrets())).await?.0)
    }

    /// Whether objects of a bucket can be fetched through a CDN (5.6.2). `OMS.0081` says that the domain is no good,
    /// `OMS.1032` that the key is missing.
    pub async fn show_cdn_info(&self, request: &ShowCdnInfo, urgency: Urgency) -> Result<CdnCheck, Error> {
        const OPERATION: &str = "ShowCdnInfo";
        checked(OPERATION, request.check())?;
        let call = self.bucket_call(OPERATION, &["cdn-info"], urgency);
        self.fetch(call.with_keys(request.body(), request.secrets())).await
    }

    /// Checks a URL list (5.6.6). A list that is no good is an error with `OMS.0173` to `OMS.0181` or `OMS.0185` to
    /// `OMS.0188`.
    pub async fn check_url_source_list_file_format(
        &self,
        request: &CheckUrlSourceListFileFormat,
        urgency: Urgency,
    ) -> Result<(), Error> {
        const OPERATION: &str = "CheckUrlSourceListFileFormat";
        checked(OPERATION, request.check())?;
        let call = self.bucket_call(OPERATION, &["url-source-list-file"], urgency);
        self.transport.act(call.with_keys(request.body(), request.secrets())).await
    }

    fn bucket_call(&self, operation: &'static str, below: &[&str], urgency: Urgency) -> Call<'static> {
        let path = self.below_project(&[&["objectstorage", "buckets"], below].concat());
        call(operation, Method::POST, path, urgency)
    }
}
