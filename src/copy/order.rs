//! The order of a copy: dependencies before dependents, and otherwise as it was asked for.

/// Puts every node that `roots` reach after all that it needs, and finds the circles.
///
/// `needs` holds, for each node, the nodes that it needs. A circle is a path whose last node is its first. With
/// circles the order is not usable, but still holds every node once.
pub(super) fn order(needs: &[Vec<usize>], roots: &[usize]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut state = vec![State::New; needs.len()];
    let mut sorted = Vec::with_capacity(needs.len());
    let mut circles = Vec::new();
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
                let circle = path.iter().map(|(node, _)| *node).skip_while(|node| *node != next);
                circles.push(circle.chain([next]).collect());
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

    #[test]
    fn what_is_needed_comes_first_and_the_rest_as_it_was_asked_for() {
        // 0 needs 3 and 2, 2 needs 3, 1 needs nothing.
        let needs = [vec![3, 2], vec![], vec![3], vec![]];
        assert_eq!(order(&needs, &[1, 0]), (vec![1, 3, 2, 0], vec![]));
        assert_eq!(order(&needs, &[0, 1, 3]), (vec![3, 2, 0, 1], vec![]));
    }

    #[test]
    fn every_circle_is_found_with_its_path() {
        let needs = [vec![1], vec![2, 1], vec![0], vec![0]];
        let (sorted, circles) = order(&needs, &[3]);
        assert_eq!(circles, [vec![0, 1, 2, 0], vec![1, 1]]);
        assert_eq!(sorted.len(), 4);
    }

    #[test]
    fn a_very_deep_chain_needs_no_stack() {
        let needs: Vec<_> = (0..200_000).map(|n| if n == 0 { vec![] } else { vec![n - 1] }).collect();
        let (sorted, circles) = order(&needs, &[199_999]);
        assert!(circles.is_empty() && sorted.iter().copied().eq(0..200_000));
    }
}
