//! The sleeping barber (Dijkstra, 1965): semaphores, as things there is a number of and as signals.
//!
//! Try: `cargo run --example sleeping_barber`. You will see a morning in a barber's shop with one
//! barber and two chairs to wait on: he sleeps until somebody wakes him, and who finds no chair goes
//! away. Then `... -- 1` and `... -- 5`, for shops with so many chairs.
//!
//! The book's solution has a lock around the number of free chairs. Here none is needed: between two
//! blocking calls a task is alone. Time is virtual, so a morning takes no time.
use maypole::sync::Semaphore;
use maypole::{Builder, Clock, scope, sleep, time, yield_now};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Who comes, and how many minutes after the opening.
const CUSTOMERS: [(&str, u64); 7] = [
    ("Ada", 5),
    ("Bob", 10),
    ("Cleo", 15),
    ("Dan", 20),
    ("Eve", 35),
    ("Fay", 40),
    ("Gus", 120),
];

const A_CUT: Duration = minutes(20);

struct Shop {
    opened: Instant,
    chairs: Semaphore,
    /// Customers that the barber does not know of yet. He sleeps here.
    arrived: Semaphore,
    /// Calls of the barber, one for each customer; first in, first out.
    next_please: Semaphore,
    done: Semaphore,
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Ok(chairs) = argument.as_deref().unwrap_or("2").parse() else {
        eprintln!("sleeping_barber: how many chairs? A number is expected");
        return ExitCode::from(2);
    };
    match Builder::new().clock(Clock::Virtual).run(|| morning(chairs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn morning(chairs: usize) {
    let shop = Shop {
        opened: time::now(),
        chairs: Semaphore::named("chairs", chairs),
        arrived: Semaphore::named("arrived", 0),
        next_please: Semaphore::named("next, please", 0),
        done: Semaphore::named("done", 0),
    };
    let served = scope(|s| {
        let barber = s.spawn(|| barber(&shop));
        let customers = CUSTOMERS.map(|(name, comes)| {
            s.spawn({
                let shop = &shop;
                move || {
                    sleep(minutes(comes));
                    customer(shop, name)
                }
            })
        });
        let served = customers.map(|customer| customer.join().unwrap());
        barber.kill("the shop closes"); // he would wait for customers for ever
        served.iter().filter(|served| **served).count()
    });
    let turned_away = CUSTOMERS.len() - served;
    println!("{served} were served, {turned_away} turned away");
}

fn barber(shop: &Shop) {
    loop {
        if shop.arrived.available() == 0 {
            shop.say("the barber falls asleep");
        }
        // A signal: what was taken is not given back.
        shop.arrived.acquire().forget();
        shop.next_please.add_permits(1);
        sleep(A_CUT);
        shop.done.add_permits(1);
        yield_now(); // sees the customer to the door
    }
}

/// Tells whether the customer was served.
fn customer(shop: &Shop, name: &str) -> bool {
    let Some(chair) = shop.chairs.try_acquire() else {
        shop.say(&format!("{name} finds no chair and goes away"));
        return false;
    };
    shop.say(&format!("{name} takes a chair"));
    shop.arrived.add_permits(1);
    shop.next_please.acquire().forget();
    drop(chair);
    shop.say(&format!("{name} is called"));
    shop.done.acquire().forget();
    shop.say(&format!("{name} leaves with a new cut"));
    true
}

impl Shop {
    fn say(&self, what: &str) {
        let minutes = (time::now() - self.opened).as_secs() / 60;
        println!("{:>2}:{:02}  {what}", 9 + minutes / 60, minutes % 60);
    }
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}
