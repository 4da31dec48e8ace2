//! A relay of TCP connections that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Connections to its address go on to a node, until they are cut.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    cut: broadcast::Sender<()>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens at the node's own host, for which its certificate is good.
    pub(crate) async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind((node.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (cut, _) = broadcast::channel(1);
        let task = tokio::spawn({
            let (accepted, cut) = (Arc::clone(&accepted), cut.clone());
            async move {
                while let Ok((mut near, _)) = listener.accept().await {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    let mut cut = cut.subscribe();
                    tokio::spawn(async move {
                        let Ok(mut far) = TcpStream::connect(node).await else { return };
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                            _ = cut.recv() => {}
                        }
                    });
                }
            }
        });
        Self { address, accepted, cut, task }
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Cuts the connections that there are; new ones are taken.
    pub(crate) fn cut(&self) {
        let _ = self.cut.send(());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
