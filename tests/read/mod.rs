// SPDX-License-Identifier: GPL-2.0

//! Reading: [`case`] sets up, reads and returns what was seen; the others ask for the rows of the
//! parity table.

pub(crate) mod case;
mod failure;
mod large_folio;
mod layout;
mod mapper;
mod random;
