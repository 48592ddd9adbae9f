//! What errors say, and what they become where `?` meets another error type.

use std::error::Error;
use std::io;
use std::panic;
use std::process::ExitCode;

use actor_core::{
    BoxError, CallError, JoinError, Panic, ReceiveError, RuntimeError, SendError, SpawnError,
    Tasklet, TimedOut, Unwinding, dispatch,
};

/// A message that can neither be printed, compared, cloned nor shared.
struct Opaque(#[expect(dead_code)] Box<dyn FnOnce() + Send>);

fn opaque() -> Opaque {
    Opaque(Box::new(|| ()))
}

/// Converts into an `io::Error`, and checks that the typed error stays inside it.
fn io_kind<E>(error: E) -> io::ErrorKind
where
    E: Into<io::Error> + Error + Send + Sync + 'static,
{
    let text = error.to_string();
    let error: io::Error = error.into();
    assert_eq!(error.to_string(), text);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<E>()));
    error.kind()
}

#[test]
fn send_error_gives_the_message_back() {
    let errors = [
        SendError::Ended(String::from("a")),
        SendError::Full(String::from("a")),
        SendError::Timeout(String::from("a")),
    ];
    for error in &errors {
        assert_eq!(error.clone().into_message(), "a");
        assert_eq!(error.clone().map(|text| text.len()).into_message(), 1);
    }
    let queries =
        |error: &SendError<String>| (error.is_ended(), error.is_full(), error.is_timeout());
    assert_eq!(queries(&errors[0]), (true, false, false));
    assert_eq!(queries(&errors[1]), (false, true, false));
    assert_eq!(queries(&errors[2]), (false, false, true));
    let [ended, full, timeout] = errors;
    assert_eq!(ended.erase(), SendError::Ended(()));
    assert_eq!(full.erase(), SendError::Full(()));
    assert_eq!(timeout.erase(), SendError::Timeout(()));
}

#[test]
fn send_error_asks_nothing_of_the_message() {
    let error = SendError::Full(opaque());
    assert_eq!(format!("{error:?}"), "Full(..)");
    assert_eq!(error.to_string(), "sending to a full mailbox");
    let error: io::Error = error.into();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);

    fn forward(result: Result<(), SendError<Opaque>>) -> Result<(), BoxError> {
        Ok(result.map_err(SendError::erase)?)
    }
    let error = forward(Err(SendError::Ended(opaque()))).unwrap_err();
    assert_eq!(error.to_string(), "sending to a receiver that has ended");
    assert!(error.is::<SendError<()>>());
}

#[test]
fn send_error_becomes_io_error_and_call_error() {
    assert_eq!(io_kind(SendError::Ended(())), io::ErrorKind::BrokenPipe);
    assert_eq!(io_kind(SendError::Full(())), io::ErrorKind::QuotaExceeded);
    assert_eq!(io_kind(SendError::Timeout(())), io::ErrorKind::TimedOut);

    let full = io::Error::from(SendError::Full("a line"));
    let inner = full.downcast::<SendError<()>>().unwrap();
    assert_eq!(inner, SendError::Full(()));

    assert_eq!(
        CallError::from(SendError::Ended(opaque())),
        CallError::Ended
    );
    assert_eq!(CallError::from(SendError::Full(opaque())), CallError::Full);
    assert_eq!(
        CallError::from(SendError::Timeout(opaque())),
        CallError::Timeout
    );
}

#[test]
fn call_error_becomes_io_error() {
    assert_eq!(io_kind(CallError::Timeout), io::ErrorKind::TimedOut);
    assert_eq!(io_kind(CallError::Ended), io::ErrorKind::BrokenPipe);
    assert_eq!(io_kind(CallError::Full), io::ErrorKind::QuotaExceeded);
    assert_eq!(io_kind(CallError::Unanswered), io::ErrorKind::Other);
    assert_eq!(io_kind(CallError::Deadlock), io::ErrorKind::Deadlock);
    assert_eq!(io_kind(CallError::Exhausted), io::ErrorKind::QuotaExceeded);
    for maybe_executed in [false, true] {
        let error = CallError::Disconnected { maybe_executed };
        assert_eq!(io_kind(error), io::ErrorKind::ConnectionAborted);
        assert_eq!(
            error.to_string().contains("may have been executed"),
            maybe_executed
        );
    }
}

#[test]
fn join_error_becomes_io_error() {
    assert_eq!(io_kind(JoinError::Killed), io::ErrorKind::Other);
    assert_eq!(io_kind(JoinError::Timeout), io::ErrorKind::TimedOut);
    assert_eq!(io_kind(JoinError::Taken), io::ErrorKind::Other);
    assert_eq!(io_kind(JoinError::Unwinding), io::ErrorKind::Other);
}

#[test]
fn receive_error_becomes_io_error() {
    assert_eq!(io_kind(ReceiveError::Timeout), io::ErrorKind::TimedOut);
    assert_eq!(io_kind(ReceiveError::Stopped), io::ErrorKind::UnexpectedEof);
}

