//! Servers that listen on Unix sockets.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use actor_core::Outcome;
use actor_io::{Unix, UnixListener, UnixStream};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{Server, ServerBuilder};

impl Server {
    /// Listens at `path` and serves until the current tasklet is asked to stop:
    /// [`bind_unix`](Self::bind_unix) and [`run`](Self::run) in one, with the errors of both.
    ///
    /// ```no_run
    /// use actor_io::BufferedWriter;
    /// use actor_net::Server;
    ///
    /// actor_core::dispatch(|| {
    ///     Server::serve_unix("/run/greeter", |stream| BufferedWriter::new(stream).write_line("hello"))
    /// });
    /// ```
    pub fn serve_unix<H, R>(path: impl AsRef<Path>, handler: H) -> io::Result<()>
    where
        H: Fn(UnixStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        Server::bind_unix(path)?.run(handler)
    }

    /// Listens on a Unix socket at `path`, with the default options: see [`ServerBuilder::bind_unix`].
    ///
    /// ```
    /// use actor_io::UnixStream;
    /// use actor_net::Server;
    /// use std::io::{self, Read, Write};
    /// use std::time::Duration;
    ///
    /// # let path = std::env::temp_dir().join(format!("greeter-{}", std::process::id()));
    /// # let code =
    /// actor_core::dispatch(move || -> io::Result<()> {
    ///     let greet = |mut stream: UnixStream| stream.write_all(b"hello");
    ///     let server = Server::bind_unix(&path)?.spawn(greet)?;
    ///     let mut greeting = String::new();
    ///     UnixStream::connect(&path)?.read_to_string(&mut greeting)?;
    ///     assert_eq!(greeting, "hello");
    ///     server.shutdown(Duration::from_secs(5))?;
    ///     assert!(!path.exists());
    ///     Ok(())
    /// });
    /// # assert_eq!(code, std::process::ExitCode::SUCCESS);
    /// ```
    pub fn bind_unix(path: impl AsRef<Path>) -> io::Result<Server<Unix>> {
        Server::builder().bind_unix(path)
    }
}

impl ServerBuilder {
    /// Listens on a Unix socket at `path`: see [`bind_unix_addr`](Self::bind_unix_addr).
    ///
    /// # Errors
    ///
    /// As there, and [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long for a socket.
    ///
    /// ```
    /// use actor_net::Server;
    ///
    /// # let path = std::env::temp_dir().join(format!("builder-{}", std::process::id()));
    /// let server = Server::builder().max_connections(100).bind_unix(&path).unwrap();
    /// assert_eq!(server.local_addr().as_pathname(), Some(&*path));
    /// drop(server);
    /// assert!(!path.exists());
    /// ```
    pub fn bind_unix(self, path: impl AsRef<Path>) -> io::Result<Server<Unix>> {
        self.bind_unix_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Listens on a Unix socket with this path or abstract name. What belongs to TCP alone is ignored:
    /// [`nodelay`](Self::nodelay) and [`reuse_port`](Self::reuse_port).
    ///
    /// A socket that is in the way and has nobody any more who listens, since its server has come to a bad
    /// end, is removed, unless [`reuse_addr`](Self::reuse_addr) is off. Two servers that are started
    /// at the same moment may both do that, and one of them then listens where nobody can find it:
    /// whoever starts servers has to see to it that there is one. When the server stops to accept, or is
    /// dropped, it removes its path, if that is still its own.
    ///
    /// Connections are served by [handlers](Server::run); there are no actors for them, and no TLS.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if somebody listens there, or the path is something else than
    /// a socket; those of the file system;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an idle timeout of zero.
    ///
    /// ```
    /// use actor_net::Server;
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    ///
    /// # let name = format!("abstract-{}", std::process::id());
    /// let name = SocketAddr::from_abstract_name(name).unwrap();
    /// let server = Server::builder().bind_unix_addr(&name).unwrap();
    /// assert!(Server::builder().bind_unix_addr(&name).is_err());
    /// ```
    pub fn bind_unix_addr(mut self, addr: &SocketAddr) -> io::Result<Server<Unix>> {
        self.settings.check()?;
        self.settings.nodelay = false;
        let listener = match self.listen_unix(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.reuse_addr => {
                match addr.as_pathname() {
                    Some(path) if is_abandoned(path)? => fs::remove_file(path)?,
                    _ => return Err(error),
                }
                self.listen_unix(addr)?
            }
            listener => listener?,
        };
        Ok(Server {
            local_addr: listener.local_addr()?,
            listener,
            settings: self.settings,
            place: addr.as_pathname().map(Place::at).transpose()?,
        })
    }

    fn listen_unix(&self, addr: &SocketAddr) -> io::Result<UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&name(addr)?)?;
        socket.listen(self.backlog.try_into().unwrap_or(i32::MAX))?;
        UnixListener::try_from(OwnedFd::from(socket))
    }
}

/// The address as `socket2` has it, where an abstract name is a path that begins with a zero.
fn name(addr: &SocketAddr) -> io::Result<SockAddr> {
    match (addr.as_pathname(), addr.as_abstract_name()) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[&[0], name].concat())),
        (None, None) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "nobody can find a socket without a name",
        )),
    }
}

/// Whether there is a socket at which nobody listens.
fn is_abandoned(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    // Does not wait, and is gone at once if it succeeds.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) => Ok(error.kind() == io::ErrorKind::ConnectionRefused),
        Ok(()) => Ok(false),
    }
}

/// The place of a socket in the file system, which is given up with this.
#[derive(Debug)]
pub(super) struct Place {
    /// However the working directory may change.
    path: PathBuf,
    /// The device and the number of the file, by which it is told from another's of the same name.
    id: (u64, u64),
}

impl Place {
    fn at(path: &Path) -> io::Result<Place> {
        let path = std::path::absolute(path)?;
        let id = id(&path)?;
        Ok(Place { path, id })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            // What cannot be removed is found abandoned by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
