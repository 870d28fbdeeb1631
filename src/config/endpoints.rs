//! The allow-list of hosts that a Connection may point at: whoever may write a Connection could otherwise have the
//! operator send requests to any host that it reaches.

use url::{Host, Url};

/// Hosts that may be called, from `--allowed-endpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedEndpoints {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Name,
    /// `None`: the scheme's own port, on loopback any.
    port: Option<u16>,
    /// Whether `http` is allowed away from loopback.
    plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// Exactly this host.
    Exact(Host<String>),
    /// Any name below this one; begins with a dot.
    Below(String),
}

impl AllowedEndpoints {
    /// Reads entries such as `oms.internal`, `oms.internal:8443`, `*.myhuaweicloud.com` or `http://10.0.0.7:8080`.
    /// The error names the entry and what to write.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, String> {
        let entries =
            entries.iter().map(|entry| Entry::parse(entry.as_ref().trim())).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether `endpoint` may be called; the error says why not and whose move it is.
    pub fn allows(&self, endpoint: &Url) -> Result<(), String> {
        // The endpoint's text may hold a password, so messages show the host only.
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err("the endpoint must not contain a user name or password; remove the part before `@`"
                .to_owned());
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(
                "the endpoint must not contain `?` or `#`; write scheme, host and port only".to_owned()
            );
        }
        let (Some(host), Some(port)) = (endpoint.host(), endpoint.port_or_known_default()) else {
            return Err("the endpoint names no host; write it like `https://oms.example.com`".to_owned());
        };
        let host = normal(host.to_owned());
        let encrypted = match endpoint.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("scheme `{other}` is not supported; write `https://{host}`")),
        };
        let own_port = endpoint.port().is_none();
        let mut named = self.entries.iter().filter(|entry| entry.name.matches(&host)).peekable();
        if named.peek().is_none() {
            return Err(format!(
                "host `{host}` is not allowed; use an allowed host, or ask the operator's administrator to add \
                 `--allowed-endpoint {host}`"
            ));
        }
        let mut at_port =
            named.filter(|entry| entry.port.map_or(own_port || is_loopback(&host), |p| p == port)).peekable();
        if at_port.peek().is_none() {
            return Err(format!(
                "port {port} of host `{host}` is not allowed; use an allowed port, or ask the operator's administrator \
                 to add `--allowed-endpoint {host}:{port}`"
            ));
        }
        if encrypted || is_loopback(&host) || at_port.any(|entry| entry.plain) {
            return Ok(());
        }
        Err(format!(
            "`http` to host `{host}` is not allowed as keys would travel in the open; use `https`, or ask the \
             operator's administrator to add `--allowed-endpoint http://{host}:{port}`"
        ))
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("{text:?} {why}; write `host`, `host:port`, `*.suffix` or `http://host:port`")
        };
        let (plain, rest) = match text.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            Some(_) => return Err(wrong("has an unknown scheme")),
            None => (false, text),
        };
        let (wildcard, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        // The parser of URLs brings the name into the form that endpoints are compared in. A scheme without a port of
        // its own keeps a port that is written out.
        let url = Url::parse(&format!("https://{rest}")).map_err(|_| wrong("is not a host"))?;
        let host = url.host().map(|host| normal(host.to_owned())).ok_or_else(|| wrong("is not a host"))?;
        let extra = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if extra || !url.username().is_empty() || url.password().is_some() || rest.ends_with('/') {
            return Err(wrong("is more than a host"));
        }
        let port = written_port(rest);
        let name = match host {
            Host::Domain(domain) if domain.contains('*') => {
                return Err(wrong("has `*` at a place that means nothing"));
            }
            Host::Domain(domain) if wildcard => Name::Below(format!(".{domain}")),
            _ if wildcard => return Err(wrong("has `*` before an address")),
            host => Name::Exact(host),
        };
        Ok(Self { name, port, plain })
    }
}

/// `Url` drops a port that equals the scheme's own; here it is a statement.
fn written_port(authority: &str) -> Option<u16> {
    let after_address = authority.rsplit(']').next().unwrap_or(authority);
    after_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

impl Name {
    fn matches(&self, host: &Host<String>) -> bool {
        match (self, host) {
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(suffix), Host::Domain(domain)) => domain.ends_with(suffix.as_str()),
            (Self::Below(_), _) => false,
        }
    }
}

