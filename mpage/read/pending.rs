// SPDX-License-Identifier: GPL-2.0

//! What is known of a folio and not carried out yet: one run, and the holes around it. Pure.
//!
//! As long as there is no more than that the folio takes one bio, which may go on with the next
//! folio; with a second run it takes a bio for each.

use crate::mpage::window::{
    Run,
    Span, //
};

/// Consecutive blocks of a folio: a hole, a run, a hole, each of which may be missing.
pub(super) struct Pending<D> {
    /// In front of the run, or all there is.
    pub(super) hole_before: Option<Span>,
    pub(super) run: Option<Run<D>>,
    pub(super) hole_behind: Option<Span>,
}

impl<D> Default for Pending<D> {
    fn default() -> Self {
        Self {
            hole_before: None,
            run: None,
            hole_behind: None,
        }
    }
}

impl<D> Pending<D> {
    /// A hole comes next. A mapper that answers block by block has one for each block.
    pub(super) fn add_hole(&mut self, span: Span) {
        let hole = match self.run {
            None => &mut self.hole_before,
            Some(_) => &mut self.hole_behind,
        };
        match hole {
            Some(hole) => hole.len += span.len,
            None => *hole = Some(span),
        }
    }

    /// A run comes next. What was there, if that had a run, too.
    pub(super) fn add_run(&mut self, run: Run<D>) -> Option<Self> {
        match self.run {
            None => {
                self.run = Some(run);
                None
            }
            Some(_) => Some(core::mem::replace(
                self,
                Self {
                    run: Some(run),
                    ..Self::default()
                },
            )),
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_pending)]
mod tests {
    use super::{
        Pending,
        Run,
        Span, //
    };
    use crate::mpage::mapping::PhysicalBlock;

    fn span(start: u32, len: u32) -> Span {
        Span { start, len }
    }

    fn run(start: u32, len: u32) -> Run<()> {
        Run {
            span: span(start, len),
            device: (),
            block: PhysicalBlock(100),
            boundary: false,
        }
    }

    #[test]
    fn one_run_with_holes_around_it() {
        let mut pending = Pending::default();
        pending.add_hole(span(0, 1));
        pending.add_hole(span(1, 2));
        assert!(pending.add_run(run(3, 4)).is_none());
        pending.add_hole(span(7, 1));
        pending.add_hole(span(8, 8));
        assert_eq!(pending.hole_before, Some(span(0, 3)));
        assert_eq!(pending.run, Some(run(3, 4)));
        assert_eq!(pending.hole_behind, Some(span(7, 9)));
    }

    #[test]
    fn a_second_run_sends_what_was_before_it() {
        let mut pending = Pending::default();
        pending.add_hole(span(0, 1));
        assert!(pending.add_run(run(1, 1)).is_none());
        pending.add_hole(span(2, 1));
        let before = pending.add_run(run(3, 1));
        assert!(
            before.is_some_and(|before| before.hole_before == Some(span(0, 1))
                && before.run == Some(run(1, 1))
                && before.hole_behind == Some(span(2, 1)))
        );
        assert_eq!(pending.hole_before, None);
        assert_eq!(pending.run, Some(run(3, 1)));
        assert_eq!(pending.hole_behind, None);
    }
}
