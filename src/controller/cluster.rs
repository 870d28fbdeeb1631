//! The way to the API server.

use kube::{Client, Config};

/// A client of the cluster that this process is in, or that its kubeconfig names.
///
/// `HTTPS_PROXY` is for calls to OMS. Where there is a kubeconfig, kube takes it for the API server too, whatever
/// `NO_PROXY` says; in a pod it does not, and neither do we. A proxy that the kubeconfig names itself stays an error.
pub async fn client() -> Result<Client, kube::Error> {
    let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    let of_environment = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .and_then(|value| value.parse().ok());
    if config.proxy_url == of_environment {
        config.proxy_url = None;
    }
    Client::try_from(config)
}
