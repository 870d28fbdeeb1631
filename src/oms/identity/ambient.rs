//! Credentials that the process finds around itself: OIDC, pod identity, the metadata service, in this order.
//!
//! What is set up is decided by the environment, once. The first source that is set up is the one; when it fails, the next is not
//! tried, as the operator would silently act as somebody else.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;

use super::exchange::none;
use super::metadata::Metadata;
use super::oidc::{Assumption, IdToken, Oidc};
use super::pod_identity::PodIdentity;
use super::{Credentials, Issuer};
use crate::oms::codes::Class;
use crate::oms::error::Error;
use crate::oms::settings::{CallObserver, Settings};

const OPERATION: &str = "AmbientCredentials";

/// Who one is at STS, where nothing says another name.
const SESSION_NAME: &str = "oms-operator";

/// What STS gives by default, in seconds.
const DURATION: u32 = 3600;

/// A source to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AmbientSource {
    /// Temporary keys of STS for an identity token: `HUAWEICLOUD_OIDC_*`.
    Oidc,
    /// Temporary keys of the pod identity agent: `HC_CONTAINER_*`.
    PodIdentity,
    /// Temporary keys of the metadata service of the node.
    Metadata,
}

impl AmbientSource {
    /// In the order in which they are looked at.
    const ALL: [Self; 3] = [Self::Oidc, Self::PodIdentity, Self::Metadata];

    fn name(self) -> &'static str {
        match self {
            Self::Oidc => "OIDC",
            Self::PodIdentity => "pod identity",
            Self::Metadata => "the metadata service",
        }
    }
}

/// Addresses that no environment tells.
#[derive(Clone, Default)]
pub struct AmbientSettings {
    /// Address of STS; `None`: the region's own.
    pub sts_endpoint: Option<String>,
    /// Address of the metadata service; `None`: it is never called.
    pub metadata_endpoint: Option<String>,
    /// Called after every request to a source.
    pub on_call: Option<CallObserver>,
}

/// What is set up, or why it is not.
type SetUp<T> = Result<T, Lack>;

/// Why a source is not set up.
#[derive(Clone)]
struct Lack {
    why: String,
    /// Half of it is there: a mistake to tell of, and no reason to take the next source.
    begun: bool,
}

/// The sources around the process, with what they gave: everybody who uses one shares it.
pub struct Ambient {
    oidc: SetUp<Assumption>,
    /// Address and file with the token.
    pod_identity: SetUp<(String, String)>,
    settings: AmbientSettings,
    made: Mutex<HashMap<(AmbientSource, String), Credentials>>,
}

impl Ambient {
    /// Looks at the environment through `variable`; nothing is sent.
    ///
    /// OIDC wants `HUAWEICLOUD_OIDC_PROVIDER_URN`, `HUAWEICLOUD_OIDC_AGENCY_URN` and either
    /// `HUAWEICLOUD_OIDC_TOKEN_FILE` or `HUAWEICLOUD_OIDC_ID_TOKEN`, and takes `_SESSION_NAME`, `_DURATION_SECONDS` (900 to 43,200,
    /// default 3,600), `_POLICY` and `_POLICY_IDS` (separated by commas). Pod identity wants
    /// `HC_CONTAINER_CREDENTIALS_FULL_URI` and `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE`. `HUAWEICLOUD_SDK_STS_ENDPOINT` counts
    /// where the settings name no STS.
    pub fn new(variable: impl Fn(&str) -> Option<String>, mut settings: AmbientSettings) -> Self {
        let given =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        settings.sts_endpoint = settings.sts_endpoint.or_else(|| given("HUAWEICLOUD_SDK_STS_ENDPOINT"));
        Self {
            oidc: assumption(&given),
            pod_identity: pod_identity(&given),
            settings,
            made: Mutex::default(),
        }
    }

    /// The address of STS for a region, as it would be called.
    pub fn sts_endpoint(&self, region: &str) -> String {
        self.settings
            .sts_endpoint
            .clone()
            .unwrap_or_else(|| format!("https://sts.{region}.myhuaweicloud.com"))
    }

    /// Whether STS was named by whoever runs the operator, and not derived from a region.
    pub fn names_sts(&self) -> bool {
        self.settings.sts_endpoint.is_some()
    }

