//! The order of a copy: dependencies before dependents, and otherwise as it was asked for.

/// What stands in the way of an order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Circles {
    /// A circle's last node is its first.
    pub(super) paths: Vec<Vec<usize>>,
    /// Those whose path is not kept, too.
    pub(super) found: usize,
}

/// Puts every node that `roots` reach after all that it needs, and finds the circles.
///
/// `needs` holds, for each node, the nodes that it needs. With circles the order is not usable, but still holds every
/// node once. Paths are kept of `most` circles, and of fewer where they would hold more nodes than there are: each node
/// may be of as many circles as there are nodes.
pub(super) fn order(needs: &[Vec<usize>], roots: &[usize], most: usize) -> (Vec<usize>, Circles) {
    let mut state = vec![State::New; needs.len()];
    let mut sorted = Vec::with_capacity(needs.len());
    let mut circles = Circles::default();
    let mut kept = 0;
    for &root in roots {
        // A stack of its own instead of recursion: chains may be thousands deep.
        let mut path: Vec<(usize, std::slice::Iter<'_, usize>)> = Vec::new();
        enter(root, needs, &mut state, &mut path);
        while let Some((node, rest)) = path.last_mut() {
            let node = *node;
            let Some(&next) = rest.next() else {
                path.pop();
                set(&mut state, node, State::Done);
                sorted.push(node);
                continue;
            };
            if state.get(next) == Some(&State::Open) {
                circles.found += 1;
                if circles.paths.len() < most && kept <= needs.len() {
                    let circle = path.iter().map(|(node, _)| *node).skip_while(|node| *node != next);
                    let circle: Vec<usize> = circle.chain([next]).collect();
                    kept += circle.len();
                    circles.paths.push(circle);
                }
            } else {
                enter(next, needs, &mut state, &mut path);
            }
        }
    }
    (sorted, circles)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// On the path from the root to where we are.
    Open,
    Done,
}

fn enter<'a>(
    node: usize,
    needs: &'a [Vec<usize>],
    state: &mut [State],
    path: &mut Vec<(usize, std::slice::Iter<'a, usize>)>,
) {
    if let (Some(State::New), Some(needed)) = (state.get(node), needs.get(node)) {
        set(state, node, State::Open);
        path.push((node, needed.iter()));
    }
}

fn set(state: &mut [State], node: usize, value: State) {
    if let Some(place) = state.get_mut(node) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 10;

    #[test]
    fn what_is_needed_comes_first_and_the_rest_as_it_was_asked_for() {
        // 0 needs 3 and 2, 2 needs 3, 1 needs nothing.
        let needs = [vec![3, 2], vec![], vec![3], vec![]];
        assert_eq!(order(&needs, &[1, 0], MOST), (vec![1, 3, 2, 0], Circles::default()));
        assert_eq!(order(&needs, &[0, 1, 3], MOST), (vec![3, 2, 0, 1], Circles::default()));
    }

    #[test]
    fn every_circle_is_found_with_its_path() {
        let needs = [vec![1], vec![2, 1], vec![0], vec![0]];
        let (sorted, circles) = order(&needs, &[3], MOST);
        assert_eq!(circles, Circles { paths: vec![vec![0, 1, 2, 0], vec![1, 1]], found: 2 });
        assert_eq!(sorted.len(), 4);
        assert_eq!(order(&needs, &[3], 1).1, Circles { paths: vec![vec![0, 1, 2, 0]], found: 2 });
    }

    #[test]
    fn paths_of_circles_take_no_more_room_than_the_nodes() {
        // Each node of a long chain needs the next one, and the first.
        let needs: Vec<_> = (0..10_000).map(|n| if n == 9_999 { vec![0] } else { vec![n + 1, 0] }).collect();
        let (sorted, circles) = order(&needs, &[0], usize::MAX);
        assert_eq!((sorted.len(), circles.found), (10_000, 10_000));
        assert!(circles.paths.iter().map(Vec::len).sum::<usize>() <= 20_002);
    }

    #[test]
    fn a_very_deep_chain_needs_no_stack() {
        let needs: Vec<_> = (0..200_000).map(|n| if n == 0 { vec![] } else { vec![n - 1] }).collect();
        let (sorted, circles) = order(&needs, &[199_999], MOST);
        assert!(circles.paths.is_empty() && sorted.iter().copied().eq(0..200_000));
    }
}
