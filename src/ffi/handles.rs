//! The table of ids that stand for objects: `kind:8 | generation:32 | index:24`.
//!
//! Nothing that a caller holds can be dereferenced: an id that is foreign, stale, of another kind or freed twice is
//! `InvalidHandle`. What nobody comes back for is swept by one task, which sleeps until the next lease may end.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::error::{Error, ErrorKind};
use crate::runtime::runtime;

/// How long what nobody asks for is kept, unless a command says otherwise. Selecting text in a console can block a
/// script for minutes.
pub(super) const LEASE: Duration = Duration::from_secs(900);

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Connection = 1,
    Operation = 2,
    Buffer = 3,
    Secret = 4,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Connection, Self::Operation, Self::Buffer, Self::Secret];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "a connection",
            Self::Operation => "an operation",
            Self::Buffer => "a buffer",
            Self::Secret => "a secret",
        }
    }
}

/// An object that an id can name.
pub(super) trait Object: Any + Send + Sync {
    /// What it is.
    fn kind() -> Kind
    where
        Self: Sized;

    /// How long it is still kept for a caller that does not come back; none: until it is freed.
    fn lease_left(&self) -> Option<Duration>;

    /// It leaves the table, freed or swept.
    fn leave(&self) {}
}

struct Slot {
    generation: u32,
    object: Option<(Kind, Arc<dyn Object>)>,
}

struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// When the sweeper looks next.
    wakes: Option<Instant>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { slots: Vec::new(), free: Vec::new(), wakes: None });
static SOONER: Notify = Notify::const_new();
static SWEEPER: Once = Once::new();

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const KIND_SHIFT: u32 = 56;

/// Puts `object` into the table and gives its id.
///
/// # Errors
/// `Internal` when there are 16 million objects, or the system gives no thread for the sweeper.
pub(super) fn insert<T: Object>(object: T) -> Result<u64, Error> {
    let left = object.lease_left();
    if left.is_some() {
        let runtime = runtime()?;
        SWEEPER.call_once(|| drop(runtime.spawn(sweep_forever())));
    }
    let mut table = lock();
    let index = match table.free.pop() {
        Some(index) => index,
        None if (table.slots.len() as u64) < INDEX_MASK => {
            table.slots.push(Slot { generation: 0, object: None });
            table.slots.len() - 1
        }
        None => {
            return Err(Error::new(ErrorKind::Internal, "There are too many native objects at once.")
                .with_hint("Free operations and buffers when they are no longer needed."));
        }
    };
    let ends = left.map(|left| Instant::now() + left);
    if ends.is_some_and(|ends| table.wakes.is_none_or(|wakes| ends < wakes)) {
        SOONER.notify_one();
    }
    let Some(slot) = table.slots.get_mut(index) else {
        return Err(Error::new(ErrorKind::Internal, "The table of native objects is damaged."));
    };
    slot.generation += 1;
    slot.object = Some((T::kind(), Arc::new(object)));
    Ok(u64::from(T::kind() as u8) << KIND_SHIFT | u64::from(slot.generation) << INDEX_BITS | index as u64)
}

/// The object that `id` names.
///
/// # Errors
/// `InvalidHandle` when it names none of this kind.
pub(super) fn get<T: Object>(id: u64) -> Result<Arc<T>, Error> {
    get_with(id, |_| ())
}

/// [`get`], and calls `mark` with the object while no sweep can take it.
pub(super) fn get_with<T: Object>(id: u64, mark: impl FnOnce(&T)) -> Result<Arc<T>, Error> {
    let table = lock();
    let object = table.find::<T>(id)?;
    mark(&object);
    Ok(object)
}

/// Takes the object that `id` names out of the table.
///
/// # Errors
/// `InvalidHandle` when it names none of this kind.
pub(super) fn remove<T: Object>(id: u64) -> Result<Arc<T>, Error> {
    remove_if(id, |_: &T| Ok(()))
}

/// [`remove`], unless `check` refuses; then the object stays.
pub(super) fn remove_if<T: Object>(id: u64, check: impl FnOnce(&T) -> Result<(), Error>) -> Result<Arc<T>, Error> {
    let mut table = lock();
    let object = table.find::<T>(id)?;
    check(&object)?;
    let stored = table.clear(index_of(id));
    drop(table); // no destructor and no wake-up runs under the lock
    drop(stored);
    object.leave();
    Ok(object)
}

/// How many objects of each kind there are, in the order of [`Kind::ALL`].
pub(super) fn counts() -> [u64; Kind::ALL.len()] {
    let table = lock();
    Kind::ALL.map(|kind| {
        let of_kind = |slot: &&Slot| slot.object.as_ref().is_some_and(|(stored, _)| *stored == kind);
        table.slots.iter().filter(of_kind).count() as u64
    })
}

impl Table {
    fn find<T: Object>(&self, id: u64) -> Result<Arc<T>, Error> {
        let slot = self.slots.get(index_of(id)).filter(|slot| u64::from(slot.generation) == generation_of(id));
        let stored = slot.and_then(|slot| slot.object.as_ref()).filter(|(kind, _)| id >> KIND_SHIFT == *kind as u64);
        let object = stored.and_then(|(_, object)| {
            let any: Arc<dyn Any + Send + Sync> = object.clone();
            any.downcast::<T>().ok()
        });
        object.ok_or_else(|| {
            let message = format!(
                "The native handle {id:#018x} is not {}: it is foreign, of another kind, or was freed.",
                T::kind().name()
            );
            Error::new(ErrorKind::InvalidHandle, message)
                .with_hint("Connect again in this process, and keep no native handle after it was freed.")
        })
    }

