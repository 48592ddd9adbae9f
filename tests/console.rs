//! The standard streams, whatever they are; and the console that is served there and on a socket.

mod common;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{PATIENCE, Program, child, eventually, example};
use concurrence::io::{stderr, stdin, stdout};
use concurrence::{Runtime, Tasklet, timeout};

/// What a program may have for a standard stream: its end, and the other one.
type Ends = fn() -> (OwnedFd, OwnedFd);

fn pipe_in() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = io::pipe().unwrap();
    (reader.into(), writer.into())
}

fn pipe_out() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = io::pipe().unwrap();
    (writer.into(), reader.into())
}

fn socket() -> (OwnedFd, OwnedFd) {
    let (near, far) = UnixStream::pair().unwrap();
    (near.into(), far.into())
}

/// A terminal, and who sits before it. What is typed does not come back, and nothing is translated.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: the call fills in two fresh descriptors, and makes no use of the null pointers.
    let (master, slave) = unsafe {
        let (null, termios, size) = (
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        );
        assert_eq!(
            libc::openpty(&mut master, &mut slave, null, termios, size),
            0
        );
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    };
    // SAFETY: all zeros is a valid `termios`, which the call fills in.
    unsafe {
        let mut settings = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(slave.as_raw_fd(), &mut settings), 0);
        settings.c_lflag &= !libc::ECHO;
        settings.c_oflag &= !libc::OPOST;
        assert_eq!(
            libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, &settings),
            0
        );
    }
    (slave, master)
}

/// The side of a terminal that cannot be opened again: that would be another terminal.
fn terminal_master() -> (OwnedFd, OwnedFd) {
    let (slave, master) = terminal();
    (master, slave)
}

/// Whether operations on what `fd` refers to, by whomever, do not wait.
fn is_nonblocking(fd: &OwnedFd) -> bool {
    // SAFETY: plain system call on an open descriptor.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

/// A program that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        eventually("the end of the program", || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that come out of a stream, each as it comes.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

fn wait_for(lines: &mpsc::Receiver<String>, wanted: &str) {
    loop {
        let line = lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("no {wanted}"));
        if line.contains(wanted) {
            return;
        }
    }
}

/// Runs `main` on one worker, beside a tasklet that says "alive" once it has been resumed a few times:
/// which it is not if `main` keeps the thread waiting.
fn beside_another(main: fn()) -> ExitCode {
    Runtime::builder().workers(1).dispatch(move || {
        Tasklet::spawn(|| {
            (0..3).for_each(|_| Tasklet::sleep(Duration::from_millis(1)));
            writeln!(stderr(), "alive").unwrap();
        });
        main();
    })
}

/// Passes on lines up to one that says "end".
fn pass_on() {
    for line in stdin().lines() {
        let line = line.unwrap();
        writeln!(stdout(), "got {line}").unwrap();
        if line == "end" {
            return;
        }
    }
}

#[test]
fn only_the_tasklet_waits_for_input_of_any_kind() {
    let mut command = child(|| beside_another(pass_on));
    let kinds: [(&str, Ends); 4] = [
        ("pipe", pipe_in),
        ("socket", socket),
        ("terminal", terminal),
        ("terminal's master", terminal_master),
    ];
    for (kind, ends) in kinds {
        let (near, far) = ends();
        let kept = near.try_clone().unwrap();
        command
            .stdin(near)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut program = Running(command.spawn().unwrap());
        let errors = lines(program.0.stderr.take().unwrap());
        let output = lines(program.0.stdout.take().unwrap());
        wait_for(&errors, "alive");
        assert!(!is_nonblocking(&kept), "{kind}: for others as well");
        let mut far = File::from(far);
        far.write_all(b"one\n").unwrap();
        wait_for(&output, "got one");
        far.write_all(b"tw").unwrap();
        far.write_all(b"o\nend\n").unwrap();
        wait_for(&output, "got two");
        assert_eq!(program.wait(), Some(0), "{kind}");
        assert!(!is_nonblocking(&kept), "{kind}: for others as well");
    }
}

const PLENTY: usize = 1_000_000;

fn write_plenty() {
    stdout().write_all(&[b'x'; PLENTY]).unwrap();
}

