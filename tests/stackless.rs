//! The programs of the talk "Using Stackless", whose output is compared to what the talk shows.

mod common;

#[allow(dead_code, reason = "it is the game that needs all of it")]
#[path = "../examples/stackless/field/mod.rs"]
mod field;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{Ended, Program, example};
use fastrand::Rng;
use field::Field;

/// Runs an example to its end.
fn run(name: &str, arguments: &[&str]) -> Ended {
    Program::start(example(name).args(arguments)).ended()
}

/// What an example prints that has nothing to complain about.
fn output(name: &str, arguments: &[&str]) -> String {
    let ended = run(name, arguments);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    ended.stdout
}

#[test]
fn hello() {
    assert_eq!(output("hello", &[]), "Hello, PyCon 2007!\n");
}

#[test]
fn greetings_come_one_after_the_other() {
    assert_eq!(output("greet", &[]), "Hello, A\nHello, B\n");
}

#[test]
fn greetings_come_round_robin() {
    assert_eq!(
        output("greet_schedule", &[]),
        "Hello, A\nHello, B\nGoodbye A\nGoodbye B\n"
    );
}

#[test]
fn a_value_is_sent() {
    assert_eq!(output("send_receive", &[]), "Sent.\n");
}

#[test]
fn producers_and_consumer_interleave_as_in_the_talk() {
    for arguments in [&[][..], &["--preference", "receiver"]] {
        assert_eq!(
            output("producer_consumer", arguments),
            "Starting consumer\nStarting producer1\n'A'\nStarting producer2\n1\n'B'\n2\n3\n"
        );
    }
}

#[test]
fn senders_that_are_preferred_go_on() {
    for preference in ["sender", "neither"] {
        assert_eq!(
            output("producer_consumer", &["--preference", preference]),
            "Starting consumer\nStarting producer1\nStarting producer2\n'A'\n'B'\n1\n2\n3\n",
            "{preference}"
        );
    }
}

#[test]
fn a_division_by_zero_goes_to_who_asked() {
    assert_eq!(output("divide", &[]), "8/4 = 2\n8/0 = None\n");
}