    fn clear(&mut self, index: usize) -> Option<Arc<dyn Object>> {
        let slot = self.slots.get_mut(index)?;
        let (_, object) = slot.object.take()?;
        // A slot whose generations are used up rests for good, so that no id ever comes back.
        if slot.generation < u32::MAX {
            self.free.push(index);
        }
        Some(object)
    }

    /// Takes out what nobody came back for. Also: how long until the next lease may end.
    fn sweep(&mut self) -> (Vec<Arc<dyn Object>>, Duration) {
        let mut next = LEASE;
        let mut ended = Vec::new();
        for index in 0..self.slots.len() {
            let object = self.slots.get(index).and_then(|slot| slot.object.as_ref());
            match object.and_then(|(_, object)| object.lease_left()) {
                Some(Duration::ZERO) => ended.extend(self.clear(index)),
                Some(left) => next = next.min(left),
                None => {}
            }
        }
        self.wakes = Some(Instant::now() + next);
        (ended, next)
    }
}

async fn sweep_forever() {
    loop {
        let (ended, next) = lock().sweep();
        ended.iter().for_each(|object| object.leave());
        drop(ended);
        // A notification that comes before this line is kept, so none is lost.
        let _ = tokio::time::timeout(next, SOONER.notified()).await;
    }
}

#[allow(clippy::cast_possible_truncation)] // 24 bits
fn index_of(id: u64) -> usize {
    (id & INDEX_MASK) as usize
}

fn generation_of(id: u64) -> u64 {
    id << 8 >> (8 + INDEX_BITS)
}

fn lock() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Kept(u8);
    impl Object for Kept {
        fn kind() -> Kind {
            Kind::Secret
        }

        fn lease_left(&self) -> Option<Duration> {
            None
        }
    }

    struct Other;
    impl Object for Other {
        fn kind() -> Kind {
            Kind::Connection
        }

        fn lease_left(&self) -> Option<Duration> {
            None
        }
    }

    struct Leased(Instant, tokio::sync::mpsc::UnboundedSender<()>);
    impl Object for Leased {
        fn kind() -> Kind {
            Kind::Secret
        }

        fn lease_left(&self) -> Option<Duration> {
            Some(self.0.saturating_duration_since(Instant::now()))
        }
        fn leave(&self) {
            self.1.send(()).unwrap();
        }
    }

    fn kind_of_failure<T: Object>(id: u64) -> Option<ErrorKind> {
        get::<T>(id).err().map(|error| error.kind())
    }

    #[test]
    fn a_freed_id_never_comes_back_even_when_its_slot_does() {
        let first = insert(Kept(1)).unwrap();
        assert_eq!(get::<Kept>(first).unwrap().0, 1);
        remove::<Kept>(first).unwrap();
        let ids: Vec<u64> = (0..100).map(|n| insert(Kept(n)).unwrap()).collect();
        assert!(!ids.contains(&first));
        assert_eq!(kind_of_failure::<Kept>(first), Some(ErrorKind::InvalidHandle));
        assert_eq!(remove::<Kept>(first).err().map(|error| error.kind()), Some(ErrorKind::InvalidHandle));
        ids.into_iter().for_each(|id| drop(remove::<Kept>(id).unwrap()));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = insert(Other).unwrap();
        assert_eq!(kind_of_failure::<Kept>(id), Some(ErrorKind::InvalidHandle));
        assert!(get::<Other>(id).is_ok());
        remove::<Other>(id).unwrap();
    }

    #[test]
    fn a_refused_removal_leaves_the_object() {
        let id = insert(Kept(7)).unwrap();
        assert!(remove_if(id, |_: &Kept| Err(Error::new(ErrorKind::InvalidArgument, "no"))).is_err());
        assert_eq!(remove::<Kept>(id).unwrap().0, 7);
    }

    #[test]
    fn what_nobody_comes_back_for_is_swept_when_its_lease_ends() {
        let (sender, mut gone) = tokio::sync::mpsc::unbounded_channel();
        let late = insert(Leased(Instant::now() + LEASE, sender.clone())).unwrap();
        let soon = insert(Leased(Instant::now() + Duration::from_millis(20), sender)).unwrap();
        assert_eq!(gone.blocking_recv(), Some(()));
        assert_eq!(kind_of_failure::<Leased>(soon), Some(ErrorKind::InvalidHandle));
        remove::<Leased>(late).unwrap();
    }

    proptest! {
        #[test]
        fn a_made_up_id_is_refused(id: u64, flips in 1..u64::MAX) {
            let real = insert(Kept(0)).unwrap();
            let forged = real ^ flips;
            prop_assert!(get::<Kept>(forged).is_err() || forged == real);
            prop_assert!(id == real || get::<Other>(id).is_err());
            remove::<Kept>(real).unwrap();
        }
    }
}
