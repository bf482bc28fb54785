// SPDX-License-Identifier: GPL-2.0

//! Blocks of extended attributes: what is in one, and what one will be.
//!
//! A block begins with a header that says how many inodes share it, and has a list of names, in
//! order, with the values from the end of the block downwards.
//!
//! Checked beyond C, as ext4 does: that the names are in order, that no name has a NUL, that values
//! are behind the list, and that there is room for all of them; a block that nobody owns is none.
//!
//! C counterpart: the structures of `fs/ext2/xattr.h`, `ext2_xattr_header_valid()`,
//! `ext2_xattr_entry_valid()`, `ext2_xattr_cmp_entry()`, `ext2_xattr_cmp()`, `ext2_xattr_rehash()`
//! and what `ext2_xattr_set()` does to the bytes.
//!
//! Locks: none, the caller holds a copy.

use super::{
    attribute_list::{
        attributes,
        entry_len,
        padded,
        Attribute,
        Attributes,
        Header,
        LIST_IN_BLOCK,
        MAGIC, //
    },
    structures::{
        Le16,
        Le32, //
    },
};
use core::{
    cmp::Ordering,
    iter::Peekable, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// Inodes that share one block at most, but for one; `EXT2_XATTR_REFCOUNT_MAX`.
pub(crate) const MOST_OWNERS: u32 = 1024;

/// The words of the header, `struct ext2_xattr_header`.
pub(crate) mod word {
    pub(super) const MAGIC: usize = 0;
    /// How many inodes have the block.
    pub(crate) const OWNERS: usize = 1;
    pub(super) const BLOCKS: usize = 2;
    pub(crate) const HASH: usize = 3;
}

const WORD: usize = size_of::<u32>();

/// The name of an attribute: what it is, and the rest of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) kind: u8,
    pub(crate) name: &'a [u8],
}

impl Name<'_> {
    /// The order of names in a block. C: `ext2_xattr_cmp_entry()`.
    fn order(&self, other: &Name<'_>) -> Ordering {
        (self.kind, self.name.len(), self.name).cmp(&(other.kind, other.name.len(), other.name))
    }
}

impl<'a> Attribute<'a> {
    /// Its name.
    pub(crate) fn full_name(&self) -> Name<'a> {
        Name {
            kind: self.kind,
            name: self.name,
        }
    }
}

/// What is wrong with a block of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BlockError {
    /// It is none.
    Magic,
    /// It says that there are more or fewer blocks than one.
    Blocks,
    /// It says that nobody has it.
    NoOwner,
    /// A name or a value is outside, or the list has no end.
    Outside,
    /// The names are not in order, or one is there twice.
    Order,
    /// A name has a NUL.
    Name,
    /// A value is where the list is, or there is no room for all of them.
    Overlap,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "is none",
            Self::Blocks => "says that it is not one block",
            Self::NoOwner => "says that nobody has it",
            Self::Outside => "has a name or a value outside",
            Self::Order => "has names out of order",
            Self::Name => "has a name with a NUL",
            Self::Overlap => "has values over each other or over names",
        })
    }
}

/// Checks the header of a block whose words `word` gives.
pub(crate) fn header_of(word: impl Fn(usize) -> Option<u32>) -> Result<(), BlockError> {
    if word(word::MAGIC) != Some(MAGIC) {
        return Err(BlockError::Magic);
    }
    if word(word::BLOCKS) != Some(1) {
        return Err(BlockError::Blocks);
    }
    match word(word::OWNERS) {
        None | Some(0) => Err(BlockError::NoOwner),
        Some(_) => Ok(()),
    }
}

/// The attributes of a block that has been checked, in order; by default there are none.
#[derive(Clone, Default)]
pub(crate) struct Checked<'a>(Attributes<'a>);

impl<'a> Iterator for Checked<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()?.ok()
    }
}

/// Those that a block will have: names and values, in order.
#[derive(Clone)]
struct Wanted<'a> {
    old: Peekable<Checked<'a>>,
    /// What changes.
    name: Name<'a>,
    /// What it will have, until it has had its turn.
    value: Option<&'a [u8]>,
}

impl<'a> Iterator for Wanted<'a> {
    type Item = (Name<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.name;
        let before = |one: &Attribute<'_>| one.full_name().order(&name) == Ordering::Less;

        let mut old = self.old.next_if(before);
        if old.is_none() {
            self.old.next_if(|one| one.full_name() == name);
            if let Some(value) = self.value.take() {
                return Some((name, value));
            }
            old = self.old.next();
        }
        old.map(|one| (one.full_name(), one.value))
    }
}

/// A block of attributes that has been checked.
#[derive(Clone, Copy)]
pub(crate) struct AttributeBlock<'a> {
    bytes: &'a [u8],
}

