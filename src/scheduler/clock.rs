//! What time it is: the only file that reads the system's clock.
use std::time::{Duration, Instant};

/// The scheduler's time, in nanoseconds since its epoch.
pub(crate) struct Clock {
    epoch: Instant,
    /// The present moment of virtual time; `None` on the real clock.
    now: Option<u64>,
}

impl Clock {
    pub(crate) fn real() -> Self {
        Clock {
            epoch: Instant::now(),
            now: None,
        }
    }

    /// Stands still while any task is ready, then jumps to the next deadline.
    pub(crate) fn virtual_time() -> Self {
        Clock {
            epoch: Instant::now(),
            now: Some(0),
        }
    }

    /// Sets virtual time back to its beginning, for another run.
    pub(super) fn restart(&mut self) {
        if let Some(now) = &mut self.now {
            *now = 0;
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.now.is_some()
    }

    /// Reads the clock: 25 to 40 ns on a real one, five switches' worth.
    pub(crate) fn now(&self) -> u64 {
        match self.now {
            Some(now) => now,
            None => self.nanoseconds(Instant::now()),
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        match self.now {
            Some(now) => self.epoch + Duration::from_nanos(now),
            None => Instant::now(),
        }
    }

    /// The moment `nanoseconds` after the epoch; `None` beyond what the system can express.
    pub(crate) fn instant_of(&self, nanoseconds: u64) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(nanoseconds))
    }

    /// `at` on this clock; moments before the epoch are the epoch.
    pub(crate) fn nanoseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Moves virtual time forward; a real clock moves by itself.
    pub(crate) fn jump_to(&mut self, deadline: u64) {
        if let Some(now) = &mut self.now {
            *now = deadline.max(*now);
        }
    }
}

/// The system's time, whatever clock a run has.
pub(crate) fn system_now() -> Instant {
    Instant::now()
}

/// `duration` from `now`; a moment beyond the clock's range is never (`None`).
pub(crate) fn after(now: u64, duration: Duration) -> Option<u64> {
    let nanoseconds = u64::try_from(duration.as_nanos()).ok()?;
    now.checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_stands_still_until_it_jumps_and_never_goes_back() {
        let mut clock = Clock::virtual_time();
        let start = clock.instant();
        assert_eq!(clock.now(), 0);
        clock.jump_to(50);
        clock.jump_to(20);
        assert_eq!(clock.now(), 50);
        assert_eq!(clock.instant() - start, Duration::from_nanos(50));
    }

    #[test]
    fn a_duration_beyond_the_range_is_never() {
        assert_eq!(after(5, Duration::from_nanos(7)), Some(12));
        assert_eq!(after(5, Duration::MAX), None);
    }
}
