// SPDX-License-Identifier: GPL-2.0

//! Tests say what they want for pages of 4 KiB. Where pages are larger, blocks, files and disks are
//! as many times larger: a page has as many blocks as the test says, and a block is where it says.
//!
//! What a [`Scale`] makes larger goes to files and disks, and what these have done comes back as
//! the test would see it with pages of 4 KiB.

use crate::support::{
    Bio,
    Request,
    Written, //
};
use kernel::page::PAGE_SHIFT;

/// Base-2 logarithm of how many times as large everything is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scale(u32);

impl Scale {
    /// A page for each of 4 KiB.
    pub(crate) const PAGES: Self = Self(PAGE_SHIFT as u32 - 12);
    /// As the test says, however many blocks a page has then.
    pub(crate) const NONE: Self = Self(0);

    /// Base-2 logarithm of a block's size.
    pub(crate) fn bits(self, bits: u32) -> u32 {
        bits + self.0
    }

    /// Bytes or sectors.
    pub(crate) fn up(self, count: u64) -> u64 {
        count << self.0
    }

    /// The other way round. What is no multiple stays, and is nothing that a test expects.
    fn down(self, count: u64) -> u64 {
        match count & ((1 << self.0) - 1) {
            0 => count >> self.0,
            _ => count,
        }
    }

    /// The same for small counts.
    pub(crate) fn down_u32(self, count: u32) -> u32 {
        // It is no larger than before.
        self.down(count.into()) as u32
    }

    /// A bio as the test sees it, but for its sectors of each kind: of these the sum counts, as a
    /// part of them may be no multiple.
    pub(crate) fn bio(self, bio: Bio) -> Bio {
        Bio {
            sector: self.down(bio.sector),
            bytes: self.down_u32(bio.bytes),
            ..bio
        }
    }

    /// A request for the bytes that the test means.
    pub(crate) fn request(self, request: &Request) -> Request {
        let end = request.range_end;
        Request {
            range_start: self.up(request.range_start),
            range_end: if end == i64::MAX as u64 {
                end
            } else {
                self.up(end + 1) - 1
            },
            ..*request
        }
    }

    /// What a request has come to, as the test sees it.
    pub(crate) fn written(self, written: Written) -> Written {
        Written {
            charged: self.down(written.charged),
            ..written
        }
    }
}
