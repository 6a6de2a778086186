//! What is between a server and its store: a link that can be cut and mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Passes on connections to a target until it is cut.
pub struct Link {
    pub address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Link {
    /// A link to `target`, as host and port.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let whole = watch::Sender::new(true);
        let (target, state): (Arc<str>, _) = (target.into(), whole.subscribe());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut state) = (target.clone(), state.clone());
                // Dropped at once, or when it is cut: both ends see that it broke.
                tokio::spawn(async move {
                    if !*state.borrow_and_update() {
                        return;
                    }
                    let mut far = TcpStream::connect(&*target).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, whole }
    }

    /// Breaks what goes through, and lets nothing through; nothing does any more when this is done.
    pub async fn cut(&self) {
        self.whole.send_replace(false);
        // The listener watches, and each connection while it lives.
        for _ in 0..1000 {
            if self.whole.receiver_count() == 1 {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("connections go on");
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}
