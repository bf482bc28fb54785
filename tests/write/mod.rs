// SPDX-License-Identifier: GPL-2.0

//! Writing: [`case`] sets up, writes and returns what was seen; the others ask for the rows of the
//! parity table.

pub(crate) mod case;
mod closed;
mod failure;
mod layout;
mod random;
mod states;
