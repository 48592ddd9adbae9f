//! Robots and bullets, a tasklet each. Try it: `cargo run --example bots`, and end it with ctrl-c.
//!
//! `-- --ticks N` plays N ticks at once and prints what the field is like then; `--seed N` makes another
//! game. The same seed makes the same game.
//!
//! Whoever is on the field is written as a loop that acts, and each action takes a tick: at its end the
//! tasklet takes itself out of the run queue. For the next tick the referee puts them all back, in the
//! order in which they have come to rest, and runs the queue until nobody is left in it.

mod field;

use std::env;
use std::io::{self, Write};
use std::mem;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use concurrence::{BoxError, Runtime, Tasklet};
use fastrand::Rng;

use field::{Field, Id, Position};

const TICK: Duration = Duration::from_millis(50);

struct Game {
    field: Field,
    /// The dice, on which all depends that happens on the field.
    rng: Rng,
    /// Those who have acted in this tick.
    resting: Vec<Tasklet>,
}

type SharedGame = Arc<Mutex<Game>>;

/// Nobody holds it over a turn, so no tasklet ever waits for it.
fn locked(game: &SharedGame) -> MutexGuard<'_, Game> {
    game.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a tick, for one who plays.
fn rest(game: &SharedGame) {
    locked(game).resting.push(Tasklet::current());
    Tasklet::schedule_remove();
}

/// A tick: all play until all rest.
fn tick(game: &SharedGame) -> Result<(), BoxError> {
    let rested = {
        let mut game = locked(game);
        game.field.begin_tick();
        mem::take(&mut game.resting)
    };
    for tasklet in rested {
        tasklet.insert()?;
    }
    Tasklet::run_all();
    Ok(())
}

/// A robot, as the one who plays it sees it.
#[derive(Clone)]
struct Bot {
    id: Id,
    game: SharedGame,
}

impl Bot {
    /// Puts a robot somewhere and has `play` play it, until it has no health left.
    fn enter(game: &SharedGame, kind: char, play: fn(&Bot)) {
        let id = {
            let Game { field, rng, .. } = &mut *locked(game);
            field.add_bot(kind, rng)
        };
        let bot = Bot {
            id,
            game: game.clone(),
        };
        Tasklet::spawn(move || play(&bot));
    }

    /// The end of an action; also the end of the robot, if it has been shot.
    fn act(&self) -> bool {
        rest(&self.game);
        locked(&self.game).field.is_alive(self.id)
    }

    fn shoot(&self) -> bool {
        let bullet = locked(&self.game).field.add_bullet(self.id);
        let game = self.game.clone();
        Tasklet::spawn(move || fly(&game, bullet));
        self.act()
    }

    fn forward(&self, steps: u32) -> bool {
        (0..steps).all(|_| {
            locked(&self.game).field.step(self.id);
            self.act()
        })
    }

    fn turn(&self, degrees: i32) -> bool {
        locked(&self.game).field.turn(self.id, degrees);
        self.act()
    }

    fn turn_anywhere(&self) -> bool {
        let degrees = locked(&self.game).rng.i32(0..360);
        self.turn(degrees)
    }
}

/// Goes round three sides of a square, and then somewhere else.
fn squarebot(bot: &Bot) {
    let side = || bot.shoot() && bot.forward(10);
    while (0..3).all(|_| side() && bot.turn(90)) && side() && bot.turn_anywhere() {}
}

/// Turns on its place and shoots all the time.
fn spinbot(bot: &Bot) {
    while bot.turn(5) && bot.shoot() {}
}

fn fly(game: &SharedGame, mut bullet: Position) {
    loop {
        {
            let field = &mut locked(game).field;
            bullet.advance();
            if !field.contains(&bullet) {
                return;
            }
            if let Some(bot) = field.bot_at(&bullet) {
                field.damage(bot, 10);
                return;
            }
            field.draw_bullet(&bullet);
        }
        rest(game);
    }
}

/// Plays until there is one robot left at most, or for so many ticks.
fn play(ticks: Option<u64>, seed: u64) -> Result<(), BoxError> {
    let _end = FinalWhistle;
    let game = Arc::new(Mutex::new(Game {
        field: Field::new(),
        rng: Rng::with_seed(seed),
        resting: Vec::new(),
    }));
    for _ in 0..4 {
        Bot::enter(&game, 'S', squarebot);
        Bot::enter(&game, 'O', spinbot);
    }
    let screen = ticks.is_none().then(Screen::take).transpose()?;
    let mut played = 0;
    while ticks.is_none_or(|ticks| played < ticks) && !Tasklet::is_stopping() {
        tick(&game)?;
        played += 1;
        if let Some(screen) = &screen {
            screen.show(&locked(&game).field, played)?;
            Tasklet::sleep(TICK);
        }
        if locked(&game).field.living() <= 1 {
            break;
        }
    }
    drop(screen);
    // Written and not printed: that nobody reads any more is an error here, and no panic.
    writeln!(io::stdout(), "{}after {played} ticks", locked(&game).field)?;
    Ok(())
}

/// Ends the game for those who still play when the referee leaves, for whatever reason. They rest, and
/// hold each other through the game, so the program would wait for them for ever.
struct FinalWhistle;

impl Drop for FinalWhistle {
    fn drop(&mut self) {
        Tasklet::current().kill_descendants();
    }
}

/// The terminal's second screen, with a hidden cursor. When this is dropped the first one is back, as it
/// was.
struct Screen;

impl Screen {
    fn take() -> io::Result<Screen> {
        let screen = Screen;
        // Change over, clear all, and hide the cursor.
        screen.write("\x1b[?1049h\x1b[2J\x1b[?25l")?;
        Ok(screen)
    }

    fn show(&self, field: &Field, tick: u64) -> io::Result<()> {
        // From the top, and clear what is left of the last picture below.
        self.write(&format!("\x1b[H{field}tick {tick}\n\x1b[J"))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut terminal = io::stdout().lock();
        terminal.write_all(text.as_bytes())?;
        terminal.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        let _ = self.write("\x1b[?25h\x1b[?1049l");
    }
}

fn main() -> ExitCode {
    let (mut ticks, mut seed) = (None, 1);
    let mut arguments = env::args().skip(1);
    while let Some(option) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse().ok());
        match (&*option, number) {
            ("--ticks", Some(number)) => ticks = Some(number),
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("usage: bots [--ticks N] [--seed N]");
                return ExitCode::from(2);
            }
        }
    }
    // On one worker there is one run queue.
    Runtime::builder()
        .workers(1)
        .dispatch(move || play(ticks, seed))
}