impl<'a> AttributeBlock<'a> {
    /// Checks a block.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, BlockError> {
        let this = Self { bytes };
        header_of(|index| Some(this.word(index)))?;
        this.check_list()?;
        Ok(this)
    }

    fn check_list(&self) -> Result<(), BlockError> {
        let (mut end, mut values, mut lowest) = (LIST_IN_BLOCK, 0, self.bytes.len());
        let mut last: Option<Name<'_>> = None;

        for attribute in attributes(self.bytes, LIST_IN_BLOCK) {
            let attribute = attribute.map_err(|_| BlockError::Outside)?;
            let name = attribute.full_name();
            if last.is_some_and(|last| last.order(&name) != Ordering::Less) {
                return Err(BlockError::Order);
            }
            if name.name.contains(&0) {
                return Err(BlockError::Name);
            }
            last = Some(name);
            end += entry_len(name.name.len());
            values += padded(attribute.value.len());
            if !attribute.value.is_empty() {
                lowest = lowest.min(attribute.value_at);
            }
        }
        // The word of zeros that ends the list.
        end += WORD;
        if end > self.bytes.len() {
            return Err(BlockError::Outside);
        }
        if lowest < end || end + values > self.bytes.len() {
            return Err(BlockError::Overlap);
        }
        Ok(())
    }

    fn word(&self, index: usize) -> u32 {
        let word = self.bytes.chunks_exact(WORD).nth(index);
        word.and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    }

    /// How many inodes have it.
    pub(crate) fn owners(&self) -> u32 {
        self.word(word::OWNERS)
    }

    /// The hash of all attributes; 0 if it is not to be shared.
    pub(crate) fn hash(&self) -> u32 {
        self.word(word::HASH)
    }

    /// All attributes, in order.
    pub(crate) fn attributes(&self) -> Checked<'a> {
        Checked(attributes(self.bytes, LIST_IN_BLOCK))
    }

    /// The value of an attribute, if it is there.
    pub(crate) fn find(&self, name: Name<'_>) -> Option<&'a [u8]> {
        self.attributes()
            .find(|attribute| attribute.full_name() == name)
            .map(|attribute| attribute.value)
    }

    /// Whether both have the same attributes. C: `ext2_xattr_cmp()`.
    pub(crate) fn is_same_as(&self, other: &AttributeBlock<'_>) -> bool {
        let own = self.attributes().map(|one| (one.full_name(), one.value));

        own.eq(other.attributes().map(|one| (one.full_name(), one.value)))
    }
}

/// The block of one owner that has the attributes of `old`, and `name` with `value` or, if that is
/// `None`, no such attribute; `None` if there are none.
///
/// Fails with `ENOSPC` if there is no room for them in `size` bytes, and with `ENOMEM`.
pub(crate) fn with(
    old: Option<&AttributeBlock<'_>>,
    size: usize,
    name: Name<'_>,
    value: Option<&[u8]>,
) -> Result<Option<KVec<u8>>> {
    let all = Wanted {
        old: old
            .map(AttributeBlock::attributes)
            .unwrap_or_default()
            .peekable(),
        name,
        value,
    };
    if all.clone().next().is_none() {
        return Ok(None);
    }
    let needed = all
        .clone()
        .fold(LIST_IN_BLOCK + WORD, |sum, (name, value)| {
            sum + entry_len(name.name.len()) + padded(value.len())
        });
    if needed > size {
        return Err(ENOSPC);
    }
    let mut bytes = KVec::from_elem(0u8, size, GFP_KERNEL)?;
    if let Some(old) = old {
        // What there is reserved in the header stays.
        put(&mut bytes, 0, old.bytes.get(..LIST_IN_BLOCK).unwrap_or(&[]))?;
    }
    let hash = write_list(&mut bytes, all)?;
    for (index, word) in [
        (word::MAGIC, MAGIC),
        (word::OWNERS, 1),
        (word::BLOCKS, 1),
        (word::HASH, hash),
    ] {
        put(&mut bytes, index * WORD, &word.to_le_bytes())?;
    }
    Ok(Some(bytes))
}

/// Writes names and values, for which there is room. The hash of the block.
fn write_list<'a>(
    bytes: &mut [u8],
    all: impl Iterator<Item = (Name<'a>, &'a [u8])>,
) -> Result<u32> {
    let (mut at, mut value_at) = (LIST_IN_BLOCK, bytes.len());
    let mut hash = Some(0);

    for (Name { kind, name }, value) in all {
        value_at = value_at.checked_sub(padded(value.len())).ok_or(ENOSPC)?;
        let own = entry_hash(name, value);
        let header = Header {
            name_len: u8::try_from(name.len()).map_err(|_| ERANGE)?,
            kind,
            value_offset: Le16::new(match value.len() {
                0 => 0,
                _ => u16::try_from(value_at).map_err(|_| EINVAL)?,
            }),
            value_block: Le32::new(0),
            value_size: Le32::new(u32::try_from(value.len()).map_err(|_| ERANGE)?),
            hash: Le32::new(own),
        };
        put(bytes, at, header.as_bytes())?;
        put(bytes, at + size_of::<Header>(), name)?;
        put(bytes, value_at, value)?;
        at += entry_len(name.len());
        hash = match own {
            0 => None,
            own => hash.map(|hash: u32| hash.rotate_left(BLOCK_HASH_SHIFT) ^ own),
        };
    }
    Ok(hash.unwrap_or(0))
}

/// Puts bytes where there is room for them.
pub(super) fn put(bytes: &mut [u8], at: usize, from: &[u8]) -> Result {
    let to = bytes.get_mut(at..at + from.len()).ok_or(ENOSPC)?;
    to.copy_from_slice(from);
    Ok(())
}

const NAME_HASH_SHIFT: u32 = 5;
const VALUE_HASH_SHIFT: u32 = 16;
const BLOCK_HASH_SHIFT: u32 = 16;

/// C: `ext2_xattr_hash_entry()`.
pub(super) fn entry_hash(name: &[u8], value: &[u8]) -> u32 {
    let of_name = name.iter().fold(0u32, |hash, &byte| {
        hash.rotate_left(NAME_HASH_SHIFT) ^ u32::from(byte)
    });

    value.chunks(WORD).fold(of_name, |hash, bytes| {
        let word = bytes.iter().rev();
        let word = word.fold(0, |word, &byte| word << u8::BITS | u32::from(byte));
        hash.rotate_left(VALUE_HASH_SHIFT) ^ word
    })
}
