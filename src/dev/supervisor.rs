//! The process that starts the real control plane, watches it, and ends it (`oms-dev control-plane`).
//!
//! It lives until its standard input reaches the end, which is what happens when the process that
//! holds the other end of the pipe ends in whatever way.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::error::{Context, Error, Result};
use super::interrupt;
use super::process::BoundProcess;
use super::scratch::Scratch;
use super::tools::{Tool, Tools};

/// A server on a busy machine is ready in 3 to 10 seconds; this is far beyond.
const START_LIMIT: Duration = Duration::from_mins(2);
/// Another process can take a port between our look and the server's bind.
const START_ATTEMPTS: u32 = 5;

/// What a running control plane tells, one JSON line on standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// A kubeconfig file whose user may do everything.
    pub kubeconfig: PathBuf,
    /// URL of the API server.
    pub server: String,
    /// Bearer token of the kubeconfig's user.
    pub token: String,
    /// File with the certificates that sign the server's.
    pub certificate_authority: PathBuf,
    /// What service accounts asked of the server: one audit event per line.
    pub audit_log: PathBuf,
    /// The temporary folder: logs and data; removed at the end.
    pub dir: PathBuf,
    /// Folder with kubectl and the servers, for `PATH`.
    pub tools: PathBuf,
    /// Path of kubectl.
    pub kubectl: PathBuf,
    /// Process IDs of the supervisor and the servers.
    pub pids: Vec<u32>,
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// With kube-controller-manager, so that namespaces, owner references, service accounts and
    /// Deployments are handled.
    pub controller_manager: bool,
}

/// The body of `oms-dev control-plane`: starts everything, prints [`Ready`], and returns when
/// standard input ends, a signal asks for it, or a server dies (the last is an error).
pub async fn supervise(oms_dev: &Path, parts: Parts) -> Result<()> {
    let ended = end_of_life()?;
    let mut servers = tokio::select! {
        started = start(oms_dev, parts) => started?,
        () = ended.cancelled() => return Ok(()),
    };
    let line = serde_json::to_string(&servers.ready).context("Could not write the ready line")?;
    {
        let mut output = std::io::stdout().lock();
        // A closed pipe means that the asker has gone; standard input tells so as well.
        let _ = writeln!(output, "{line}").and_then(|()| output.flush());
    }
    loop {
        tokio::select! {
            () = ended.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(250)) => servers.check()?,
        }
    }
}

/// Cancelled when standard input ends or a signal asks us to end.
fn end_of_life() -> Result<CancellationToken> {
    let token = interrupt::token()?;
    let closed = token.clone();
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 256];
        while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
        closed.cancel();
    });
    Ok(token)
}

/// The running servers; dropping it kills them, the API server first, then removes the folder.
struct Servers {
    processes: Vec<BoundProcess>,
    ready: Ready,
    _scratch: Scratch,
}

impl Servers {
    fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(BoundProcess::check_running)
    }
}