    /// The source that is meant: the wanted one, else the first that is set up. The error says what was looked at.
    pub fn choose(&self, wanted: Option<AmbientSource>) -> Result<AmbientSource, Error> {
        let candidates = wanted.map_or(AmbientSource::ALL.to_vec(), |wanted| vec![wanted]);
        let mut lacking = Vec::new();
        for source in candidates {
            match self.set_up(source) {
                Ok(()) => return Ok(source),
                Err(Lack { why, begun }) => {
                    lacking.push(format!("{} is not set up ({why})", source.name()));
                    if begun {
                        break;
                    }
                }
            }
        }
        let summary = format!("There are no credentials around the operator: {}", lacking.join("; "));
        let remedy = "Set one of them up for the operator's pod, or give the connection a Secret";
        Err(none(OPERATION, summary, Class::Missing, Some(remedy)))
    }

    fn set_up(&self, source: AmbientSource) -> SetUp<()> {
        match source {
            AmbientSource::Oidc => self.oidc.as_ref().map(drop).map_err(Clone::clone),
            AmbientSource::PodIdentity => self.pod_identity.as_ref().map(drop).map_err(Clone::clone),
            AmbientSource::Metadata => {
                let why = "it is switched off with `--metadata-endpoint=off`".to_owned();
                self.settings.metadata_endpoint.as_ref().map(drop).ok_or(Lack { why, begun: false })
            }
        }
    }

    /// The credentials of a source for a region; the same for all who ask. Nothing is sent yet.
    pub fn credentials(&self, source: AmbientSource, region: &str) -> Result<Credentials, Error> {
        let endpoint = match source {
            AmbientSource::Oidc => self.sts_endpoint(region),
            AmbientSource::PodIdentity => {
                self.pod_identity.as_ref().map(|(address, _)| address.clone()).unwrap_or_default()
            }
            AmbientSource::Metadata => self.settings.metadata_endpoint.clone().unwrap_or_default(),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credentials) = made.get(&(source, endpoint.clone())) {
            return Ok(credentials.clone());
        }
        self.choose(Some(source))?;
        let settings =
            Settings { on_call: self.settings.on_call.clone(), ..Settings::new(endpoint.clone(), "") };
        let wrong =
            |error: Error| error.without_credentials(Some("Correct the operator's flags and environment"));
        let issuer = match (source, &self.oidc, &self.pod_identity) {
            (AmbientSource::Oidc, Ok(assumption), _) => {
                Issuer::Oidc(Oidc::new(&settings, assumption.clone()).map_err(wrong)?)
            }
            (AmbientSource::PodIdentity, _, Ok((_, file))) => {
                Issuer::PodIdentity(PodIdentity::new(&settings, file.clone()).map_err(wrong)?)
            }
            _ => Issuer::Metadata(Metadata::new(&settings).map_err(wrong)?),
        };
        let credentials = Credentials::renewed(issuer);
        made.insert((source, endpoint), credentials.clone());
        Ok(credentials)
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set_up: Vec<_> =
            AmbientSource::ALL.into_iter().filter(|source| self.set_up(*source).is_ok()).collect();
        f.debug_struct("Ambient").field("set_up", &set_up).finish_non_exhaustive()
    }
}

fn assumption(given: &impl Fn(&str) -> Option<String>) -> SetUp<Assumption> {
    let name = |short: &str| format!("HUAWEICLOUD_OIDC_{short}");
    let (provider_urn, agency_urn) = (given(&name("PROVIDER_URN")), given(&name("AGENCY_URN")));
    let begun = provider_urn.is_some() || agency_urn.is_some();
    let unset = |short: &str| Lack { why: format!("`{}` is not set", name(short)), begun };
    let id_token = match (given(&name("ID_TOKEN")), given(&name("TOKEN_FILE"))) {
        (_, Some(file)) => Ok(IdToken::File(file)),
        (Some(token), None) => Ok(IdToken::Given(SecretString::from(token))),
        (None, None) => Err(unset("TOKEN_FILE")),
    };
    let duration_seconds = match given(&name("DURATION_SECONDS")) {
        None => Ok(DURATION),
        Some(text) => text.parse().ok().filter(|seconds| (900..=43_200).contains(seconds)).ok_or_else(|| {
            Lack { why: format!("`{}` is no number from 900 to 43200", name("DURATION_SECONDS")), begun }
        }),
    };
    let ids = given(&name("POLICY_IDS")).unwrap_or_default();
    Ok(Assumption {
        provider_urn: provider_urn.ok_or_else(|| unset("PROVIDER_URN"))?,
        agency_urn: agency_urn.ok_or_else(|| unset("AGENCY_URN"))?,
        session_name: given(&name("SESSION_NAME")).unwrap_or_else(|| SESSION_NAME.to_owned()),
        id_token: id_token?,
        duration_seconds: duration_seconds?,
        policy: given(&name("POLICY")),
        policy_ids: ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
    })
}

