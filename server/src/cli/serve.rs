//! `serve`: the web API on a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::api::{self, App};
use crate::bearer::Bearers;
use crate::config::StoreArgs;
use crate::instant::MINUTE;
use crate::listen;
use crate::pages;
use crate::people;
use crate::platform::{self, environments};
use crate::store::Store;
use crate::store::sweep::{self, Ages, Swept};
use crate::tls;
use crate::tokens::Limits;

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(600);

#[derive(Args, Debug)]
pub struct Serve {
    /// Address and port; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8060", env = "USS_SERVER_LISTEN")]
    listen: SocketAddr,
    /// Certificate chain (PEM) for https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) for https
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Whether content and installer downloads need a bearer, as every other call does
    #[arg(long, value_name = "on|off", default_value = "on")]
    client_authentication: Switch,
    /// How long a bearer lives
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=1440))]
    bearer_life: i64,
    /// Wrong tokens within five minutes before 429, for one user name; an address gets five times that
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    failure_limit: i64,
    /// Connections at once; others wait
    #[arg(long, value_name = "COUNT", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How long the audit table keeps a line
    #[arg(long, value_name = "DAYS", default_value_t = 400, value_parser = clap::value_parser!(i64).range(1..=36_500))]
    audit_days: i64,
    /// Add a few environments to the platform's side, for everybody, where their names are free
    #[arg(long)]
    demo: bool,
    /// How long an environment of the platform's side takes to start, to stop, and so on
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    state_time: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(serve: Serve, store: &StoreArgs) -> Result<(), String> {
    let filter = EnvFilter::try_from_env("USS_SERVER_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    // A log that cannot be written, on a full disk for one, must not panic the request that wrote to it.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();

    let acceptor = match (&serve.tls_cert, &serve.tls_key) {
        (Some(certificates), Some(key)) => Some(tls::acceptor(certificates, key)?),
        _ => None,
    };
    let store = super::open(store, true).await?;
    store.blobs.reach().await.map_err(|error| error.to_string())?;
    if serve.demo {
        environments::demo::add(&store).await.map_err(|error| error.to_string())?;
    }
    let app = App {
        bearers: Arc::new(Bearers::new(&store.keys, serve.bearer_life * MINUTE)),
        limits: Limits { per_user: serve.failure_limit, per_address: serve.failure_limit * 5 },
        uploads: api::uploads::Running::default(),
        client_authentication: serve.client_authentication == Switch::On,
        pages: pages::Settings { secure: acceptor.is_some() },
        store: store.clone(),
        platform: platform::Settings { state_time: Duration::from_millis(serve.state_time) },
        #[cfg(feature = "faults")]
        faults: crate::faults::Faults::default(),
    };
    if acceptor.is_none() && !serve.listen.ip().to_canonical().is_loopback() {
        tracing::warn!(
            address = %serve.listen,
            "serving plain http where other machines can reach it: whoever is in between can read tokens and passwords. \
             Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that speaks https"
        );
    }
    let failed = |error: std::io::Error| format!("listening on {}: {error}", serve.listen);
    let listener = TcpListener::bind(serve.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = stop_signal()?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    // The first line on stdout; whoever started the server waits for it.
    super::print(&format!("listening on {scheme}://{address}"))?;
    // Nobody is there yet: whoever sees this console makes the first administrator. After a #, so that the key stands in
    // no request line and no log.
    if let Some(key) = people::invite_first(&store).await.map_err(|error| error.to_string())? {
        let shown = super::print(&format!("first administrator: {scheme}://{address}/setup#{}", key.expose()));
        if let Err(error) = shown {
            tracing::warn!(error, "the link for the first administrator was not shown; the next start makes another");
        }
    }

    let sweeping = tokio::spawn(sweep_now_and_then(store.clone(), Ages::serving(serve.audit_days), stop.clone()));
    let most = usize::try_from(serve.connections).unwrap_or(usize::MAX);
    listen::serve(listener, acceptor, api::router(app), most, stop).await;
    sweeping.await.map_err(|error| error.to_string())?;
    store.database.close().await;
    Ok(())
}

fn stop_signal() -> Result<CancellationToken, String> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| format!("waiting for SIGTERM: {error}"))?;
    tokio::spawn(async move {
        #[cfg(unix)]
        let interrupted = async {
            tokio::select! {
                _ = terminate.recv() => Ok(()),
                interrupted = tokio::signal::ctrl_c() => interrupted,
            }
        };
        #[cfg(not(unix))]
        let interrupted = tokio::signal::ctrl_c();
        if let Err(error) = interrupted.await {
            tracing::error!(%error, "Ctrl-C cannot be waited for; stopping");
        }
        stopped.cancel();
    });
    Ok(stop)
}

async fn sweep_now_and_then(store: Store, ages: Ages, stop: CancellationToken) {
    loop {
        let swept = tokio::select! {
            () = stop.cancelled() => return,
            swept = sweep::sweep(&store, &ages) => swept,
        };
        match swept {
            Ok(swept) if swept == Swept::default() => {}
            Ok(swept) => tracing::info!(swept.objects, swept.audit, "what nothing needs was removed"),
            Err(error) => tracing::warn!(%error, "sweeping failed; it is tried again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
    }
}
