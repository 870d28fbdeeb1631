//! Which operation a path and method stand for.

use http::Method;
use percent_encoding::percent_decode_str;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever signs the call, or brings a token.
    Signed,
    /// Everybody: the call itself says who calls, or it does not matter.
    Open,
    /// Nodes and pods, at a door of their own.
    Node,
}

/// Where a call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The port of OMS, IAM and STS.
    Cloud,
    /// The port of the metadata service and the pod identity agent.
    Node,
}

/// The table of operations: name in the API reference, method, path, who may call. In a path, `{project}` and
/// `{target}` stand for one segment each; the first line that fits counts.
macro_rules! operations {
    ($($operation:ident $method:ident $path:literal $access:ident;)*) => {
        /// An operation, by its name in the API reference; faults and journal use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, non_camel_case_types, reason = "the names are those of the reference")]
        pub enum Operation {
            $($operation,)*
        }

        /// The names of all operations that are served.
        pub const OPERATIONS: &[&str] = &[$(stringify!($operation),)*];

        const TABLE: &[Line] = &[$(Line {
            operation: Operation::$operation,
            method: Method::$method,
            path: $path,
            access: Access::$access,
        },)*];
    };
}

operations! {
    ListApiVersions              GET    "/"                                             Signed;
    ShowApiInfo                  GET    "/{target}"                                     Signed;
    UpdatePrivacyAgreementRecord POST   "/v2/{project}/privacy-agreements"              Signed;
    CreateTask                   POST   "/v2/{project}/tasks"                           Signed;
    ListTasks                    GET    "/v2/{project}/tasks"                           Signed;
    BatchUpdateTasks             POST   "/v2/{project}/tasks/batch-update"              Signed;
    ShowTask                     GET    "/v2/{project}/tasks/{target}"                  Signed;
    DeleteTask                   DELETE "/v2/{project}/tasks/{target}"                  Signed;
    StartTask                    POST   "/v2/{project}/tasks/{target}/start"            Signed;
    StopTask                     POST   "/v2/{project}/tasks/{target}/stop"             Signed;
    UpdateBandwidthPolicy        PUT    "/v2/{project}/tasks/{target}/bandwidth-policy" Signed;
    CreateTaskGroup              POST   "/v2/{project}/taskgroups"                      Signed;
    ListTaskGroup                GET    "/v2/{project}/taskgroups"                      Signed;
    ShowTaskGroup                GET    "/v2/{project}/taskgroups/{target}"             Signed;
    DeleteTaskGroup              DELETE "/v2/{project}/taskgroups/{target}"             Signed;
    StartTaskGroup               PUT    "/v2/{project}/taskgroups/{target}/start"       Signed;
    StopTaskGroup                PUT    "/v2/{project}/taskgroups/{target}/stop"        Signed;
    RetryTaskGroup               PUT    "/v2/{project}/taskgroups/{target}/retry"       Signed;
    UpdateTaskGroup              PUT    "/v2/{project}/taskgroups/{target}/update"      Signed;
    CreateSyncTask               POST   "/v2/{project}/sync-tasks"                      Signed;
    ListSyncTasks                GET    "/v2/{project}/sync-tasks"                      Signed;
    ShowSyncTask                 GET    "/v2/{project}/sync-tasks/{target}"             Signed;
    DeleteSyncTask               DELETE "/v2/{project}/sync-tasks/{target}"             Signed;
    ListSyncTaskStatistic        GET    "/v2/{project}/sync-tasks/{target}/statistics"  Signed;
    StopSyncTask                 POST   "/v2/{project}/sync-tasks/{target}/stop"        Signed;
    StartSyncTask                POST   "/v2/{project}/sync-tasks/{target}/start"       Signed;
    CreateSyncEvents             POST   "/v2/{project}/sync-tasks/{target}/events"      Signed;
    KeystoneListProjects         GET    "/v3/projects"                                  Signed;
    KeystoneListAuthDomains      GET    "/v3/auth/domains"                              Signed;
    KeystoneCreateUserTokenByPassword POST "/v3/auth/tokens"                            Open;
    CreateTemporaryAccessKey     POST   "/v3.0/OS-CREDENTIAL/securitytokens"            Open;
    AssumeAgencyWithOIDC         POST   "/v5/agencies/assume-with-oidc"                 Open;
    GetCallerIdentity            GET    "/v5/caller-identity"                           Signed;
    CreateMetadataToken          PUT    "/meta-data/latest/api/token"                   Node;
    ShowSecurityKey              GET    "/openstack/latest/securitykey"                 Node;
    ShowMetadata                 GET    "/openstack/latest/meta_data.json"              Node;
    CreatePodCredentials         POST   "/v1/credentials"                               Node;
    ShowBucketList               POST   "/v2/{project}/objectstorage/buckets"           Signed;
    ShowBucketObjects            POST   "/v2/{project}/objectstorage/buckets/objects"   Signed;
    ShowBucketRegion             POST   "/v2/{project}/objectstorage/buckets/regions"   Signed;
    ShowCdnInfo                  POST   "/v2/{project}/objectstorage/buckets/cdn-info"  Signed;
    CheckPrefix                  POST   "/v2/{project}/objectstorage/buckets/prefix"    Signed;
    CheckUrlSourceListFileFormat POST   "/v2/{project}/objectstorage/buckets/url-source-list-file" Signed;
    ShowCloudType                GET    "/v2/{project}/objectstorage/cloud-type"        Signed;
    ShowRegionInfo               GET    "/v2/{project}/objectstorage/data-center"       Signed;
    v1ListVersions               GET    "/v1/{project}/objectstorage/version"           Signed;
    v1ShowQuotas                 GET    "/v1/{target}/objectstorage/quotas"             Signed;
}