/// `oms.example.com.` is the same host as `oms.example.com`.
fn normal(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(domain) => Host::Domain(domain.strip_suffix('.').unwrap_or(&domain).to_owned()),
        address => address,
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(domain) => domain == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[&str], endpoint: &str) -> Result<(), String> {
        AllowedEndpoints::parse(entries).unwrap().allows(&Url::parse(endpoint).unwrap())
    }

    #[test]
    fn an_endpoint_is_allowed_by_host_port_and_scheme() {
        let service = "*.myhuaweicloud.com";
        for (entry, endpoint, allowed) in [
            (service, "https://oms.cn-north-4.myhuaweicloud.com", true),
            (service, "https://oms.cn-north-4.myhuaweicloud.com:443/", true),
            (service, "https://OMS.cn-north-4.MyHuaweiCloud.com.", true),
            (service, "https://oms.cn-north-4.myhuaweicloud.com:8443", false),
            (service, "http://oms.cn-north-4.myhuaweicloud.com", false),
            (service, "https://myhuaweicloud.com", false),
            (service, "https://evilmyhuaweicloud.com", false),
            (service, "https://oms.myhuaweicloud.com.evil.example", false),
            (service, "https://evil.example/oms.myhuaweicloud.com", false),
            ("oms.internal", "https://oms.internal", true),
            ("oms.internal", "https://a.oms.internal", false),
            ("oms.internal:8443", "https://oms.internal:8443", true),
            ("oms.internal:8443", "https://oms.internal", false),
            ("oms.internal:443", "https://oms.internal", true),
            ("https://oms.internal", "http://oms.internal", false),
            ("http://oms.internal", "http://oms.internal", true),
            ("http://oms.internal", "https://oms.internal", true),
            ("http://oms.internal:8080", "http://oms.internal:8080", true),
            ("http://oms.internal:8080", "http://oms.internal", false),
            ("http://*.internal", "http://oms.internal", true),
            ("127.0.0.1", "http://127.0.0.1:34567", true),
            ("127.0.0.1:34567", "http://127.0.0.1:34567", true),
            ("127.0.0.1:34567", "http://127.0.0.1:34568", false),
            ("localhost", "http://localhost:34567", true),
            ("[::1]", "http://[::1]:34567", true),
            ("[::1]:34567", "http://[::1]:34567", true),
            ("*.0.0.1", "http://127.0.0.1", false),
            ("10.0.0.7", "http://10.0.0.7", false),
            // 2130706433 is 127.0.0.1 in decimal.
            (service, "https://2130706433", false),
            (service, "https://169.254.169.254", false),
            (service, "ftp://oms.myhuaweicloud.com", false),
        ] {
            let checked = if entry == "*.0.0.1" {
                assert!(AllowedEndpoints::parse(&[entry]).is_err());
                continue;
            } else {
                check(&[entry], endpoint)
            };
            assert_eq!(checked.is_ok(), allowed, "{entry} and {endpoint}: {checked:?}");
        }
    }

    #[test]
    fn one_entry_that_fits_is_enough() {
        let entries = ["*.myhuaweicloud.com", "oms.internal:8443", "http://oms.internal:8080"];
        assert_eq!(check(&entries, "http://oms.internal:8080"), Ok(()));
        assert!(check(&entries, "http://oms.internal:8443").is_err());
    }

    #[test]
    fn a_refusal_says_whose_move_it_is_and_shows_no_password() {
        let refused = check(&["*.myhuaweicloud.com"], "https://evil.example").unwrap_err();
        assert!(refused.contains("`evil.example`") && refused.contains("administrator"), "{refused}");
        let refused =
            check(&["*.myhuaweicloud.com"], "https://me:hunter2@oms.myhuaweicloud.com").unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
        assert!(check(&["*.myhuaweicloud.com"], "https://oms.myhuaweicloud.com/?a=b").is_err());
    }

    #[test]
    fn an_entry_that_would_mean_nothing_or_everything_is_refused() {
        for entry in
            ["", "*", "*.", "a.*.b", "*foo", "ftp://a", "a/b", "a/", "me@a", "a:99999", "a b", "*.10.0.0.1"]
        {
            assert!(AllowedEndpoints::parse(&[entry]).is_err(), "{entry:?} was taken");
        }
    }
}
