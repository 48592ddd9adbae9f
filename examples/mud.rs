//! A MUD: people at telnet clients look, talk, move about, and dig new rooms, which are kept in a file.
//! Try it: `cargo run --release --example mud`, then `telnet localhost 3000` in two terminals.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::{env, process::ExitCode};

use concurrence::fs::{self, File};
use concurrence::io::{self, Write as _};
use concurrence::net::{Connection, Line, Server, TelnetCodec};
use concurrence::{
    Actor, Addr, BoxError, CallError, Context, ExitReason, Group, Handler, Message, Pid, WeakAddr,
    dispatch, messages,
};

/// How many rooms can be dug, and how long a line may be: so there is an end to what players can have kept.
const MOST_ROOMS: usize = 1000;
const MAX_LINE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    North,
    East,
    South,
    West,
}

const DIRECTIONS: [(Direction, &str, Direction); 4] = [
    (Direction::North, "north", Direction::South),
    (Direction::East, "east", Direction::West),
    (Direction::South, "south", Direction::North),
    (Direction::West, "west", Direction::East),
];

impl Direction {
    fn opposite(self) -> Direction {
        DIRECTIONS[self as usize].2
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DIRECTIONS[*self as usize].1)
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = DIRECTIONS.iter().find(|(_, known, _)| *known == name);
        known.map_or(
            Err(format!("'{name}' is no direction")),
            |known| Ok(known.0),
        )
    }
}

/// What a player gets to see besides what it has asked for.
#[derive(Message, Clone)]
struct Told(String);

/// A room knows where its doors lead to and who is in it, and passes on what they say.
struct Room {
    name: String,
    exits: BTreeMap<Direction, Addr<Room>>,
    players: Group<Addr<Player>>, // they drop out as they end
}

impl Actor for Room {}

impl Room {
    fn tell_all_but(&self, except: Pid, what: String) {
        for player in self.players.members() {
            if player.pid() != except {
                let _ = player.send(Told(what.clone())); // it may have gone this moment
            }
        }
    }
}

#[messages]
impl Room {
    fn connect(&mut self, direction: Direction, to: Addr<Room>) {
        self.exits.insert(direction, to);
    }

    fn exit(&self, direction: Direction) -> Option<Addr<Room>> {
        self.exits.get(&direction).cloned()
    }

    fn enter(&mut self, player: Addr<Player>) -> String {
        self.tell_all_but(player.pid(), "Someone arrives.\n".to_owned());
        self.players.join(&player);
        self.describe()
    }

    fn leave(&mut self, player: Addr<Player>, to: Direction) {
        self.players.leave(&player);
        self.tell_all_but(player.pid(), format!("Someone leaves {to}.\n"));
    }

    fn vanished(&self, player: Pid) {
        self.tell_all_but(player, "Someone vanishes.\n".to_owned());
    }

    fn say(&self, player: Pid, text: String) {
        self.tell_all_but(player, format!("Someone says: \"{text}\"\n"));
    }

    fn title(&self) -> String {
        self.name.clone()
    }

    fn describe(&self) -> String {
        let mut text = format!("You are in {}.\n", self.name);
        for direction in self.exits.keys() {
            let _ = writeln!(text, "A door leads {direction}.");
        }
        text
    }
}

/// Knows all rooms, in the file and as actors, and who is connected.
struct World {
    file: PathBuf,
    map: Map,
    rooms: BTreeMap<String, Addr<Room>>,
    users: Vec<(WeakAddr<Player>, SocketAddr)>,
}

/// Which rooms there are, and which doors lead from each of them to which. The first is where players
/// arrive. In the file each room has a line, and each of its doors a line behind it that begins with a tab.
#[derive(Clone, Debug, Default, PartialEq)]
struct Map(Vec<(String, BTreeMap<Direction, String>)>);

impl Map {
    fn doors(&mut self, room: &str) -> Option<&mut BTreeMap<Direction, String>> {
        let (_, doors) = self.0.iter_mut().find(|(name, _)| name == room)?;
        Some(doors)
    }

