//! Programs that are not this one: commands that have to be installed, packages of this repository that
//! have to be built, servers that a child turns into.

use crate::harness::Result;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::thread;
use std::time::{Duration, Instant};

/// What a group takes that not every machine has.
pub(crate) enum Need {
    /// A command, and the package of Debian that has it.
    Command(&'static str, &'static str),
    /// A package in `others/` with a lock file, and features, of its own.
    Package(&'static str),
}

impl Need {
    /// Looks whether it is there. A package is built.
    pub(crate) fn meet(&self) -> Result<()> {
        match self {
            Need::Command(name, package) => match find(name) {
                Some(_) => Ok(()),
                None => Err(format!(
                    "there is no `{name}` here (Debian has it in the package {package})"
                )
                .into()),
            },
            Need::Package(name) => {
                let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
                let manifest = sources().join(name).join("Cargo.toml");
                cargo
                    .args(["build", "--release", "--quiet", "--manifest-path"])
                    .arg(manifest)
                    .arg("--target-dir")
                    .arg(built()?.join(name));
                match cargo.status()? {
                    status if status.success() => Ok(()),
                    status => Err(format!("others/{name} cannot be built: {status}").into()),
                }
            }
        }
    }
}

/// The program of a package in `others/`, which has been built.
pub(crate) fn package(name: &str) -> Result<Command> {
    Ok(Command::new(built()?.join(name).join("release").join(name)))
}

/// A command, wherever it is: a server's may be where a user's shell does not look.
pub(crate) fn command(name: &str) -> Result<Command> {
    let place = find(name).ok_or_else(|| format!("there is no `{name}` here"))?;
    Ok(Command::new(place))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|place| place.join(name))
        .find(|file| file.is_file())
}

/// Turns this process into another program. Returns only when it cannot.
pub(crate) fn become_program(program: Result<Command>) -> ExitCode {
    let error = match program {
        Ok(mut program) => program.exec().into(),
        Err(error) => error,
    };
    eprintln!("peers: cannot run another program: {error}");
    ExitCode::FAILURE
}

/// Runs a command to its end, and gives what it has written to its output.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output()?;
    let (stdout, stderr) = (String::from_utf8(stdout)?, String::from_utf8_lossy(&stderr));
    if !status.success() {
        let name = command.get_program().to_string_lossy();
        return Err(format!("{name} ended with {status}: {stdout}{stderr}").into());
    }
    Ok(stdout)
}

/// What programs of others are written in.
pub(crate) fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/others"))
}

/// Where what is made for them is kept, beside what cargo has built of this program.
pub(crate) fn built() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("no target directory")?;
    let built = target.join("others");
    fs::create_dir_all(&built)?;
    Ok(built)
}

/// An address that nobody listens on: for a server that cannot choose one and say which. Its port is below those
/// that the system gives out by itself, or somebody else might be given it before the server listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let free = (first..32_000)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok());
    Ok(free.ok_or("no port is free")?)
}

/// Waits for such a server to listen.
pub(crate) fn reach(address: SocketAddr) -> Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) if start.elapsed() > START => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// How long a server may take to start.
const START: Duration = Duration::from_secs(10);

/// A file that is gone when this is.
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new(name: &str, text: &str) -> Result<TemporaryFile> {
        let own = std::process::id();
        let path = env::temp_dir().join(format!("peers-{own}-{name}"));
        fs::write(&path, text)?;
        Ok(TemporaryFile(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // What is left behind in the temporary directory does no harm.
        let _ = fs::remove_file(&self.0);
    }
}
