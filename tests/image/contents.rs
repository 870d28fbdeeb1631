//! What is in the operator's images.

use std::fs;
use std::process::Command;

use oms_operator::dev::image::{Architecture, SIZE_LIMIT, archive_name};
use oms_operator::dev::tools::{Tool, Tools};
use serde_json::{Value, json};

use crate::archive::Archive;
use crate::{folder, image, oms_dev, repository, target};

#[test]
fn an_image_starts_the_operator_as_nobody_in_particular() {
    for architecture in Architecture::ALL {
        let config = image(architecture).config();
        assert_eq!(config["os"], "linux");
        assert_eq!(config["architecture"], architecture.name());
        let started = &config["config"];
        assert_eq!(started["User"], "65532:65532");
        assert_eq!(started["Entrypoint"], json!(["/oms-operator"]));
        assert_eq!(started["Cmd"], json!(["run"]));
        assert_eq!(started["ExposedPorts"], json!({ "8080/tcp": {} }));
        assert_eq!(started["Env"], Value::Null, "nothing is set that the chart does not set");
    }
}

#[test]
fn an_image_holds_the_program_and_certificates_and_no_other_file() {
    for architecture in Architecture::ALL {
        let root = image(architecture).root();
        let seen: Vec<_> = root.iter().map(|entry| (entry.path.as_str(), entry.folder, entry.mode)).collect();
        let expected = [
            ("etc/", true, 0o755),
            ("etc/ssl/", true, 0o755),
            ("etc/ssl/certs/", true, 0o755),
            ("etc/ssl/certs/ca-certificates.crt", false, 0o644),
            ("oms-operator", false, 0o755),
        ];
        assert_eq!(seen, expected);
        let certificates = String::from_utf8(root[3].content.clone()).unwrap();
        assert!(certificates.matches("-----BEGIN CERTIFICATE-----").count() > 100, "{certificates}");
    }
}

