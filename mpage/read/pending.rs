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
        pending.run = Some(run(3, 4));
        pending.add_hole(span(7, 1));
        pending.add_hole(span(8, 8));
        assert_eq!(pending.hole_before, Some(span(0, 3)));
        assert_eq!(pending.run, Some(run(3, 4)));
        assert_eq!(pending.hole_behind, Some(span(7, 9)));
    }
}
