//! One schedule: what is copied and everything that goes wrong meanwhile, all from one seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Everything that a simulation does.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) packages: Vec<Pack>,
    /// Places of those that are asked for.
    pub(crate) requested: Vec<usize>,
    pub(crate) source: Habits,
    pub(crate) destinations: Vec<Habits>,
    pub(crate) throttle_limit: usize,
    pub(crate) max_bytes_per_second: Option<u64>,
    pub(crate) force: bool,
    /// Bytes of the source's chunks.
    pub(crate) chunk: usize,
    /// Bytes that wait for a destination at most.
    pub(crate) buffer: u32,
    pub(crate) latency: Duration,
    /// In the order of their times.
    pub(crate) events: Vec<(Duration, Event)>,
    /// When everything is well again.
    pub(crate) healed: Duration,
    /// Two processes copy the same at once.
    pub(crate) twins: bool,
    /// The client is killed then, whatever it does.
    pub(crate) killed_when_healed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Pack {
    pub(crate) id: String,
    pub(crate) size: usize,
    /// Places of what it needs, all before it.
    pub(crate) needs: Vec<usize>,
}

/// What a side is like.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) host: String,
    /// Tells digests in its catalogue.
    pub(crate) digests: bool,
    /// Tells sizes in its catalogue and of its contents.
    pub(crate) sizes: bool,
    /// Tells strong entity tags.
    pub(crate) etags: bool,
    /// Tells a digest with each content.
    pub(crate) content_digests: bool,
    /// Uploads of so many bytes and more can be gone on with.
    pub(crate) resumes: Option<u64>,
    /// Compares what it got with the digest that it was told, before it publishes.
    pub(crate) verifies: bool,
    /// Answers at once where a digest says that the bytes are there.
    pub(crate) early: bool,
    /// The newer of two that append to an upload wins; else it has to wait for the older one.
    pub(crate) takes_over: bool,
    /// So many bytes are written before they are safe from a crash.
    pub(crate) sync_every: usize,
    /// For each chunk.
    pub(crate) pace: Duration,
    /// It gives up a connection on which nothing comes for so long.
    pub(crate) idle: Duration,
    /// Heeds ranges; else a content always comes from its start.
    pub(crate) ranges: bool,
    /// What happens to the first contents that it sends or takes, one after the other.
    pub(crate) contents: Vec<Mishap>,
    /// What happens to the first questions that it is asked.
    pub(crate) questions: Vec<Mishap>,
    /// Which requests to it the network makes twice, and how late.
    pub(crate) doubles: Vec<Option<Duration>>,
    /// Places of packages that it has at the start.
    pub(crate) has: Vec<usize>,
    /// Places of packages that it has at the start, with other bytes.
    pub(crate) has_other: Vec<usize>,
}

/// What happens to one connection. Bytes count in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// It breaks there.
    ResetAt(u64),
    /// Nothing more moves from there on, and nobody is told.
    StallAt(u64),
    /// This byte is another one.
    CorruptAt(u64),
    /// Each chunk takes so long.
    Slow(Duration),
    /// The request is not done.
    Busy {
        wait: u64,
    },
    TooMany {
        wait: u64,
    },
    Defect,
    BearerExpired,
    /// Everything is done, and nobody is told.
    LoseAnswer,
    /// All bytes come, and then it breaks before anything is done with them.
    Discard,
    /// The answer takes so long.
    Think(Duration),
    /// It breaks there, and from now on the content of that name is another one.
    ChangeAt(u64),
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Messages between the client and a server wait.
    Hold {
        host: String,
    },
    Release {
        host: String,
    },
    /// Messages between the client and a server are lost, and no one is told.
    Partition {
        host: String,
    },
    /// Those from the first to the second.
    PartitionOneWay {
        from: String,
        to: String,
    },
    Repair {
        host: String,
    },
    /// Each message may be lost.
    Lossy {
        host: String,
    },
    Crash {
        host: String,
    },
    Restart {
        host: String,
    },
    KillClient,
    /// The source gets another content under the same name.
    Change {
        package: usize,
    },
    /// A destination forgets its uploads.
    Expire {
        host: String,
    },
}

pub(crate) const CLIENT: &str = "client";
pub(crate) const SOURCE: &str = "source";