#[test]
fn only_the_tasklet_waits_for_room_of_any_kind() {
    let mut command = child(|| beside_another(write_plenty));
    let kinds: [(&str, Ends); 3] = [
        ("pipe", pipe_out),
        ("socket", socket),
        ("terminal", terminal),
    ];
    for (kind, ends) in kinds {
        let (near, far) = ends();
        let kept = near.try_clone().unwrap();
        command
            .stdin(Stdio::null())
            .stdout(near)
            .stderr(Stdio::piped());
        let mut program = Running(command.spawn().unwrap());
        let errors = lines(program.0.stderr.take().unwrap());
        // Nobody reads yet.
        wait_for(&errors, "alive");
        assert!(!is_nonblocking(&kept), "{kind}: for others as well");
        let mut far = File::from(far);
        let (mut chunk, mut count) = (vec![0; 64 * 1024], 0);
        while count < PLENTY {
            let read = far.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "{kind}: ended after {count}");
            count += chunk[..read].iter().filter(|&&byte| byte == b'x').count();
        }
        drop(far);
        assert!(program.wait().is_some());
        assert!(!is_nonblocking(&kept), "{kind}: for others as well");
    }
}

#[test]
fn files_are_read_and_appended_to() {
    let mut command = child(|| beside_another(pass_on));
    let path = std::env::temp_dir().join(format!("console-{}", std::process::id()));
    fs::write(&path, "one\ntwo\nend\nnot read\n").unwrap();
    let log = path.with_extension("log");
    fs::write(&log, "before\n").unwrap();
    let append = File::options().append(true).open(&log).unwrap();
    command
        .stdin(File::open(&path).unwrap())
        .stdout(append)
        .stderr(Stdio::piped());
    let mut program = Running(command.spawn().unwrap());
    wait_for(&lines(program.0.stderr.take().unwrap()), "alive");
    assert_eq!(program.wait(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("before\n"), "{text}");
    assert!(text.contains("got one\ngot two\ngot end\n"), "{text}");
    fs::remove_file(path).unwrap();
    fs::remove_file(log).unwrap();
}

#[test]
fn what_is_wrong_with_a_stream_is_an_error() {
    let mut command = child(|| {
        Runtime::builder().workers(1).dispatch(|| {
            let mut line = String::new();
            assert_eq!(stdin().read_line(&mut line).unwrap(), 0, "nothing to read");
            // Not from the start: the harness has something to say before.
            let device = File::options().write(true).open("/dev/full").unwrap();
            // SAFETY: plain system call; nobody owns the descriptor that is replaced.
            assert_eq!(unsafe { libc::dup2(device.as_raw_fd(), 1) }, 1);
            let full = stdout().write_all(b"x").unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::StorageFull);
            writeln!(stderr(), "as expected").unwrap();
        })
    });
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut program = Running(command.spawn().unwrap());
    wait_for(&lines(program.0.stderr.take().unwrap()), "as expected");
}

#[test]
fn a_pipe_that_nobody_reads_any_more_is_an_error_and_no_signal() {
    let mut command = child(|| {
        Runtime::builder().workers(1).dispatch(|| {
            writeln!(stderr(), "your turn").unwrap();
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            let broken = stdout().write_all(b"x").unwrap_err();
            assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
            writeln!(stderr(), "as expected").unwrap();
        })
    });
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = Running(command.spawn().unwrap());
    let errors = lines(program.0.stderr.take().unwrap());
    wait_for(&errors, "your turn");
    drop(program.0.stdout.take());
    program
        .0
        .stdin
        .take()
        .unwrap()
        .write_all(b"go on\n")
        .unwrap();
    wait_for(&errors, "as expected");
}

#[test]
fn a_read_can_be_given_up_and_stopped_and_nothing_is_lost() {
    let mut command = child(|| {
        Runtime::builder().workers(1).dispatch(|| {
            let mut bytes = [0; 8];
            let late = timeout(Duration::from_millis(5), || stdin().read(&mut bytes));
            assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let reader = Tasklet::spawn(|| stdin().read_or_stop(&mut [0; 8]));
            Tasklet::yield_now();
            reader.stop();
            assert_eq!(reader.join().unwrap().unwrap(), None);
            let killed = Tasklet::spawn(|| stdin().read(&mut [0; 8]));
            Tasklet::yield_now();
            killed.kill();
            assert!(killed.join().is_err());
            writeln!(stderr(), "your turn").unwrap();
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            assert_eq!(line, "all of it\n");
            // What has been read ahead is there for those who read otherwise.
            assert_eq!(stdin().read_or_stop(&mut bytes).unwrap(), Some(4));
            assert_eq!(bytes[..4], *b"more");
            writeln!(stderr(), "as expected").unwrap();
        })
    });
    for ends in [pipe_in as Ends, socket] {
        let (near, far) = ends();
        command
            .stdin(near)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut program = Running(command.spawn().unwrap());
        let errors = lines(program.0.stderr.take().unwrap());
        wait_for(&errors, "your turn");
        let mut far = File::from(far);
        far.write_all(b"all of it\nmore").unwrap();
        wait_for(&errors, "as expected");
    }
}

