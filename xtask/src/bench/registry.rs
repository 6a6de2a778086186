//! skopeo between two container registries: the nearest thing that copies a big blob from one server to another.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::timed;
use crate::{
    Result,
    process::{self, Running},
};

/// Two registries, one with an image of a single layer.
pub(super) struct Registries {
    source: Registry,
    destination: Registry,
}

struct Registry {
    address: String,
    storage: PathBuf,
    _running: Running,
}

impl Registries {
    /// Starts both, and puts a layer of `size` random bytes into the first.
    pub(super) fn start(folder: &Path, size: u64) -> Result<Self> {
        let source = Registry::start(&folder.join("registry-source"))?;
        let destination = Registry::start(&folder.join("registry-destination"))?;
        let layout = folder.join("image");
        image(&layout, size)?;
        let to = format!("docker://{}/big:1", source.address);
        process::run(skopeo().arg("--dest-tls-verify=false").arg(format!("oci:{}", layout.display())).arg(to))?;
        fs::remove_dir_all(&layout)?;
        Ok(Self { source, destination })
    }

    /// Copies the image to the second registry, which has nothing.
    pub(super) fn copy(&self) -> Result<Duration> {
        let blobs = self.destination.storage.join("docker");
        if blobs.exists() {
            fs::remove_dir_all(&blobs)?;
        }
        let (from, to) = (&self.source.address, &self.destination.address);
        let mut command = skopeo();
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        timed(command.args([format!("docker://{from}/big:1"), format!("docker://{to}/big:1")]))
    }
}

/// As it comes: no compression, no other digest.
fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
    command
}

impl Registry {
    fn start(folder: &Path) -> Result<Self> {
        let storage = folder.join("storage");
        fs::create_dir_all(&storage)?;
        // It does not tell which port it took, so a free one is found first.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let config = folder.join("config.yml");
        let storage_path = storage.display();
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
                 storage: {{ filesystem: {{ rootdirectory: '{storage_path}' }} }}\nhttp: {{ addr: '{address}' }}\n"
            ),
        )?;
        let mut command = Command::new("docker-registry");
        let running = Running::start(command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()))?;
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("docker-registry did not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { address, storage, _running: running })
    }
}

/// An image layout of the Open Container Initiative with one layer.
fn image(layout: &Path, size: u64) -> Result<()> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let layer = layout.join("layer");
    let script = format!("head -c {size} /dev/urandom > \"$0\" && sha256sum \"$0\" | cut -d' ' -f1");
    let digest = process::output(Command::new("sh").args(["-c", &script]).arg(&layer))?;
    fs::rename(&layer, blobs.join(digest.trim()))?;
    let layer = format!("sha256:{}", digest.trim());

    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [layer] } });
    let config = blob(&blobs, "application/vnd.oci.image.config.v1+json", &config)?;
    let layer = json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": size });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
    let manifest = blob(&blobs, kind, &manifest)?;
    fs::write(layout.join("index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())?;
    Ok(fs::write(layout.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?)
}

/// Stores a document and answers with what points to it.
fn blob(blobs: &Path, kind: &str, document: &serde_json::Value) -> Result<serde_json::Value> {
    let text = document.to_string();
    let file = blobs.join("document");
    fs::write(&file, &text)?;
    let digest = process::output(Command::new("sha256sum").arg(&file))?;
    let digest = digest.split_whitespace().next().ok_or("sha256sum printed nothing")?.to_owned();
    fs::rename(&file, blobs.join(&digest))?;
    Ok(json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": text.len() }))
}