/// A line of the table.
#[derive(Debug)]
struct Line {
    operation: Operation,
    method: Method,
    path: &'static str,
    access: Access,
}

/// A call, as its first line tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What is to be done.
    pub operation: Operation,
    /// Project in the path.
    pub project: Option<String>,
    /// What the path names besides the project: a task, a group, an API version. A text, as it may be no number.
    pub target: Option<String>,
}

/// Every operation at the port of OMS: name, method, path, who may call.
pub fn cloud_operations() -> impl Iterator<Item = (&'static str, Method, &'static str, Access)> {
    TABLE
        .iter()
        .filter(|line| line.door() == Door::Cloud)
        .map(|line| (line.operation.name(), line.method.clone(), line.path, line.access))
}

impl Operation {
    /// Its name in the API reference.
    pub fn name(self) -> &'static str {
        OPERATIONS[self as usize]
    }

    /// Whether it changes nothing, checks and questions that are POST included: the reference names them so.
    pub fn only_reads(self) -> bool {
        ["List", "Show", "Check"].iter().any(|verb| self.name().starts_with(verb))
    }

    /// Who may call it.
    pub fn access(self) -> Access {
        TABLE[self as usize].access
    }
}

impl Line {
    fn door(&self) -> Door {
        if self.access == Access::Node { Door::Node } else { Door::Cloud }
    }

    /// The call that a path, in decoded segments, is by this line.
    fn route(&self, path: &[String]) -> Option<Route> {
        let mut route = Route { operation: self.operation, project: None, target: None };
        let pattern = segments(self.path);
        if pattern.clone().count() != path.len() {
            return None;
        }
        for (wanted, found) in pattern.zip(path) {
            match wanted {
                "{project}" => route.project = Some(found.clone()),
                "{target}" => route.target = Some(found.clone()),
                word if word == found => {}
                _ => return None,
            }
        }
        Some(route)
    }
}