impl Schedule {
    /// The schedule of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let packages = packages(rng);
        let count = packages.len();
        let mut requested: Vec<usize> = (0..count).filter(|_| rng.random_bool(0.4)).collect();
        if requested.is_empty() {
            requested.push(count - 1);
        }
        let force = rng.random_bool(0.5);
        let calm = rng.random_bool(0.05);
        let source = habits(rng, SOURCE.into(), &packages, calm, force);
        let destinations = (0..one_of(rng, &[1, 1, 1, 2, 2, 3]))
            .map(|n| habits(rng, format!("destination{n}"), &packages, calm, force))
            .collect::<Vec<_>>();
        let mut events = if calm { Vec::new() } else { events(rng, &destinations, count, force) };
        events.sort_by_key(|(at, _)| *at);
        let last = events.last().map_or(Duration::ZERO, |(at, _)| *at);
        Self {
            seed,
            requested,
            force,
            throttle_limit: rng.random_range(1..=4),
            max_bytes_per_second: rng.random_bool(0.15).then(|| rng.random_range(50_000..500_000)),
            chunk: one_of(rng, &[700, 1500, 4000, 4000, 9000]),
            buffer: one_of(rng, &[1, 3_000, 10_000, 1 << 20]),
            latency: Duration::from_millis(one_of(rng, &[0, 20, 40, 80])),
            healed: last + millis(rng, 300..1200),
            twins: rng.random_bool(0.15),
            killed_when_healed: rng.random_bool(0.3),
            packages,
            source,
            destinations,
            events,
        }
    }
}

fn packages(rng: &mut StdRng) -> Vec<Pack> {
    let count = one_of(rng, &[1, 2, 2, 3, 4, 5, 6, 8]);
    let connected = one_of(rng, &[0.0, 0.3, 0.6, 1.0]);
    (0..count)
        .map(|place| {
            let size = match rng.random_range(0..10) {
                0 => one_of(rng, &[0, 1, 2]),
                1..6 => rng.random_range(3..8_000),
                6..9 => rng.random_range(8_000..30_000),
                _ => rng.random_range(30_000..100_000),
            };
            let needs = (0..place).filter(|_| rng.random_bool(connected / 2.0)).collect();
            Pack { id: format!("p{place}"), size, needs }
        })
        .collect()
}