#[test]
fn an_image_says_where_it_comes_from() {
    let labels = image(Architecture::Amd64).labels();
    assert_eq!(labels, image(Architecture::Arm64).labels());
    let names: Vec<_> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["created", "description", "licenses", "revision", "source", "title", "version"]);
    assert_eq!(labels["title"], "oms-operator");
    assert_eq!(labels["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["licenses"], "Apache-2.0");
    assert_eq!(labels["source"], env!("CARGO_PKG_REPOSITORY"));
    // A commit, unless this is no Git checkout.
    let revision = labels["revision"].trim_end_matches("-dirty");
    let commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(commit || revision == "unknown", "{revision}");
}

#[test]
fn an_image_is_small() {
    for architecture in Architecture::ALL {
        let size = image(architecture).size;
        println!("{architecture}: {size} bytes (at most {SIZE_LIMIT})");
        assert!(size <= SIZE_LIMIT, "{architecture}: {size} bytes");
    }
}

#[test]
fn nothing_in_an_image_tells_of_the_machine_that_made_it() {
    for architecture in Architecture::ALL {
        let archive = image(architecture);
        let created: jiff::Timestamp = archive.labels()["created"].parse().unwrap();
        for entry in archive.entries.iter().chain(&archive.root()) {
            assert_eq!(entry.owner, (0, 0), "{}", entry.path);
            assert_eq!(entry.names, (String::new(), String::new()), "{}", entry.path);
            assert_eq!(entry.time, created.as_second() as u64, "{}", entry.path);
        }
        let paths: Vec<_> = archive.entries.iter().map(|entry| &entry.path).collect();
        assert!(paths.is_sorted(), "{paths:?}");

        let program = archive.program();
        let text = String::from_utf8_lossy(&program);
        let home = std::env::var("HOME").unwrap();
        let places =
            [repository().to_str().unwrap(), target().to_str().unwrap(), "/.cargo/", "/.rustup/", "/.cache/"];
        for place in places.into_iter().chain((home.len() > "/root".len()).then_some(home.as_str())) {
            if let Some((before, after)) = text.split_once(place) {
                let around = before.chars().rev().take(40).collect::<Vec<_>>();
                let around: String = around.into_iter().rev().chain(after.chars().take(80)).collect();
                panic!("{architecture}: `{place}` is in the program: {around}");
            }
        }
    }
}

/// Of an ELF file for 64 bits, little-endian: its machine, and the kinds of its segments.
fn elf(program: &[u8]) -> (u16, Vec<u32>) {
    assert_eq!(program[..6], *b"\x7fELF\x02\x01");
    let half = |at: usize| u16::from_le_bytes(program[at..at + 2].try_into().unwrap());
    let first = u64::from_le_bytes(program[32..40].try_into().unwrap()) as usize;
    let (size, count) = (usize::from(half(54)), usize::from(half(56)));
    let kind = |number: usize| {
        let at = first + number * size;
        u32::from_le_bytes(program[at..at + 4].try_into().unwrap())
    };
    (half(18), (0..count).map(kind).collect())
}

#[test]
fn the_program_is_static_and_for_its_architecture() {
    const LOADED: u32 = 1;
    const INTERPRETER: u32 = 3;
    for (architecture, machine) in [(Architecture::Amd64, 62), (Architecture::Arm64, 183)] {
        let (for_machine, segments) = elf(&image(architecture).program());
        assert_eq!(for_machine, machine, "{architecture}");
        assert!(segments.contains(&LOADED), "{segments:?}");
        assert!(!segments.contains(&INTERPRETER), "{architecture}: it wants a dynamic linker");
    }
}

#[test]
fn nothing_of_a_development_program_is_in_the_image() {
    for architecture in Architecture::ALL {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("oms-operator");
        fs::write(&program, image(architecture).program()).unwrap();
        let output = Command::new(repository().join("hack/check-release")).arg(&program).output().unwrap();
        assert!(output.status.success(), "{architecture}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The instructions of the last stage of the Dockerfile.
fn dockerfile() -> Vec<(String, String)> {
    let text = fs::read_to_string(repository().join("Dockerfile")).unwrap().replace("\\\n", " ");
    let (_, last) = text.split_once("FROM scratch").unwrap();
    let lines = last.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

#[test]
fn the_dockerfile_makes_the_same_image() {
    let archive = image(Architecture::Amd64);
    let config = archive.config();
    let started = &config["config"];
    let instructions = dockerfile();
    let of = |word: &str| {
        let found = instructions.iter().filter(|(name, _)| name == word).map(|(_, rest)| rest.as_str());
        found.collect::<Vec<_>>()
    };
    let list = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(of("USER"), [started["User"].as_str().unwrap()]);
    assert_eq!(list(of("ENTRYPOINT")[0]), started["Entrypoint"]);
    assert_eq!(list(of("CMD")[0]), started["Cmd"]);
    let exposed: Vec<_> = of("EXPOSE").into_iter().map(|port| format!("{port}/tcp")).collect();
    let ports: Vec<_> = started["ExposedPorts"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(exposed, ports);
    let copied: Vec<_> = of("COPY").into_iter().filter_map(|rest| rest.rsplit_once(" /")).collect();
    let copied: Vec<_> = copied.into_iter().map(|(_, path)| path.to_owned()).collect();
    let files: Vec<_> =
        archive.root().into_iter().filter(|entry| !entry.folder).map(|entry| entry.path).collect();
    assert_eq!(copied, files);
    let labels = archive.labels();
    let fixed = ["description", "licenses", "source", "title", "version"];
    let stated: Vec<_> =
        fixed.iter().map(|name| format!("org.opencontainers.image.{name}=\"{}\"", labels[*name])).collect();
    for label in stated {
        assert!(of("LABEL").iter().any(|line| line.contains(&label)), "the Dockerfile lacks {label}");
    }
}

#[test]
fn the_archive_has_the_name_that_the_chart_asks_for() {
    let values: Value = serde_yaml::from_str(
        &fs::read_to_string(repository().join("charts/oms-operator/values.yaml")).unwrap(),
    )
    .unwrap();
    let chart: Value = serde_yaml::from_str(
        &fs::read_to_string(repository().join("charts/oms-operator/Chart.yaml")).unwrap(),
    )
    .unwrap();
    assert_eq!(values["image"]["tag"], "", "the chart's appVersion");
    let asked = format!(
        "{}:{}",
        values["image"]["repository"].as_str().unwrap(),
        chart["appVersion"].as_str().unwrap()
    );
    for architecture in Architecture::ALL {
        let archive = image(architecture);
        // What Docker calls it, and containerd, which `kind load image-archive` asks.
        assert_eq!(archive.json("manifest.json")[0]["RepoTags"], json!([asked]));
        let names = &archive.json("index.json")["manifests"][0]["annotations"];
        assert_eq!(names["io.containerd.image.name"], format!("docker.io/library/{asked}"));
    }
}

#[test]
fn an_archive_can_be_loaded_as_docker_saves_it() {
    let tools = Tools::resolve(oms_dev(), &[Tool::Crane]).unwrap();
    for architecture in Architecture::ALL {
        let path = folder().join(archive_name(architecture));
        let mut crane = Command::new(tools.path(Tool::Crane));
        let output = crane.args(["validate", "--tarball"]).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with("PASS"), "{said}");
    }
}

#[test]
fn the_layout_holds_both_images_under_one_index() {
    let layout = folder().join("oms-operator");
    let read =
        |path: &str| -> Value { serde_json::from_slice(&fs::read(layout.join(path)).unwrap()).unwrap() };
    let blob = |entry: &Value| format!("blobs/{}", entry["digest"].as_str().unwrap().replace(':', "/"));
    let outer = read("index.json");
    let index = read(&blob(&outer["manifests"][0]));
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let images = index["manifests"].as_array().unwrap();
    let digest = |archive: &Archive| archive.json("index.json")["manifests"][0]["digest"].clone();
    let seen: Vec<_> =
        images.iter().map(|entry| (entry["platform"].clone(), entry["digest"].clone())).collect();
    let expected = Architecture::ALL.map(|architecture| {
        let platform = json!({ "architecture": architecture.name(), "os": "linux" });
        (platform, digest(&image(architecture)))
    });
    assert_eq!(seen, expected);
}