fn pod_identity(given: &impl Fn(&str) -> Option<String>) -> SetUp<(String, String)> {
    let names = ["HC_CONTAINER_CREDENTIALS_FULL_URI", "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
    let begun = names.into_iter().any(|name| given(name).is_some());
    let wanted = |name: &str| given(name).ok_or_else(|| Lack { why: format!("`{name}` is not set"), begun });
    Ok((wanted(names[0])?, wanted(names[1])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(variables: &'static [(&'static str, &'static str)], metadata: Option<&str>) -> Ambient {
        let settings =
            AmbientSettings { metadata_endpoint: metadata.map(str::to_owned), ..AmbientSettings::default() };
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Ambient::new(find, settings)
    }

    const OIDC: [(&str, &str); 3] = [
        ("HUAWEICLOUD_OIDC_PROVIDER_URN", "iam::d:oidc-provider:cce"),
        ("HUAWEICLOUD_OIDC_AGENCY_URN", "iam::d:agency:oms"),
        ("HUAWEICLOUD_OIDC_TOKEN_FILE", "/token"),
    ];

    #[test]
    fn the_first_source_that_is_set_up_is_the_one() {
        const ALL: &[(&str, &str)] = &[
            OIDC[0],
            OIDC[1],
            OIDC[2],
            ("HC_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/v1/credentials"),
            ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
        ];
        let metadata = Some("http://169.254.169.254");
        assert_eq!(ambient(ALL, metadata).choose(None).unwrap(), AmbientSource::Oidc);
        assert_eq!(ambient(&ALL[3..], metadata).choose(None).unwrap(), AmbientSource::PodIdentity);
        assert_eq!(ambient(&[], metadata).choose(None).unwrap(), AmbientSource::Metadata);
        let named = ambient(ALL, metadata).choose(Some(AmbientSource::Metadata)).unwrap();
        assert_eq!(named, AmbientSource::Metadata);
    }

    #[test]
    fn who_finds_nothing_is_told_what_was_looked_at() {
        let error = ambient(&[], None).choose(None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "There are no credentials around the operator: OIDC is not set up (`HUAWEICLOUD_OIDC_PROVIDER_URN` is \
             not set); pod identity is not set up (`HC_CONTAINER_CREDENTIALS_FULL_URI` is not set); the metadata \
             service is not set up (it is switched off with `--metadata-endpoint=off`)"
        );
        assert!(error.lacks_credentials() && !error.is_not_found());
    }

    #[test]
    fn half_a_source_is_told_and_does_not_make_the_operator_somebody_else() {
        let half = ambient(&OIDC[..2], Some("http://169.254.169.254")).choose(None).unwrap_err();
        assert!(half.to_string().ends_with("(`HUAWEICLOUD_OIDC_TOKEN_FILE` is not set)"), "{half}");
    }

    #[test]
    fn a_lifetime_that_sts_would_refuse_is_told() {
        const SHORT: &[(&str, &str)] =
            &[OIDC[0], OIDC[1], OIDC[2], ("HUAWEICLOUD_OIDC_DURATION_SECONDS", "60")];
        let error = ambient(SHORT, None).choose(Some(AmbientSource::Oidc)).unwrap_err();
        assert!(error.to_string().contains("900 to 43200"), "{error}");
    }

    #[test]
    fn all_who_use_a_source_share_it() {
        let around = ambient(&[], Some("http://127.0.0.1:9"));
        let made = || around.credentials(AmbientSource::Metadata, "r").unwrap();
        let (super::super::Kind::Renewed(one), super::super::Kind::Renewed(other)) =
            (made().kind, made().kind)
        else {
            panic!("not renewed")
        };
        assert!(std::sync::Arc::ptr_eq(&one, &other));
    }
}