#[test]
fn timed_out_becomes_the_timeout_of_every_operation() {
    assert_eq!(io_kind(TimedOut), io::ErrorKind::TimedOut);
    assert_eq!(CallError::from(TimedOut), CallError::Timeout);
    assert!(matches!(JoinError::from(TimedOut), JoinError::Timeout));
    assert_eq!(ReceiveError::from(TimedOut), ReceiveError::Timeout);
    assert!(BoxError::from(TimedOut).is::<TimedOut>());
}

#[test]
fn unwinding_is_not_taken_for_an_interruption() {
    assert_eq!(io_kind(Unwinding), io::ErrorKind::Other);
    assert!(matches!(JoinError::from(Unwinding), JoinError::Unwinding));

    struct Refuses;
    impl io::Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(Unwinding.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // Would not return if the error had the kind `Interrupted`.
    let error = io::Write::write_all(&mut Refuses, b"bye").unwrap_err();
    assert_eq!(error.downcast::<Unwinding>().unwrap(), Unwinding);
}

#[test]
fn spawn_error_says_what_to_do() {
    let error = SpawnError::TaskletLimit {
        limit: 30_000,
        sysctl: "vm.max_map_count",
    };
    let text = error.to_string();
    for part in [
        "30000",
        "vm.max_map_count",
        "Runtime::builder().tasklets(n)",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert_eq!(io_kind(error), io::ErrorKind::QuotaExceeded);

    let error = SpawnError::StackSize {
        requested: 2_000_000,
        limit: 1_000_000,
    };
    let text = error.to_string();
    assert!(
        text.contains("2000000") && text.contains("1000000"),
        "{text}"
    );
    assert_eq!(io_kind(error), io::ErrorKind::InvalidInput);

    assert!(SpawnError::NotRunning.to_string().contains("dispatch"));
    assert_eq!(io_kind(SpawnError::NotRunning), io::ErrorKind::Other);
}

#[test]
fn wrapping_errors_tell_the_inner_error_once() {
    let system = || io::Error::from(io::ErrorKind::OutOfMemory);
    let error = SpawnError::System(system());
    assert!(error.to_string().ends_with(": out of memory"));
    assert!(error.source().is_none());
    assert_eq!(io_kind(error), io::ErrorKind::OutOfMemory);

    let started: BoxError = "no such file".into();
    let error = SpawnError::Started(started);
    assert!(error.to_string().ends_with(": no such file"));
    assert_eq!(io_kind(error), io::ErrorKind::Other);

    let error = RuntimeError::from(system());
    assert!(error.to_string().ends_with(": out of memory"));
    assert_eq!(io_kind(error), io::ErrorKind::OutOfMemory);
    assert_eq!(io_kind(RuntimeError::AlreadyRunning), io::ErrorKind::Other);
    let error = RuntimeError::ProbeFailed("nothing wakes up".into());
    assert!(error.to_string().contains("nothing wakes up"));
    assert_eq!(io_kind(error), io::ErrorKind::Other);
}

#[test]
fn errors_travel() {
    fn travels<E: Error + Send + Sync + 'static>() {}
    travels::<SendError<String>>();
    travels::<CallError>();
    travels::<JoinError>();
    travels::<Panic>();
    travels::<ReceiveError>();
    travels::<RuntimeError>();
    travels::<SpawnError>();
    travels::<TimedOut>();
    travels::<Unwinding>();
}

/// What joining a tasklet that panics in `f` gives to `check`.
fn panic_of(f: fn() -> u32, check: fn(Panic)) {
    let code = dispatch(move || match Tasklet::spawn(f).join() {
        Err(JoinError::Panicked(panic)) => check(panic),
        other => panic!("expected a panic, got {other:?}"),
    });
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn panic_tells_its_message_and_place() {
    panic_of(
        || panic!("boom"),
        |panic| {
            assert_eq!(panic.message(), "boom");
            assert!(
                panic
                    .location()
                    .is_some_and(|place| place.contains("errors.rs:"))
            );
            assert!(panic.to_string().ends_with(": boom"));
            assert_eq!(*panic.into_payload().downcast::<&str>().unwrap(), "boom");
        },
    );
    panic_of(
        || panic!("boom {}", 7),
        |panic| {
            assert_eq!(panic.message(), "boom 7");
            let error = JoinError::Panicked(panic);
            assert!(error.to_string().starts_with("the tasklet panicked at "));
            assert!(error.to_string().ends_with(": boom 7"));
            assert_eq!(io_kind(error), io::ErrorKind::Other);
        },
    );
}

#[test]
fn panic_may_have_any_payload_and_no_place() {
    panic_of(
        || panic::panic_any(7_u8),
        |panic| {
            assert_eq!(panic.message(), "a value that is not a string");
            let resumed = panic::catch_unwind(panic::AssertUnwindSafe(|| panic.resume()));
            assert_eq!(*resumed.unwrap_err().downcast::<u8>().unwrap(), 7);
        },
    );
    panic_of(
        || panic::resume_unwind(Box::new(String::from("boom"))),
        |panic| {
            assert_eq!(panic.location(), None);
            assert_eq!(panic.to_string(), "panicked: boom");
        },
    );
}