    /// Adds a door to a room, which is added as well if it is not there, and one back.
    fn dig(&mut self, from: &str, direction: Direction, to: &str) -> Result<(), String> {
        if self.doors(to).is_none() {
            if self.0.len() >= MOST_ROOMS {
                return Err("the world is full".to_owned());
            }
            self.0.push((to.to_owned(), BTreeMap::new()));
        }
        for (room, direction, other) in [(from, direction, to), (to, direction.opposite(), from)] {
            let doors = self
                .doors(room)
                .ok_or_else(|| format!("there is no {room}"))?;
            if doors.contains_key(&direction) {
                return Err(format!("{room} has a door to the {direction} already"));
            }
            doors.insert(direction, other.to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (room, doors) in &self.0 {
            writeln!(f, "{room}")?;
            for (direction, to) in doors {
                writeln!(f, "\t{direction} {to}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Map, String> {
        let mut map = Map::default();
        for line in text.lines() {
            match line.strip_prefix('\t') {
                None if map.doors(line).is_some() => return Err(format!("{line} is there twice")),
                None => map.0.push((line.to_owned(), BTreeMap::new())),
                Some(door) => {
                    let (_, doors) = map.0.last_mut().ok_or("a door comes before the rooms")?;
                    let (direction, to) = door.split_once(' ').ok_or("a door leads nowhere")?;
                    doors.insert(direction.parse()?, to.to_owned());
                }
            }
        }
        if map.0.is_empty() {
            return Err("there is no room".to_owned());
        }
        let names: Vec<_> = map.0.iter().map(|(name, _)| name).collect();
        let mut doors = map.0.iter().flat_map(|(_, doors)| doors.values());
        match doors.find(|to| !names.contains(to)) {
            Some(to) => Err(format!("a door leads to {to}, which is not there")),
            None => Ok(map),
        }
    }
}

impl Actor for World {}

impl World {
    /// What is in the file, or a small world if there is none.
    fn load(file: PathBuf) -> Result<World, BoxError> {
        let map: Map = match fs::read_to_string(&file) {
            Ok(text) => text
                .parse()
                .map_err(|why| format!("{}: {why}", file.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "the square\n\tnorth the library\nthe library\n\tsouth the square\n".parse()?
            }
            Err(error) => return Err(format!("{}: {error}", file.display()).into()),
        };
        let mut world = World {
            file,
            map: Map::default(),
            rooms: BTreeMap::new(),
            users: Vec::new(),
        };
        world.open(map)?;
        Ok(world)
    }

    /// Has an actor for each room, and tells it its doors.
    fn open(&mut self, map: Map) -> Result<(), BoxError> {
        for (name, _) in &map.0 {
            self.rooms.entry(name.clone()).or_insert_with(|| {
                Addr::spawn(Room {
                    name: name.clone(),
                    exits: BTreeMap::new(),
                    players: Group::new(),
                })
            });
        }
        for (name, doors) in &map.0 {
            for (direction, to) in doors {
                self.rooms[name].connect(*direction, self.rooms[to].clone())?;
            }
        }
        self.map = map;
        Ok(())
    }

    /// Writes the file anew: whatever happens, there is either the old one or the new one, as a whole.
    fn save(&self, map: &Map) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(map.to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(new, &self.file)
    }
}

#[messages]
impl World {
    fn start(&self) -> Addr<Room> {
        self.rooms[&self.map.0[0].0].clone()
    }

    fn arrived(&mut self, player: WeakAddr<Player>, peer: SocketAddr) {
        self.users.push((player, peer));
    }

    fn gone(&mut self, player: Pid) {
        self.users.retain(|(one, _)| one.pid() != player);
    }

    fn users(&mut self) -> Vec<SocketAddr> {
        let is_there =
            |player: &WeakAddr<Player>| player.upgrade().is_some_and(|one| one.is_alive());
        self.users.retain(|(player, _)| is_there(player));
        self.users.iter().map(|(_, peer)| *peer).collect()
    }

    fn dig(&mut self, from: String, direction: Direction, to: String) -> Result<(), String> {
        let mut map = self.map.clone();
        map.dig(&from, direction, &to)?;
        self.save(&map)
            .map_err(|error| format!("the ground is too hard ({error})"))?;
        self.open(map).map_err(|error| error.to_string())
    }
}

struct Player {
    connection: Connection<TelnetCodec>,
    world: Addr<World>,
    room: Addr<Room>,
    pid: Option<Pid>,
}

impl Player {
    fn tell(&self, what: impl Into<String>) {
        self.connection.send(what.into());
    }

    fn look(&self) -> Result<(), CallError> {
        let users = self.world.users()?;
        let mut text = format!("There are {} users connected:\n", users.len());
        let _ = writeln!(text, "Name\tHost\t\tPort\n{}", "-".repeat(40));
        for peer in users {
            let _ = writeln!(text, "Unknown\t{}\t{}", peer.ip(), peer.port());
        }
        self.tell(text + &self.room.describe()?);
        Ok(())
    }

    fn go(&mut self, me: Addr<Player>, direction: Direction) -> Result<(), BoxError> {
        let Some(next) = self.room.exit(direction)? else {
            self.tell("There is no door.\n");
            return Ok(());
        };
        self.room.leave(me.clone(), direction)?;
        self.room = next;
        self.tell(self.room.enter(me)?);
        Ok(())
    }

    fn dig(&self, how: &str) -> Result<(), CallError> {
        let Some((direction, to)) = how.split_once(' ') else {
            self.tell("Where to, and what is to be there?\n");
            return Ok(());
        };
        let dug = match direction.parse() {
            Ok(direction) => self
                .world
                .dig(self.room.title()?, direction, to.trim().to_owned())?,
            Err(error) => Err(error),
        };
        match dug {
            Ok(()) => self.tell("You dig.\n"),
            Err(why) => self.tell(format!("You cannot: {why}.\n")),
        }
        Ok(())
    }

    /// Does what a line says. What fails is the world: it is coming to its end.
    fn obey(&mut self, line: &str, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb {
            "look" => self.look()?,
            "say" => {
                self.tell(format!("You say: \"{rest}\"\n"));
                self.room.say(ctx.pid(), rest.to_owned())?;
            }
            "quit" => ctx.stop(),
            "help" => self.tell(
                "Commands:\n  look\n  say\n  quit\n  help\n  \
                 north, east, south, west\n  dig <direction> <room>\n",
            ),
            "dig" => self.dig(rest)?,
            _ => match verb.parse() {
                Ok(direction) => self.go(ctx.addr(), direction)?,
                Err(_) => self
                    .tell("Unknown command.  Type 'help' to see a list of available commands.\n"),
            },
        }
        Ok(())
    }
}

impl Actor for Player {
    fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let me = ctx.addr();
        self.pid = Some(ctx.pid());
        self.tell("Welcome to a basic Concurrence MUD server.\n");
        self.world
            .arrived(me.downgrade(), self.connection.peer_addr())?;
        self.room.enter(me)?;
        self.tell("> ");
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        if let ExitReason::Shutdown = reason {
            self.tell("\nThe world is coming to its end.\n");
        }
        if let Some(pid) = self.pid {
            // World and room may be gone as well.
            let _ = self.world.gone(pid);
            let _ = self.room.vanished(pid);
        }
    }
}

impl Handler<Line> for Player {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        match self.obey(edited(&line).trim(), ctx) {
            Ok(()) => self.tell("> "),
            Err(error) => ctx.fail(error),
        }
    }
}

impl Handler<Told> for Player {
    fn handle(&mut self, Told(what): Told, _: &mut Context<Self>) {
        self.tell(what);
    }
}

/// What is left of a line once its backspaces have had their effect: some clients send each key. No other control
/// characters are left: they would steer the terminals of those who get to see them.
fn edited(line: &str) -> String {
    let mut edited = String::new();
    for character in line.chars() {
        match character {
            '\x08' | '\x7f' => drop(edited.pop()),
            _ if character.is_control() => {}
            _ => edited.push(character),
        }
    }
    edited
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut args = env::args().skip(1);
    let addr = args.next().unwrap_or("localhost:3000".into());
    let file = args.next().unwrap_or("world.txt".into());
    dispatch(move || -> Result<(), BoxError> {
        let world = Addr::spawn(World::load(file.into())?);
        let start = world.start()?;
        let codec = TelnetCodec::new().with_max_line(MAX_LINE);
        Server::serve_actors(addr, codec, move |connection| Player {
            connection,
            world: world.clone(),
            room: start.clone(),
            pid: None,
        })?;
        Ok(())
    })
}