#[test]
fn lines_of_many_tasklets_stay_whole() {
    let mut command = child(|| {
        Runtime::builder().workers(2).dispatch(|| {
            writeln!(stdout()).unwrap(); // ends what the harness has said
            let writers = (0..8).map(|n| {
                Tasklet::spawn(move || {
                    let rest = "x".repeat(5_000);
                    for _ in 0..50 {
                        writeln!(stdout(), "<{n} {rest} {n}>").unwrap();
                    }
                })
            });
            concurrence::join_all(writers);
        })
    });
    let ended = Program::start(&mut command).ended();
    let whole = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with('<') && line.ends_with('>') && line.len() == 5_000 + 6);
    assert_eq!(whole.count(), 8 * 50);
}

// The example ----------------------------------------------------------------------------------

#[test]
fn one_handler_serves_the_terminal_and_a_port() {
    let mut console = Program::start(example("console").arg("127.0.0.1:0"));
    let remote = TcpStream::connect(console.address()).unwrap();
    remote.set_read_timeout(Some(PATIENCE)).unwrap();
    console.wait_for_output("type 'help' to see what there is\n% ");
    // While this one sleeps the other goes on.
    writeln!(console.stdin(), "sleep 60").unwrap();
    let mut answers = BufReader::new(remote.try_clone().unwrap()).lines();
    let ask = |line: &str| writeln!(&remote, "{line}").unwrap();
    ask("consoles");
    let mut next = || answers.next().unwrap().unwrap();
    assert_eq!(next(), "type 'help' to see what there is");
    assert_eq!(next(), "% 2");
    ask("tree");
    let first = next();
    assert!(first.starts_with("% "), "{first}");
    ask("fly");
    while next() != "% unknown: fly" {}
    for no_time in ["nan", "long", ""] {
        ask(&format!("sleep {no_time}"));
        assert_eq!(next(), "% how long?", "{no_time}");
    }
    ask("shutdown");
    assert_eq!(next(), "% % the program ends");
    assert!(answers.next().is_none());
}

#[test]
fn the_end_of_the_input_is_the_end_of_the_console() {
    let mut console = Program::start(example("console").arg("127.0.0.1:0"));
    console.address();
    writeln!(console.stdin(), "consoles").unwrap();
    console.wait_for_output("% 1\n% ");
    let ended = console.ended(); // closes its input
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn ctrl_c_at_a_terminal_ends_the_console_in_order() {
    let (near, far) = terminal();
    let mut command = example("console");
    command.arg("127.0.0.1:0").stderr(Stdio::piped());
    command
        .stdout(near.try_clone().unwrap())
        .stdin(near.try_clone().unwrap());
    take_as_terminal(&mut command);
    let mut console = Running(command.spawn().unwrap());
    drop((command, near));
    let _log = lines(console.0.stderr.take().unwrap());
    let mut far = File::from(far);
    let mut seen = String::new();
    read_up_to(&mut far, &mut seen, "% ");
    far.write_all(b"consoles\n").unwrap();
    read_up_to(&mut far, &mut seen, "1\n% ");
    far.write_all(b"\x03").unwrap();
    read_up_to(&mut far, &mut seen, "the program ends\n");
    assert_eq!(console.wait(), Some(0));
}

fn read_up_to(stream: &mut File, seen: &mut String, wanted: &str) {
    let mut chunk = [0; 256];
    while !seen.ends_with(wanted) {
        let count = stream.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "the end, after {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    seen.clear();
}

/// Gives the program a session of its own, controlled by the terminal that is its input.
fn take_as_terminal(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let take = || {
        // SAFETY: plain system calls.
        match unsafe { libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 } {
            true => Ok(()),
            false => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls and nothing else.
    unsafe { command.pre_exec(take) };
}