impl Route {
    /// The operation behind a path; `None` where there is none behind this door.
    pub fn of(door: Door, method: &Method, path: &str) -> Option<Self> {
        let path: Vec<String> = segments(path)
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        TABLE
            .iter()
            .filter(|line| line.door() == door)
            .filter(|line| line.method == *method)
            .find_map(|line| line.route(&path))
            .filter(Self::is_published)
    }

    /// What looks like an API version is answered by OMS, everything else in its place by the gateway.
    fn is_published(&self) -> bool {
        self.operation != Operation::ShowApiInfo
            || self.target.as_ref().is_some_and(|version| version.len() <= 10)
    }

    /// The task in the path, where it is a number.
    pub fn task_id(&self) -> Option<u64> {
        self.target.as_deref()?.parse().ok()
    }
}

fn segments(path: &str) -> std::str::Split<'_, char> {
    path.trim_start_matches('/').trim_end_matches('/').split('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_own_path() {
        for (index, line) in TABLE.iter().enumerate() {
            assert_eq!(line.operation as usize, index);
            let path = line.path.replace("{project}", "p").replace("{target}", "t%2Fu");
            let route = Route::of(line.door(), &line.method, &path).unwrap();
            assert_eq!(route.operation, line.operation, "{path}");
            assert_eq!(route.project.is_some(), line.path.contains("{project}"), "{path}");
            let target = line.path.contains("{target}").then_some("t/u");
            assert_eq!(route.target.as_deref(), target, "{path}");
            assert_eq!(
                Route::of(line.door(), &line.method, &format!("{path}/")).map(|route| route.operation),
                Some(line.operation)
            );
        }
    }

    #[test]
    fn operations_are_where_the_reference_has_them() {
        for (method, path, name) in [
            ("GET", "/", "ListApiVersions"),
            ("GET", "/v2", "ShowApiInfo"),
            ("POST", "/v2/p/privacy-agreements", "UpdatePrivacyAgreementRecord"),
            ("POST", "/v2/p/tasks", "CreateTask"),
            ("GET", "/v2/p/tasks", "ListTasks"),
            ("POST", "/v2/p/tasks/batch-update", "BatchUpdateTasks"),
            ("GET", "/v2/p/tasks/1", "ShowTask"),
            ("DELETE", "/v2/p/tasks/1", "DeleteTask"),
            ("POST", "/v2/p/tasks/1/start", "StartTask"),
            ("POST", "/v2/p/tasks/1/stop", "StopTask"),
            ("PUT", "/v2/p/tasks/1/bandwidth-policy", "UpdateBandwidthPolicy"),
            ("POST", "/v2/p/taskgroups", "CreateTaskGroup"),
            ("GET", "/v2/p/taskgroups", "ListTaskGroup"),
            ("GET", "/v2/p/taskgroups/g", "ShowTaskGroup"),
            ("DELETE", "/v2/p/taskgroups/g", "DeleteTaskGroup"),
            ("PUT", "/v2/p/taskgroups/g/start", "StartTaskGroup"),
            ("PUT", "/v2/p/taskgroups/g/stop", "StopTaskGroup"),
            ("PUT", "/v2/p/taskgroups/g/retry", "RetryTaskGroup"),
            ("PUT", "/v2/p/taskgroups/g/update", "UpdateTaskGroup"),
            ("GET", "/v3/projects", "KeystoneListProjects"),
        ] {
            let route = Route::of(Door::Cloud, &method.parse().unwrap(), path).unwrap();
            assert_eq!(route.operation.name(), name);
        }
        for (method, path) in [
            ("PATCH", "/v2/p/tasks"),
            ("POST", "/v2/p/tasks/1"),
            ("PUT", "/v2/p/tasks/1/access-keys"),
            ("POST", "/v2/p/taskgroups/g/start"),
            ("PUT", "/v2/p/taskgroups/g"),
            ("GET", "/this-is-no-version"),
        ] {
            assert_eq!(Route::of(Door::Cloud, &method.parse().unwrap(), path), None, "{method} {path}");
        }
    }
}
