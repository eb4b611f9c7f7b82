//! The line between a leader and those who stand by: a connection on which nothing is said after a name.
//! When the leader's process ends, however it ends, its kernel closes the connection, and nobody listens at its
//! address any more: that is certain, and known at once. A leader that is merely silent keeps both.
//! Invariant: a process is called gone only when its address refuses or belongs to another process.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use crate::base::names::Name;

/// Ends once the process of a holder is known to be gone; runs for ever otherwise.
/// Given the holder's line address and its identity.
pub type Lines = Arc<dyn Fn(String, Name) -> BoxFuture<'static, ()> + Send + Sync>;

/// Others that may hold the line at once; more are turned away, and wait for the lease instead.
const LISTENERS_MAX: usize = 64;

/// How long a leader may take to answer; one that does not is silent, and not gone.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Pause before a silent leader is called again.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause after a connection that was closed before its name was said: a process at its very end.
const PAUSE_AT_THE_END: Duration = Duration::from_millis(20);

/// Identities are short; a longer answer is none.
const IDENTITY_BYTES_MAX: usize = 512;

/// Lines over TCP.
pub fn over_tcp() -> Lines {
    Arc::new(|address, holder| Box::pin(until_gone(address, holder)))
}

/// The address by which others reach `listener`: its own, or where it listens on all of them `own`, or else the one
/// that this machine uses towards the API server at `server`.
pub async fn reachable(
    listener: &TcpListener,
    own: Option<IpAddr>,
    server: &Uri,
) -> Option<String> {
    let bound = listener.local_addr().ok()?;
    if !bound.ip().is_unspecified() {
        return Some(bound.to_string());
    }
    if let Some(own) = own {
        return Some(SocketAddr::new(own, bound.port()).to_string());
    }
    let host = server.host()?.trim_matches(['[', ']']);
    let port = server.port_u16().unwrap_or(443);
    let any = if bound.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    // Connecting a datagram socket sends nothing: it only chooses the way.
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect((host, port)).await.ok()?;
    let ip = socket.local_addr().ok()?.ip();
    Some(SocketAddr::new(ip, bound.port()).to_string())
}

/// Holds the line for everybody who calls, for as long as the process lives.
pub async fn serve(listener: TcpListener, identity: Name) {
    let places = Arc::new(Semaphore::new(LISTENERS_MAX));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of file descriptors, as a rule: others wait for the lease meanwhile.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let greeting = format!("{identity}\n");
        tokio::spawn(async move {
            if stream.write_all(greeting.as_bytes()).await.is_ok() {
                // Nothing is expected; the end of the other side ends this.
                let _ = stream.read(&mut [0; 1]).await;
            }
            drop(place);
        });
    }
}

async fn until_gone(address: String, holder: Name) {
    loop {
        match call(&address, &holder).await {
            Call::Held(mut stream) => {
                // Ends with the connection. Calling again tells whether the process has ended too.
                let _ = stream.read(&mut [0; 1]).await;
            }
            Call::Gone => return,
            Call::Ending => tokio::time::sleep(PAUSE_AT_THE_END).await,
            Call::Silent => tokio::time::sleep(PAUSE).await,
        }
    }
}

enum Call {
    /// It is there.
    Held(TcpStream),
    /// Nobody listens there, or somebody else.
    Gone,
    /// Somebody was there and closed the connection.
    Ending,
    /// No answer: it may be there.
    Silent,
}

async fn call(address: &str, holder: &str) -> Call {
    let mut stream = match tokio::time::timeout(ANSWER_MAX, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => return Call::Gone,
        Ok(Err(_)) | Err(_) => return Call::Silent,
    };
    match tokio::time::timeout(ANSWER_MAX, identity(&mut stream)).await {
        Ok(Some(identity)) if identity == holder.as_bytes() => Call::Held(stream),
        Ok(Some(_)) => Call::Gone,
        Ok(None) => Call::Ending,
        Err(_) => Call::Silent,
    }
}

/// The line's first and only words.
async fn identity(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    while said.len() < IDENTITY_BYTES_MAX {
        match stream.read_u8().await {
            Ok(b'\n') => return Some(said),
            Ok(byte) => said.push(byte),
            Err(_) => return None,
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::Instant;
    use tokio::time::timeout;

    use super::{reachable, serve, until_gone};

    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        (listener, address)
    }

    #[tokio::test]
    async fn a_process_that_ends_is_gone_at_once_and_one_that_is_silent_is_not() {
        let (listener, address) = listen().await;
        let leader = tokio::spawn(serve(listener, "a".into()));
        let mut standby = tokio::spawn(until_gone(address.clone(), "a".into()));
        assert!(timeout(Duration::from_millis(200), &mut standby).await.is_err());
        // Dropping the task closes its sockets, as the kernel does for a process.
        leader.abort();
        let _ = leader.await;
        let killed = Instant::now();
        // The connection itself is held by a task of its own here; without it, calling again tells.
        standby.abort();
        timeout(Duration::from_secs(1), until_gone(address, "a".into())).await.expect("refused");
        assert!(killed.elapsed() < Duration::from_millis(500));

        // The kernel accepts for a process that was stopped; nobody says a name.
        let (_stopped, address) = listen().await;
        let gone = until_gone(address, "a".into());
        assert!(timeout(Duration::from_millis(1500), gone).await.is_err());
    }

    #[tokio::test]
    async fn the_address_that_is_announced_can_be_reached() {
        let server = "https://127.0.0.1:6443".parse().expect("a URI");
        let (listener, address) = listen().await;
        assert_eq!(reachable(&listener, None, &server).await, Some(address));
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let pod = Some("10.1.2.3".parse().expect("an address"));
        assert_eq!(reachable(&listener, pod, &server).await, Some(format!("10.1.2.3:{port}")));
        assert_eq!(reachable(&listener, None, &server).await, Some(format!("127.0.0.1:{port}")));
    }

    #[tokio::test]
    async fn an_address_that_belongs_to_another_process_by_now_means_gone() {
        let (listener, address) = listen().await;
        let _other = tokio::spawn(serve(listener, "b".into()));
        timeout(Duration::from_secs(1), until_gone(address, "a".into())).await.expect("gone");
    }
}
