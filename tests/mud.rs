//! The MUD as its users meet it: at telnet clients, with negotiations, and after a restart.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::terminal::Terminal;
use common::{Program, eventually, example};

/// A directory for a world, removed at the end of the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mud-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn world(&self) -> PathBuf {
        self.0.join("world.txt")
    }

    fn mud(&self) -> Program {
        start(&self.world())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(world: &Path) -> Program {
    Program::start(example("mud").arg("127.0.0.1:0").arg(world))
}

fn connect(addr: SocketAddr) -> Terminal {
    Terminal::connect(addr, "Welcome to a basic Concurrence MUD server.\r\n> ")
}

impl Terminal {
    /// Types a line, and sees the answer and a prompt.
    fn asks(&mut self, line: &str, answer: &str) {
        self.types(format!("{line}\r\n"));
        self.sees(&format!("{answer}> "));
    }
}

const DASHES: &str = "----------------------------------------";
const SQUARE: &str = "You are in the square.\r\nA door leads north.\r\n";
const LIBRARY: &str = "You are in the library.\r\nA door leads south.\r\n";

fn users(players: &[&Terminal]) -> String {
    let mut text = format!(
        "There are {} users connected:\r\nName\tHost\t\tPort\r\n{DASHES}\r\n",
        players.len()
    );
    for player in players {
        text += &format!("Unknown\t127.0.0.1\t{}\r\n", player.port());
    }
    text
}

#[test]
fn looks_says_helps_and_quits_as_the_first_one_did() {
    let place = Place::new();
    let mud = place.mud();
    let addr = mud.address();
    let mut ann = connect(addr);
    let ann_alone = users(&[&ann]) + SQUARE;
    ann.asks("look", &ann_alone);
    let mut bob = connect(addr);
    ann.sees("Someone arrives.\r\n");
    let both = users(&[&ann, &bob]) + SQUARE;
    bob.asks("look", &both);

    ann.asks("say hello there", "You say: \"hello there\"\r\n");
    bob.sees("Someone says: \"hello there\"\r\n");
    ann.asks("say", "You say: \"\"\r\n");
    bob.sees("Someone says: \"\"\r\n");
    let help = "Commands:\r\n  look\r\n  say\r\n  quit\r\n  help\r\n  \
        north, east, south, west\r\n  dig <direction> <room>\r\n";
    ann.asks("help", help);
    let unknown = "Unknown command.  Type 'help' to see a list of available commands.\r\n";
    ann.asks("", unknown);
    ann.asks("fly", unknown);
    // Backspaces have their effect, those at the beginning of a line included.
    ann.asks("\x08\x08locj\x08\x08ok", &both);

    ann.types("quit\r\n");
    ann.sees("> ");
    ann.sees_the_end();
    bob.sees("Someone vanishes.\r\n");
    let bob_alone = users(&[&bob]) + SQUARE;
    bob.asks("look", &bob_alone);
}

#[test]
fn who_is_elsewhere_hears_nothing() {
    let place = Place::new();
    let mud = place.mud();
    let addr = mud.address();
    let mut ann = connect(addr);
    let mut bob = connect(addr);
    ann.sees("Someone arrives.\r\n");
    ann.asks("west", "There is no door.\r\n");
    ann.asks("north", LIBRARY);
    bob.sees("Someone leaves north.\r\n");
    bob.asks("say anybody here?", "You say: \"anybody here?\"\r\n");
    bob.asks("north", LIBRARY);
    // The first that she hears of him.
    ann.sees("Someone arrives.\r\n");
    bob.asks("say yes", "You say: \"yes\"\r\n");
    ann.sees("Someone says: \"yes\"\r\n");
    // Lost without a word.
    socket2::SockRef::from(&bob.0)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(bob);
    ann.sees("Someone vanishes.\r\n");
}

#[test]
fn negotiations_are_not_taken_for_text() {
    let place = Place::new();
    let mud = place.mud();
    let mut ann = connect(mud.address());
    // WILL NAWS, its size with a 255 and a line feed in it, DO ECHO; in the middle of a word.
    ann.types(b"sa\xff\xfb\x1f\xff\xfa\x1f\x00\x0a\xff\xff\x00\xff\xf0y \xff\xfd\x01it");
    // In pieces, each of which comes alone.
    ann.0.set_nodelay(true).unwrap();
    for byte in b"\xff\xfc\x01\r\0\n" {
        ann.types([*byte]);
    }
    ann.sees("You say: \"it\"\r\n> ");
    // No bytes of no characters end the connection.
    ann.types(b"say \xc3\x28\r\n");
    ann.sees("You say: \"\u{fffd}(\"\r\n> ");
}

#[test]
fn what_is_dug_is_there_after_a_restart() {
    let place = Place::new();
    let mud = place.mud();
    let mut ann = connect(mud.address());
    ann.asks("dig east the garden", "You dig.\r\n");
    ann.asks("east", "You are in the garden.\r\nA door leads west.\r\n");
    ann.asks("dig north the shed", "You dig.\r\n");
    let twice = "You cannot: the garden has a door to the north already.\r\n";
    ann.asks("dig north the shed", twice);
    ann.asks("dig up the attic", "You cannot: 'up' is no direction.\r\n");
    ann.asks("dig", "Where to, and what is to be there?\r\n");
    // Killed, without a chance to save.
    mud.signal(libc::SIGKILL);
    assert_eq!(mud.ended().signal(), Some(libc::SIGKILL));

    let mud = place.mud();
    let mut ann = connect(mud.address());
    let garden = "You are in the garden.\r\nA door leads north.\r\nA door leads west.\r\n";
    ann.asks("east", garden);
    ann.asks("north", "You are in the shed.\r\nA door leads south.\r\n");
    mud.signal(libc::SIGTERM);
    ann.sees("\r\nThe world is coming to its end.\r\n");
    ann.sees_the_end();
    let ended = mud.ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_saved_is_not_dug() {
    let place = Place::new();
    let mud = place.mud();
    let mut ann = connect(mud.address());
    // Where the new file would be written to there is a directory.
    fs::create_dir(place.0.join("world.new")).unwrap();
    ann.types("dig east the garden\r\n");
    ann.sees("You cannot: the ground is too hard (");
    let mut rest = [0; 1];
    while rest != *b"\n" {
        ann.0.read_exact(&mut rest).unwrap();
    }
    ann.sees("> ");
    ann.asks("east", "There is no door.\r\n");
}

/// What would clear the screens of the others, say.
#[test]
fn nobody_steers_the_terminals_of_others() {
    let place = Place::new();
    let mud = place.mud();
    let mut ann = connect(mud.address());
    ann.asks("say \x1b[2J\x07boo\u{9b}hoo", "You say: \"[2Jboohoo\"\r\n");
    ann.asks("dig east the \x1b[7mpit", "You dig.\r\n");
    ann.asks("east", "You are in the [7mpit.\r\nA door leads west.\r\n");
}

#[test]
fn there_is_an_end_to_what_can_be_dug_and_said() {
    let place = Place::new();
    let rooms: String = (0..1000).map(|room| format!("{room}\n")).collect();
    fs::write(place.world(), rooms).unwrap();
    let mud = place.mud();
    let mut ann = connect(mud.address());
    ann.asks("dig east one more", "You cannot: the world is full.\r\n");
    ann.asks("dig east 999", "You dig.\r\n");
    let most = "x".repeat(1024 - 4);
    ann.asks(&format!("say {most}"), &format!("You say: \"{most}\"\r\n"));
    ann.types(format!("say {most}x"));
    ann.sees_the_end();
}

#[test]
fn a_world_that_makes_no_sense_is_refused() {
    let place = Place::new();
    for (text, why) in [
        ("", "there is no room"),
        ("\tnorth nowhere\n", "a door comes before the rooms"),
        (
            "here\n\tnorth there\n",
            "a door leads to there, which is not there",
        ),
        ("here\n\tup here\n", "'up' is no direction"),
        ("here\nhere\n", "here is there twice"),
    ] {
        fs::write(place.world(), text).unwrap();
        let ended = place.mud().ended();
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}

#[test]
fn two_play_at_real_telnet_clients() {
    let found = Command::new("telnet").arg("--version").output();
    assert!(found.is_ok(), "`telnet` is missing: apt-get install telnet");
    let place = Place::new();
    let mud = place.mud();
    let addr = mud.address();
    let telnet = || {
        let args = [addr.ip().to_string(), addr.port().to_string()];
        let client = Program::start(Command::new("telnet").args(args));
        client.wait_for_output("Welcome to a basic Concurrence MUD server.");
        client
    };
    let (mut ann, mut bob) = (telnet(), telnet());
    writeln!(ann.stdin(), "say hello").unwrap();
    ann.wait_for_output("You say: \"hello\"");
    bob.wait_for_output("Someone says: \"hello\"");
    writeln!(bob.stdin(), "look").unwrap();
    bob.wait_for_output("There are 2 users connected:");
    writeln!(bob.stdin(), "quit").unwrap();
    // telnet says so to its standard error.
    eventually("the end of a client that quits", || {
        bob.log().contains("closed by foreign host")
    });
    ann.wait_for_output("Someone vanishes.");
}
