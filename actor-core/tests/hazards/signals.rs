//! Signals, and what they print.

use super::*;

/// A child that says on standard output when it is ready, and waits to be signalled.
fn signalled(name: &str, signals: &[libc::c_int]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for (n, signal) in signals.iter().enumerate() {
        let word = format!("ready {n}\n");
        let mut heard = String::new();
        while !heard.ends_with(&word) {
            let mut byte = [0];
            assert_eq!(
                stdout.read(&mut byte).unwrap(),
                1,
                "it has ended early: {heard}"
            );
            heard.push(byte[0].into());
        }
        // SAFETY: a plain system call on a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, *signal) }, 0);
    }
    // So that it can write on.
    let drain = thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    let output = child.wait_with_output().unwrap();
    drain.join().unwrap().unwrap();
    output
}

fn say(word: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{word}").unwrap();
    stdout.flush().unwrap();
}

#[test]
fn a_signal_stops_in_order() {
    if is_child() {
        run(|| {
            let child = spawn(|| {
                let held = Tasklet::current();
                Tasklet::receive().for_each(drop);
                drop(held);
                eprintln!("the child has said goodbye");
            });
            say("ready 0");
            Tasklet::receive().for_each(drop);
            eprintln!("main has said goodbye");
            drop(child);
        });
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let output = signalled("signals::a_signal_stops_in_order", &[signal]);
        assert!(output.status.success(), "{output:?}");
        let said = stderr(&output);
        let main = said.find("main has said goodbye").expect(&said);
        let child = said.find("the child has said goodbye").expect(&said);
        assert!(main < child, "{said}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    if is_child() {
        run(|| {
            say("ready 0");
            Tasklet::receive().for_each(drop);
            say("ready 1");
            Tasklet::sleep(PATIENCE);
        });
        return;
    }
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let output = signalled("signals::a_second_signal_ends_at_once", &[signal, signal]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn whoever_outstays_the_grace_period_is_named_and_killed() {
    if is_child() {
        let code = finish(|| {
            Runtime::builder()
                .grace(Duration::from_millis(50))
                .dispatch(|| {
                    let deaf = Tasklet::builder().name("the deaf one");
                    drop(deaf.spawn(|| Tasklet::sleep(PATIENCE)).unwrap());
                    Tasklet::yield_now();
                    say("ready 0");
                    Tasklet::receive().for_each(drop);
                })
        });
        // What a program would exit with.
        eprintln!("the code is {}", text(code));
        return;
    }
    let output = signalled(
        "signals::whoever_outstays_the_grace_period_is_named_and_killed",
        &[libc::SIGTERM],
    );
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("the deaf one<") && said.contains("waits for a time"),
        "{said}"
    );
    let code = text(std::process::ExitCode::from(143));
    assert!(said.contains(&format!("the code is {code}")), "{said}");
}

#[test]
fn sigusr1_prints_the_tree() {
    if is_child() {
        run(|| {
            let idle = Tasklet::builder()
                .name("idler")
                .spawn(|| Tasklet::receive().count());
            Tasklet::yield_now();
            say("ready 0");
            say("ready 1");
            Tasklet::receive().for_each(drop);
            drop(idle);
        });
        return;
    }
    let output = signalled(
        "signals::sigusr1_prints_the_tree",
        &[libc::SIGUSR1, libc::SIGTERM],
    );
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("main<") && said.contains("idler<"), "{said}");
    assert!(said.contains("waits for a message"), "{said}");
}