fn habits(rng: &mut StdRng, host: String, packages: &[Pack], calm: bool, force: bool) -> Habits {
    let is_source = host == SOURCE;
    // Some sides know no digests at all.
    let knows = rng.random_bool(0.7);
    let digests = knows && rng.random_bool(0.9);
    let content_digests = knows && rng.random_bool(0.5);
    let takes_over = rng.random_bool(0.6);
    let mischief = if calm { 0.0 } else { one_of(rng, &[0.0, 0.2, 0.5, 0.8]) };
    // Few kinds in one schedule meet each other more often than all kinds do.
    let mut kinds: Vec<Kind> = if is_source { SOURCES_MISHAPS.to_vec() } else { DESTINATIONS_MISHAPS.to_vec() };
    // Only who knows the digest can notice a changed byte; and without force the first content of a name would stand
    // in the way of the second.
    kinds.retain(|kind| (digests || *kind != Kind::Corrupt) && (force || *kind != Kind::Change));
    let kinds: Vec<Kind> = (0..rng.random_range(1..=3)).map(|_| one_of(rng, &kinds)).collect();
    let mut mishaps = |most: usize| -> Vec<Mishap> {
        let some = 0..rng.random_range(0..most);
        some.map(|_| if rng.random_bool(mischief) { mishap(rng, &kinds, packages) } else { Mishap::None }).collect()
    };
    let (contents, questions) = (mishaps(14), mishaps(10));
    let doubles = (0..rng.random_range(0..16))
        .map(|_| (!is_source && rng.random_bool(mischief / 4.0)).then(|| millis(rng, 0..800)))
        .collect();
    // What is there is there with all that it needs.
    let mut has: Vec<usize> = Vec::new();
    if !is_source && rng.random_bool(0.3) {
        for (place, pack) in packages.iter().enumerate() {
            if pack.needs.iter().all(|need| has.contains(need)) && rng.random_bool(0.4) {
                has.push(place);
            }
        }
    }
    let has_other = has.iter().copied().filter(|_| force && rng.random_bool(0.5)).collect();
    Habits {
        host,
        digests,
        content_digests,
        sizes: digests || rng.random_bool(0.8),
        etags: rng.random_bool(0.8),
        ranges: rng.random_bool(0.85),
        resumes: rng.random_bool(0.7).then(|| one_of(rng, &[0, 0, 1, 4_000])),
        verifies: rng.random_bool(0.5),
        early: rng.random_bool(0.3),
        takes_over,
        sync_every: one_of(rng, &[1, 1_000, 8_000, 64_000]),
        pace: Duration::from_millis(one_of(rng, &[0, 0, 0, 2, 8])),
        // One that lets nobody take over must not hold a broken upload for long.
        idle: Duration::from_millis(if takes_over { one_of(rng, &[1_200, 1_200, 100_000]) } else { 600 }),
        contents,
        questions,
        doubles,
        has,
        has_other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reset,
    Stall,
    Corrupt,
    Slow,
    Refuse,
    BearerExpired,
    LoseAnswer,
    Discard,
    Think,
    Change,
}

const SOURCES_MISHAPS: &[Kind] =
    &[Kind::Reset, Kind::Reset, Kind::Stall, Kind::Corrupt, Kind::Slow, Kind::Refuse, Kind::Think, Kind::Change];

const DESTINATIONS_MISHAPS: &[Kind] = &[
    Kind::Reset,
    Kind::Reset,
    Kind::Stall,
    Kind::Corrupt,
    Kind::Slow,
    Kind::Refuse,
    Kind::BearerExpired,
    Kind::LoseAnswer,
    Kind::Discard,
    Kind::Think,
];

fn mishap(rng: &mut StdRng, kinds: &[Kind], packages: &[Pack]) -> Mishap {
    let size = packages[rng.random_range(0..packages.len())].size as u64;
    let at = rng.random_range(0..=size);
    match one_of(rng, kinds) {
        Kind::Reset => Mishap::ResetAt(at),
        Kind::Stall => Mishap::StallAt(at),
        Kind::Corrupt => Mishap::CorruptAt(at),
        Kind::Slow => Mishap::Slow(millis(rng, 10..120)),
        Kind::Refuse => match rng.random_range(0..3) {
            0 => Mishap::Busy { wait: one_of(rng, &[0, 0, 300]) },
            1 => Mishap::TooMany { wait: one_of(rng, &[0, 500]) },
            _ => Mishap::Defect,
        },
        Kind::BearerExpired => Mishap::BearerExpired,
        Kind::LoseAnswer => Mishap::LoseAnswer,
        Kind::Discard => Mishap::Discard,
        Kind::Think => Mishap::Think(millis(rng, 50..900)),
        Kind::Change => Mishap::ChangeAt(at),
    }
}

fn events(rng: &mut StdRng, destinations: &[Habits], packages: usize, force: bool) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let hosts: Vec<String> =
        std::iter::once(SOURCE.to_owned()).chain(destinations.iter().map(|side| side.host.clone())).collect();
    let kinds: Vec<u32> = (0..rng.random_range(1..=3)).map(|_| rng.random_range(0..10)).collect();
    // Most copies take no longer than some hundred milliseconds.
    let span = one_of(rng, &[300, 600, 1_500]);
    for _ in 0..one_of(rng, &[0, 1, 1, 2, 2, 3, 5]) {
        let at = millis(rng, 0..span);
        let until = at + Duration::from_millis(one_of(rng, &[20, 100, 400, 900, 2500]));
        let host = hosts[rng.random_range(0..hosts.len())].clone();
        match one_of(rng, &kinds) {
            0 => events.extend([(at, Event::Hold { host: host.clone() }), (until, Event::Release { host })]),
            1 => events.extend([(at, Event::Partition { host: host.clone() }), (until, Event::Repair { host })]),
            2 => {
                let (from, to) =
                    if rng.random() { (CLIENT.into(), host.clone()) } else { (host.clone(), CLIENT.into()) };
                events.extend([(at, Event::PartitionOneWay { from, to }), (until, Event::Repair { host })]);
            }
            3 => events.extend([(at, Event::Lossy { host: host.clone() }), (until, Event::Repair { host })]),
            4 | 5 => events.extend([(at, Event::Crash { host: host.clone() }), (until, Event::Restart { host })]),
            6 | 7 => events.push((at, Event::KillClient)),
            8 if force => events.push((at, Event::Change { package: rng.random_range(0..packages) })),
            _ => events.push((at, Event::Expire { host })),
        }
    }
    events
}

fn one_of<T: Copy>(rng: &mut impl Rng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())]
}

fn millis(rng: &mut impl Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}