#[test]
fn an_uncaught_one_goes_to_the_main_tasklet() {
    let ended = run("divide", &["--uncaught"]);
    assert_eq!(ended.stdout, "8/4 = 2\n");
    assert!(
        ended.stderr.contains("attempt to divide by zero"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.code(), Some(101));
}

#[test]
fn factorials_of_a_thousand() {
    for arguments in [&[][..], &["--call"]] {
        assert_eq!(
            output("factorial", arguments),
            "5! = 120\n1000! / 998! = 999000\n"
        );
    }
}

#[test]
fn elements_are_counted() {
    assert_eq!(output("iterparse", &[]), "220523 elements\n");
}

#[test]
fn errors_of_the_parser_come_out_of_the_iterator() {
    let broken = [
        ("<a><b/><c></a>", "expected `</c>`, but `</a>` was found"),
        ("<a><b x=1/></a>", "attribute"),
        // Cut off, in a tag and between two.
        ("<a><b/><c", "tag"),
        ("<a><b/><c>text</c>", "`</a>` not found"),
        ("", "no element found"),
        ("no XML at all", "no element found"),
    ];
    for (contents, complaint) in broken {
        let file = TemporaryFile::new(contents);
        let path = file.0.to_str().unwrap();
        let ended = run("iterparse", &[path]);
        assert_eq!((ended.code(), &*ended.stdout), (Some(1), ""), "{contents}");
        for part in [path, complaint] {
            assert!(ended.stderr.contains(part), "{contents}: {}", ended.stderr);
        }
    }
    let file = TemporaryFile::new("<a><b/><c>text</c></a>\n");
    assert_eq!(
        output("iterparse", &[file.0.to_str().unwrap()]),
        "3 elements\n"
    );

    let ended = run("iterparse", &["/there/is/no/such/file"]);
    assert_eq!((ended.code(), &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("No such file"), "{}", ended.stderr);
}

#[test]
fn bots_play_the_same_game_for_the_same_seed() {
    let games = ["1", "1", "2"].map(|seed| output("bots", &["--ticks", "150", "--seed", seed]));
    assert_eq!(games[0], games[1]);
    assert_ne!(games[0], games[2]);
    // Somebody has been hit, and it took as long as was asked for.
    assert!(games[0].ends_with("after 150 ticks\n"), "{}", games[0]);
    let healths = games[0].lines().filter_map(|line| line.split_once(": "));
    let healths: Vec<u32> = healths.map(|(_, health)| health.parse().unwrap()).collect();
    assert_eq!(healths.len(), 8);
    assert!(healths.iter().any(|health| *health < 100));
    assert!(healths.iter().all(|health| health % 10 == 0));
}

#[test]
fn bots_leave_the_terminal_as_it_was() {
    let bots = Program::start(&mut example("bots"));
    // The first picture.
    bots.wait_for_output("tick 1");
    bots.signal(libc::SIGINT);
    let ended = bots.ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    // The last field is on the first screen again, below a cursor.
    let (_, taken) = ended.stdout.split_once("\x1b[?1049h").unwrap();
    let (_, back) = taken.split_once("\x1b[?25h\x1b[?1049l").unwrap();
    assert!(back.starts_with("+--"), "{back}");
    assert!(!back.contains('\x1b'), "{back}");
}

#[test]
fn bots_end_when_nobody_can_watch() {
    for arguments in [&[][..], &["--ticks", "5"]] {
        // All that is written to that file fails.
        let bots = example("bots");
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" > /dev/full"#]);
        shell.arg(bots.get_program()).args(arguments);
        let ended = Program::start(&mut shell).ended();
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    }
}

#[test]
fn robots_do_not_leave_the_field() {
    let mut rng = Rng::with_seed(1);
    let mut field = Field::new();
    let bot = field.add_bot('S', &mut rng);
    for _ in 0..200 {
        // Farther than the field is wide.
        for _ in 0..100 {
            field.step(bot);
        }
        let picture = field.to_string();
        let on_it = picture.lines().filter(|line| line.starts_with('|'));
        assert_eq!(on_it.flat_map(|line| line.matches('S')).count(), 1);
        field.turn(bot, rng.i32(0..360));
    }
}

#[test]
fn bullets_leave_the_field_and_hit_no_dead() {
    let mut rng = Rng::with_seed(1);
    let mut field = Field::new();
    let bot = field.add_bot('S', &mut rng);
    for _ in 0..200 {
        let mut bullet = field.add_bullet(bot);
        assert_eq!(field.bot_at(&bullet), None, "it is its own that it hits");
        let flown = (0..100).find(|_| {
            bullet.advance();
            !field.contains(&bullet)
        });
        assert!(flown.is_some(), "{bullet:?}");
        field.turn(bot, rng.i32(0..360));
    }

    // All round, as often as there is anything to hit.
    let target = field.add_bot('O', &mut rng);
    let mut hits = 0;
    for _ in 0..20 * 360 {
        let mut bullet = field.add_bullet(bot);
        while field.contains(&bullet) {
            if field.bot_at(&bullet) == Some(target) {
                assert!(field.is_alive(target));
                field.damage(target, 10);
                hits += 1;
                break;
            }
            bullet.advance();
        }
        field.turn(bot, 1);
    }
    assert_eq!(hits, 10);
    assert!(!field.is_alive(target) && field.living() == 1);
    assert!(field.to_string().contains('x'), "{field}");
}

#[test]
fn a_token_goes_round() {
    let rounds = |n| {
        (1..=3)
            .map(|round| format!("round {round}: {n} tasklets have passed the token\n"))
            .collect::<String>()
    };
    assert_eq!(output("ring", &["--tasklets", "7"]), rounds(7));

    let ended = run("ring", &[]);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    if ended.stdout == rounds(30_000) {
        assert!(
            ended.stderr.contains("vm.max_map_count"),
            "{}",
            ended.stderr
        );
        // A number that was asked for is not made less.
        let ended = run("ring", &["--tasklets", "100000"]);
        assert_eq!((ended.code(), &*ended.stdout), (Some(1), ""));
        assert!(
            ended.stderr.contains("raise vm.max_map_count"),
            "{}",
            ended.stderr
        );
    } else {
        assert_eq!(ended.stdout, rounds(100_000));
    }
}

#[test]
fn wrong_arguments_are_told() {
    for name in ["producer_consumer", "divide", "factorial", "bots", "ring"] {
        let ended = run(name, &["--wrong"]);
        assert_eq!(ended.code(), Some(2), "{name}");
        assert!(
            ended.stderr.starts_with("usage: "),
            "{name}: {}",
            ended.stderr
        );
    }
    for arguments in [
        &["--tasklets", "0"][..],
        &["--tasklets"],
        &["--tasklets", "7", "8"],
    ] {
        assert_eq!(run("ring", arguments).code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["--preference", "both"][..], &["--preference"]] {
        let ended = run("producer_consumer", arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}");
    }
}

/// A file that lasts as long as this.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(contents: &str) -> Self {
        let name = format!("stackless-test-{}.xml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, contents).unwrap();
        TemporaryFile(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}
