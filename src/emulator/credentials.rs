//! Credentials of sources that are no key pairs: what they say, and which key pair of a store they stand for.
//!
//! Every store here speaks S3, so account name and key of an Azure connection string are an access key and its secret,
//! and so are `client_email` and `private_key` of a Google service account.

use secrecy::SecretString;
use serde::Deserialize;

use super::mover::Keys;

/// Why credentials open nothing, as a failure cause of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Failure cause, such as TRF.0161.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: &'static str,
}

const NOT_A_CONNECTION_STRING: Unusable = Unusable {
    code: "TRF.0161",
    message: "The connection string needs `AccountName` and `AccountKey`, as `name=value` with semicolons between",
};

const NO_BLOBS: Unusable = Unusable {
    code: "TRF.0015",
    message: "The connection string names the endpoints of an account without Blob storage",
};

const NOT_A_SERVICE_ACCOUNT: Unusable = Unusable {
    code: "TRF.0151",
    message: "The file of a service account must be JSON with `type`, `client_email` and `private_key`",
};

/// The key pair in an Azure connection string.
pub fn connection_string(text: &str) -> Result<Keys, Unusable> {
    let mut settings = Vec::new();
    for setting in text.split(';').map(str::trim).filter(|setting| !setting.is_empty()) {
        // Keys are base64 and may end in `=`.
        let (name, value) = setting.split_once('=').ok_or(NOT_A_CONNECTION_STRING)?;
        settings.push((name.trim(), value.trim()));
    }
    let setting = |name: &str| {
        settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    };
    if setting("DefaultEndpointsProtocol").is_some_and(|protocol| !matches!(protocol, "http" | "https")) {
        return Err(NOT_A_CONNECTION_STRING);
    }
    let names_endpoints = settings.iter().any(|(name, _)| name.to_ascii_lowercase().ends_with("endpoint"));
    if names_endpoints && setting("BlobEndpoint").is_none() && setting("EndpointSuffix").is_none() {
        return Err(NO_BLOBS);
    }
    let required =
        |name: &str| setting(name).filter(|value| !value.is_empty()).ok_or(NOT_A_CONNECTION_STRING);
    Ok(Keys {
        access_key: required("AccountName")?.to_owned(),
        secret_key: SecretString::from(required("AccountKey")?),
        security_token: None,
    })
}

#[derive(Deserialize)]
struct ServiceAccount {
    r#type: String,
    client_email: String,
    private_key: String,
}

/// The key pair in the JSON file of a Google service account.
pub fn service_account(text: &str) -> Result<Keys, Unusable> {
    let account: ServiceAccount = serde_json::from_str(text).map_err(|_| NOT_A_SERVICE_ACCOUNT)?;
    if account.r#type != "service_account"
        || account.client_email.is_empty()
        || account.private_key.is_empty()
    {
        return Err(NOT_A_SERVICE_ACCOUNT);
    }
    Ok(Keys {
        access_key: account.client_email,
        secret_key: SecretString::from(account.private_key),
        security_token: None,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_connection_string_is_read_in_any_order_and_case() {
        let keys = connection_string(
            "DefaultEndpointsProtocol=https;accountkey=a2V5==;AccountName=acc;EndpointSuffix=core.windows.net;",
        )
        .unwrap();
        assert_eq!((keys.access_key.as_str(), keys.secret_key.expose_secret()), ("acc", "a2V5=="));
        for (text, code) in [
            ("", "TRF.0161"),
            ("anything", "TRF.0161"),
            ("AccountName=a", "TRF.0161"),
            ("AccountName=;AccountKey=k", "TRF.0161"),
            ("DefaultEndpointsProtocol=ftp;AccountName=a;AccountKey=k", "TRF.0161"),
            ("AccountName=a;AccountKey=k;FileEndpoint=https://a.file.core.windows.net", "TRF.0015"),
        ] {
            assert_eq!(connection_string(text).unwrap_err().code, code, "{text}");
        }
        let blobs = "AccountName=a;AccountKey=k;BlobEndpoint=https://a.blob.core.windows.net";
        assert!(connection_string(blobs).is_ok());
    }

    #[test]
    fn a_service_account_is_json_with_its_three_members() {
        let text = r#"{"type":"service_account","client_email":"a@b","private_key":"k","project_id":"p"}"#;
        assert_eq!(service_account(text).unwrap().access_key, "a@b");
        for text in ["", "{}", r#"{"type":"user","client_email":"a","private_key":"k"}"#, "[1]"] {
            assert_eq!(service_account(text).unwrap_err().code, "TRF.0151", "{text}");
        }
    }
}
