//! The field that the robots play on: who is where, and what it looks like.

use std::fmt;

use fastrand::Rng;

const WIDTH: usize = 64;
const HEIGHT: usize = 20;
const HEALTH: i32 = 100;

/// Names a robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(usize);

/// A place, and a direction in degrees, clockwise from the right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    x: f64,
    y: f64,
    heading: i32,
}

impl Position {
    /// A step ahead. A character is about twice as high as it is wide.
    pub(crate) fn advance(&mut self) {
        let radians = f64::from(self.heading).to_radians();
        self.x += radians.cos();
        self.y += radians.sin() / 2.0;
    }

    fn cell(&self) -> Option<(usize, usize)> {
        let inside = |at: f64, size: usize| (0.0..size as f64).contains(&at).then_some(at as usize);
        Some((inside(self.x, WIDTH)?, inside(self.y, HEIGHT)?))
    }
}

#[derive(Debug)]
struct Bot {
    kind: char,
    position: Position,
    health: i32,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Field {
    bots: Vec<Bot>,
    /// Where a bullet is, in this tick.
    bullets: Vec<(usize, usize)>,
}

impl Field {
    pub(crate) fn new() -> Field {
        Field::default()
    }

    pub(crate) fn add_bot(&mut self, kind: char, rng: &mut Rng) -> Id {
        self.bots.push(Bot {
            kind,
            position: Position {
                x: rng.usize(0..WIDTH) as f64 + 0.5,
                y: rng.usize(0..HEIGHT) as f64 + 0.5,
                heading: rng.i32(0..360),
            },
            health: HEALTH,
        });
        Id(self.bots.len() - 1)
    }

    /// A bullet in front of a robot, which flies where that looks.
    pub(crate) fn add_bullet(&mut self, from: Id) -> Position {
        let mut bullet = self.bots[from.0].position;
        // So that it does not hit the one who has shot it.
        while bullet.cell() == self.bots[from.0].position.cell() && bullet.cell().is_some() {
            bullet.advance();
        }
        bullet
    }

    /// A step ahead, or none at the edge.
    pub(crate) fn step(&mut self, id: Id) {
        let mut position = self.bots[id.0].position;
        position.advance();
        if self.contains(&position) {
            self.bots[id.0].position = position;
        }
    }

    pub(crate) fn turn(&mut self, id: Id, degrees: i32) {
        let heading = &mut self.bots[id.0].position.heading;
        *heading = (*heading + degrees).rem_euclid(360);
    }

    pub(crate) fn is_alive(&self, id: Id) -> bool {
        self.bots[id.0].health > 0
    }

    pub(crate) fn living(&self) -> usize {
        self.bots.iter().filter(|bot| bot.health > 0).count()
    }

    pub(crate) fn contains(&self, position: &Position) -> bool {
        position.cell().is_some()
    }

    pub(crate) fn bot_at(&self, position: &Position) -> Option<Id> {
        let hit = |bot: &Bot| bot.health > 0 && bot.position.cell() == position.cell();
        self.bots.iter().position(hit).map(Id)
    }

    pub(crate) fn damage(&mut self, id: Id, points: i32) {
        self.bots[id.0].health -= points;
    }

    pub(crate) fn begin_tick(&mut self) {
        self.bullets.clear();
    }

    pub(crate) fn draw_bullet(&mut self, bullet: &Position) {
        self.bullets.extend(bullet.cell());
    }
}

/// The field in a frame, and a line about each robot.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cells = [[' '; WIDTH]; HEIGHT];
        for &(x, y) in &self.bullets {
            cells[y][x] = '.';
        }
        for bot in &self.bots {
            if let Some((x, y)) = bot.position.cell() {
                cells[y][x] = if bot.health > 0 { bot.kind } else { 'x' };
            }
        }
        let edge = "-".repeat(WIDTH);
        writeln!(f, "+{edge}+")?;
        for row in cells {
            writeln!(f, "|{}|", String::from_iter(row))?;
        }
        writeln!(f, "+{edge}+")?;
        for (n, bot) in self.bots.iter().enumerate() {
            writeln!(f, "{} {n}: {}", bot.kind, bot.health.max(0))?;
        }
        Ok(())
    }
}