async fn start(oms_dev: &Path, parts: Parts) -> Result<Servers> {
    let binary = oms_dev.to_owned();
    let wanted: Vec<Tool> = Tool::CONTROL_PLANE
        .into_iter()
        .filter(|&tool| parts.controller_manager || tool != Tool::KubeControllerManager)
        .collect();
    let tools = tokio::task::spawn_blocking(move || Tools::resolve(&binary, &wanted))
        .await
        .context("The search for tools failed")??;
    let mut attempt = 1;
    loop {
        match start_once(oms_dev, parts, &tools).await {
            Err(error) if attempt < START_ATTEMPTS && is_taken_port(&error) => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn is_taken_port(error: &Error) -> bool {
    error.to_string().contains("address already in use")
}

async fn start_once(oms_dev: &Path, parts: Parts, tools: &Tools) -> Result<Servers> {
    let deadline = Instant::now() + START_LIMIT;
    let scratch = Scratch::create()?;
    let dir = scratch.path().to_owned();
    let [etcd_port, peer_port, server_port] = free_ports()?;
    let server = format!("https://127.0.0.1:{server_port}");
    let token = random_hex(24)?;
    let files = Files::write(&dir, &token)?;
    let kubeconfig = dir.join("kubeconfig");
    let audit_log = dir.join("audit.log");
    let mut servers = Servers {
        processes: Vec::new(),
        ready: Ready {
            kubeconfig: kubeconfig.clone(),
            server: server.clone(),
            token: token.clone(),
            certificate_authority: files.certificates.join("apiserver.crt"),
            audit_log: audit_log.clone(),
            dir: dir.clone(),
            tools: tools.folder().to_owned(),
            kubectl: tools.path(Tool::Kubectl),
            pids: vec![std::process::id()],
        },
        _scratch: scratch,
    };

    let mut launch = |tool: Tool, command: &Command| -> Result<()> {
        let log = dir.join(format!("{}.log", tool.name()));
        let process = BoundProcess::spawn(oms_dev, tool.name(), command, &log)?;
        servers.ready.pids.push(process.id());
        // The last started is killed first.
        servers.processes.insert(0, process);
        Ok(())
    };

    let mut etcd = Command::new(tools.path(Tool::Etcd));
    let (client_url, peer_url) =
        (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peer_port}"));
    etcd.arg("--data-dir").arg(dir.join("etcd")).args([
        "--listen-client-urls",
        &client_url,
        "--advertise-client-urls",
        &client_url,
        "--listen-peer-urls",
        &peer_url,
        "--initial-advertise-peer-urls",
        &peer_url,
        "--initial-cluster",
        &format!("default={peer_url}"),
        "--unsafe-no-fsync",
        "--log-level",
        "warn",
    ]);
    launch(Tool::Etcd, &etcd)?;

    let mut apiserver = Command::new(tools.path(Tool::KubeApiserver));
    apiserver
        .args(["--etcd-servers", &client_url, "--bind-address", "127.0.0.1"])
        .args(["--secure-port", &server_port.to_string()])
        .args(["--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC"])
        .args(["--disable-admission-plugins", "ServiceAccount", "--service-account-issuer", &server])
        .arg("--cert-dir")
        .arg(&files.certificates)
        .arg("--audit-policy-file")
        .arg(&files.audit_policy)
        .arg("--audit-log-path")
        .arg(&audit_log)
        .arg("--service-account-key-file")
        .arg(&files.public_key)
        .arg("--service-account-signing-key-file")
        .arg(&files.signing_key)
        .arg("--token-auth-file")
        .arg(&files.tokens);
    launch(Tool::KubeApiserver, &apiserver)?;

    // The server makes its own certificate as one of its first acts.
    let certificate = loop {
        if let Ok(text) = fs::read(files.certificates.join("apiserver.crt"))
            && text.ends_with(b"-----END CERTIFICATE-----\n")
        {
            break text;
        }
        servers.check()?;
        pause(deadline, "the certificate of kube-apiserver").await?;
    };
    let text = kubeconfig_text(&server, &certificate, &token);
    write_private(&kubeconfig, text.as_bytes())?;

    if parts.controller_manager {
        let mut manager = Command::new(tools.path(Tool::KubeControllerManager));
        manager.arg("--kubeconfig").arg(&kubeconfig).args([
            "--controllers",
            "namespace-controller,garbage-collector-controller,serviceaccount-token-controller,\
             serviceaccount-controller,deployment-controller,replicaset-controller,job-controller,\
             cronjob-controller,clusterrole-aggregation-controller",
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--secure-port",
            "0",
            "--service-account-private-key-file",
        ]);
        manager.arg(&files.signing_key);
        let log = dir.join("kube-controller-manager.log");
        let process = BoundProcess::spawn(oms_dev, "kube-controller-manager", &manager, &log)?;
        servers.ready.pids.push(process.id());
        servers.processes.insert(0, process);
    }

    let client = client_of(&kubeconfig).await?;
    while !answers(&client).await {
        servers.check()?;
        pause(deadline, "kube-apiserver").await?;
    }
    // Whoever answered accepted our random token, so it is our server and no other on that port.
    servers.check()?;
    Ok(servers)
}

/// A client of the kubeconfig file at `path`.
pub async fn client_of(path: &Path) -> Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(path)
        .context(format_args!("Could not read {}", path.display()))?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .context(format_args!("Could not use {}", path.display()))?;
    Client::try_from(config).context("Could not make a Kubernetes client")
}

/// Ready means: `/readyz` is ok, and the namespaces that everybody expects exist.
async fn answers(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    if client.request_text(request).await.is_err() {
        return false;
    }
    let namespaces = Api::<Namespace>::all(client.clone());
    for name in ["default", "kube-system"] {
        if namespaces.get(name).await.is_err() {
            return false;
        }
    }
    true
}

async fn pause(deadline: Instant, waiting_for: &str) -> Result<()> {
    if Instant::now() >= deadline {
        let seconds = START_LIMIT.as_secs();
        return Err(Error::new(format!("Waited {seconds} s in vain for {waiting_for}")));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("No free port")?;
        *port = listener.local_addr().context("No free port")?.port();
        // Held until all are chosen.
        held.push(listener);
    }
    Ok(ports)
}

struct Files {
    certificates: PathBuf,
    signing_key: PathBuf,
    public_key: PathBuf,
    tokens: PathBuf,
    audit_policy: PathBuf,
}

/// The requests of service accounts outside of `kube-system`, without their contents: what programs with few rights do.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    userGroups: [\"system:serviceaccounts:kube-system\"]
  - level: Metadata
    userGroups: [\"system:serviceaccounts\"]
  - level: None
";

impl Files {
    fn write(dir: &Path, token: &str) -> Result<Self> {
        let files = Self {
            certificates: dir.join("certificates"),
            signing_key: dir.join("sa.key"),
            public_key: dir.join("sa.pub"),
            tokens: dir.join("tokens.csv"),
            audit_policy: dir.join("audit-policy.yaml"),
        };
        fs::create_dir(&files.certificates).context("Could not create the certificate folder")?;
        let (private, public) = service_account_key()?;
        write_private(&files.audit_policy, AUDIT_POLICY.as_bytes())?;
        write_private(&files.signing_key, private.as_bytes())?;
        write_private(&files.public_key, public.as_bytes())?;
        write_private(&files.tokens, format!("{token},admin,admin,\"system:masters\"\n").as_bytes())?;
        Ok(files)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).context(format_args!("Could not write {}", path.display()))
}

/// So many random bytes in hexadecimal: a token or a key that nobody can guess.
pub fn random_hex(length: usize) -> Result<String> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::new("The system gave no random bytes"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// A fresh key pair (PKCS #8 and SubjectPublicKeyInfo, both PEM) that signs service account tokens.
fn service_account_key() -> Result<(String, String)> {
    // SubjectPublicKeyInfo of an uncompressed P-256 point, without the point (RFC 5480).
    const SPKI_PREFIX: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let random = SystemRandom::new();
    let refused = |_| Error::new("Could not make a service account key");
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(refused)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
        .map_err(|error| Error::new(format!("Could not make a service account key: {error}")))?;
    let public = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
    Ok((pem("PRIVATE KEY", document.as_ref()), pem("PUBLIC KEY", &public)))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn kubeconfig_text(server: &str, certificate: &[u8], token: &str) -> String {
    let certificate = data_encoding::BASE64.encode(certificate);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: oms-dev\n\
         contexts:\n\
         - name: oms-dev\n  context: {{ cluster: oms-dev, user: admin, namespace: default }}\n\
         clusters:\n\
         - name: oms-dev\n  cluster:\n    server: {server}\n    certificate-authority-data: {certificate}\n\
         users:\n\
         - name: admin\n  user:\n    token: {token}\n"
    )
}
