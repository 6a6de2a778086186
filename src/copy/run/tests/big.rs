//! Ten thousand packages at once: a thousand that one needs, a chain of a thousand, and eight thousand loose ones.

use std::collections::HashMap;

use super::*;

const LOOSE: usize = 8000;
const MANY: usize = 1000;

/// The packages, and what is asked for: the wide one, the end of the chain, and the loose ones.
fn source() -> (Memory, Vec<String>) {
    let source = Memory::new("http://a");
    let leaves: Vec<_> = (0..MANY).map(|n| format!("leaf-{n}")).collect();
    leaves.iter().for_each(|id| source.add(id, "1.0", id.clone(), &[]));
    source.add("wide", "1.0", "wide", &leaves.iter().map(String::as_str).collect::<Vec<_>>());
    source.add("link-0", "1.0", "link-0", &[]);
    for n in 1..MANY {
        let id = format!("link-{n}");
        source.add(&id, "1.0", id.clone(), &[&format!("link-{}", n - 1)]);
    }
    let loose = (0..LOOSE).map(|n| format!("loose-{n}"));
    let asked = ["wide".to_owned(), format!("link-{}", MANY - 1)].into_iter().chain(loose);
    let asked: Vec<_> = asked.collect();
    asked[2..].iter().for_each(|id| source.add(id, "1.0", id.clone(), &[]));
    (source, asked)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_packages_arrive_in_order_and_their_repeat_asks_little() {
    let (source, asked) = source();
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let there = Memory::new("http://b");
    let first = copy(&source, std::slice::from_ref(&there), &asked, &RunOptions::default()).await;
    assert_eq!(first.len(), 2 * MANY + 1 + LOOSE);
    assert!(first.iter().all(|row| matches!(row, Ok((_, "Copied")))));
    assert_eq!(there.existing(), source.existing());
    {
        let state = there.state();
        let places = state.published.iter().enumerate();
        let place: HashMap<_, _> = places.map(|(place, id)| (id.trim_end_matches(" 1.0").to_owned(), place)).collect();
        assert!((0..MANY).all(|n| place[&format!("leaf-{n}")] < place["wide"]));
        assert!((1..MANY).all(|n| place[&format!("link-{}", n - 1)] < place[&format!("link-{n}")]));
        assert_eq!(state.most_running, 4);
    }

    let (reads, looks) = (source.state().opened.len(), there.state().lookups);
    let again = copy(&source, std::slice::from_ref(&there), &asked, &RunOptions::default()).await;
    assert!(again.len() == first.len() && again.iter().all(|row| matches!(row, Ok((_, "Skipped")))));
    assert_eq!(source.state().opened.len(), reads, "no content is read");
    assert_eq!(there.state().lookups, looks + again.len().div_ceil(500), "500 packages a look-up");
}
