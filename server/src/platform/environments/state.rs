//! States of an environment, and the changes that lead from one to another.

use serde::Serialize;

/// A state, by the platform's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// 1
    Running,
    /// 2
    Down,
    /// 3
    Launching,
    /// 4
    Sleep,
    /// 6
    Creating,
    /// 7
    Cloning,
    /// 8
    NotExists,
    /// 11
    Broken,
    /// 12
    Updating,
    /// 13
    Stopping,
    /// 14
    GoingToSleep,
}

impl State {
    /// The platform's number.
    pub fn number(self) -> i64 {
        match self {
            Self::Running => 1,
            Self::Down => 2,
            Self::Launching => 3,
            Self::Sleep => 4,
            Self::Creating => 6,
            Self::Cloning => 7,
            Self::NotExists => 8,
            Self::Broken => 11,
            Self::Updating => 12,
            Self::Stopping => 13,
            Self::GoingToSleep => 14,
        }
    }

    /// The state of this number; one that no row should have is broken.
    pub fn of(number: i64) -> Self {
        let all = [
            Self::Running,
            Self::Down,
            Self::Launching,
            Self::Sleep,
            Self::Creating,
            Self::Cloning,
            Self::NotExists,
            Self::Updating,
            Self::Stopping,
            Self::GoingToSleep,
        ];
        all.into_iter().find(|state| state.number() == number).unwrap_or(Self::Broken)
    }

    /// `going to sleep`, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Down => "stopped",
            Self::Launching => "starting",
            Self::Sleep => "sleeping",
            Self::Creating => "being created",
            Self::Cloning => "being cloned",
            Self::NotExists => "gone",
            Self::Broken => "broken",
            Self::Updating => "being changed",
            Self::Stopping => "stopping",
            Self::GoingToSleep => "going to sleep",
        }
    }
}

/// A change of an environment's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// To running.
    Start,
    /// To down.
    Stop,
    /// From running to sleep.
    Sleep,
    /// Away.
    Delete,
}

impl Change {
    /// The state until it is done.
    pub fn during(self) -> State {
        match self {
            Self::Start => State::Launching,
            Self::Stop | Self::Delete => State::Stopping,
            Self::Sleep => State::GoingToSleep,
        }
    }

    /// The state when it is done.
    pub fn after(self) -> State {
        match self {
            Self::Start => State::Running,
            Self::Stop => State::Down,
            Self::Sleep => State::Sleep,
            Self::Delete => State::NotExists,
        }
    }

    /// Whether it can begin in this state.
    pub fn begins_in(self, state: State) -> bool {
        match self {
            Self::Start => matches!(state, State::Down | State::Sleep),
            Self::Stop => matches!(state, State::Running | State::Sleep),
            Self::Sleep => matches!(state, State::Running),
            Self::Delete => matches!(state, State::Running | State::Down | State::Sleep | State::Broken),
        }
    }

    /// The action of the audit table.
    pub fn action(self) -> &'static str {
        match self {
            Self::Start => "environment.start",
            Self::Stop => "environment.stop",
            Self::Sleep => "environment.sleep",
            Self::Delete => "environment.delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_change_begins_in_a_state_that_passes_or_in_its_own_end() {
        for change in [Change::Start, Change::Stop, Change::Sleep, Change::Delete] {
            for state in (1..=15).map(State::of) {
                let passes = matches!(
                    state,
                    State::Launching
                        | State::Stopping
                        | State::GoingToSleep
                        | State::Creating
                        | State::Cloning
                        | State::Updating
                );
                assert!(!change.begins_in(state) || !passes, "{change:?} in {state:?}");
            }
            assert!(!change.begins_in(change.after()));
            assert_eq!(State::of(change.during().number()), change.during());
        }
    }
}
