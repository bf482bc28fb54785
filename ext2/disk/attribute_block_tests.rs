// SPDX-License-Identifier: GPL-2.0

//! Tests of blocks of attributes.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_attribute_block)]
mod tests {
    use crate::disk::{
        attribute_block::{
            entry_hash,
            put,
            with,
            AttributeBlock,
            BlockError,
            Name, //
        },
        attribute_list::kind,
        test_images::Random, //
    };
    use kernel::prelude::*;

    fn user(name: &[u8]) -> Name<'_> {
        Name {
            kind: kind::USER,
            name,
        }
    }

    /// The block with one attribute more, or less.
    fn set(old: &[u8], name: Name<'_>, value: Option<&[u8]>) -> Result<Option<KVec<u8>>> {
        let old = AttributeBlock::new(old).ok();
        with(old.as_ref(), 1024, name, value)
    }

    /// `user.a`, `user.bc`, an access list.
    fn three() -> Result<KVec<u8>> {
        let acl = Name {
            kind: kind::ACCESS_ACL,
            name: b"",
        };
        let block = set(&[], user(b"bc"), Some(b"12345"))?.ok_or(EINVAL)?;
        let block = set(&block, acl, Some(b"\x01\0\0\0"))?.ok_or(EINVAL)?;
        set(&block, user(b"a"), Some(b""))?.ok_or(EINVAL)
    }

    fn error_of(bytes: &[u8]) -> Option<BlockError> {
        AttributeBlock::new(bytes).err()
    }

    #[test]
    fn a_block_is_as_c_writes_it() -> Result {
        // What C ext2 has for user.name=value, but for the order of values.
        let block = set(&[], user(b"name"), Some(b"value"))?.ok_or(EINVAL)?;
        let words = |range| block.get(range).map_or(&[][..], |bytes: &[u8]| bytes);

        assert_eq!(words(0..12), b"\0\0\x02\xea\x01\0\0\0\x01\0\0\0");
        assert_eq!(words(32..44), b"\x04\x01\xf8\x03\0\0\0\0\x05\0\0\0");
        assert_eq!(words(48..56), b"name\0\0\0\0");
        assert_eq!(words(1016..1024), b"value\0\0\0");
        assert_eq!(words(44..48), entry_hash(b"name", b"value").to_le_bytes());
        assert_eq!(words(12..16), words(44..48));
        assert_eq!(entry_hash(b"", b""), 0);
        assert_eq!(entry_hash(b"ab", b""), 0x61 << 5 ^ 0x62);
        assert_eq!(entry_hash(b"a", &[1, 2, 3, 4, 5]), {
            let first = 0x61u32.rotate_left(16) ^ 0x0403_0201;
            first.rotate_left(16) ^ 5
        });
        Ok(())
    }

    #[test]
    fn names_are_in_order_and_found() -> Result {
        let bytes = three()?;
        let block = AttributeBlock::new(&bytes).map_err(|_| EINVAL)?;
        let mut kinds = block
            .attributes()
            .map(|one| (one.kind, one.name.len(), one.value.len()));

        assert_eq!(kinds.next(), Some((1, 1, 0)));
        assert_eq!(kinds.next(), Some((1, 2, 5)));
        assert_eq!(kinds.next(), Some((2, 0, 4)));
        assert_eq!(kinds.next(), None);
        assert_eq!(block.find(user(b"bc")), Some(&b"12345"[..]));
        assert_eq!(block.find(user(b"b")), None);
        assert!(block.hash() != 0 && block.owners() == 1);
        Ok(())
    }

    #[test]
    fn attributes_are_replaced_and_go() -> Result {
        let bytes = three()?;
        let bytes = set(&bytes, user(b"bc"), Some(b"1234567890"))?.ok_or(EINVAL)?;
        let block = AttributeBlock::new(&bytes).map_err(|_| EINVAL)?;
        assert_eq!(block.find(user(b"bc")), Some(&b"1234567890"[..]));
        assert_eq!(block.attributes().count(), 3);

        let bytes = set(&bytes, user(b"bc"), None)?.ok_or(EINVAL)?;
        let bytes = set(&bytes, user(b"a"), None)?.ok_or(EINVAL)?;
        // It was not there.
        let same = set(&bytes, user(b"a"), None)?.ok_or(EINVAL)?;
        let one = AttributeBlock::new(&bytes).map_err(|_| EINVAL)?;
        let two = AttributeBlock::new(&same).map_err(|_| EINVAL)?;
        assert!(one.is_same_as(&two) && !one.is_same_as(&block));
        let acl = Name {
            kind: kind::ACCESS_ACL,
            name: b"",
        };
        assert!(set(&bytes, acl, None)?.is_none());
        assert!(set(&[], acl, None)?.is_none());
        Ok(())
    }

    #[test]
    fn a_block_is_full_to_the_last_byte() -> Result {
        const ROOM: usize = 1024 - 32 - 4 - 16 - 4;
        let fits = KVec::from_elem(7u8, ROOM, GFP_KERNEL)?;
        let more = KVec::from_elem(7u8, ROOM + 1, GFP_KERNEL)?;

        let block = set(&[], user(b"name"), Some(&fits))?.ok_or(EINVAL)?;
        assert_eq!(error_of(&block), None);
        assert!(set(&[], user(b"name"), Some(&more)).is_err_and(|error| error == ENOSPC));
        assert!(set(&block, user(b"other"), Some(b"")).is_err_and(|error| error == ENOSPC));
        // In its place.
        assert!(set(&block, user(b"name"), Some(&fits))?.is_some());
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() -> Result {
        let good = three()?;
        let changed = |at: usize, bytes: &[u8]| -> Result<Option<BlockError>> {
            let mut block = KVec::new();
            block.extend_from_slice(&good, GFP_KERNEL)?;
            put(&mut block, at, bytes)?;
            Ok(error_of(&block))
        };

        assert_eq!(changed(0, &[0, 0, 0, 0])?, Some(BlockError::Magic));
        assert_eq!(changed(8, &[2])?, Some(BlockError::Blocks));
        assert_eq!(changed(4, &[0])?, Some(BlockError::NoOwner));
        // The first, `user.a`, becomes an access list, or longer, and so has the next in its name.
        assert_eq!(changed(33, &[2])?, Some(BlockError::Order));
        assert_eq!(changed(32, &[255])?, Some(BlockError::Name));
        assert_eq!(
            changed(32 + 20 + 2, &[0xff, 0xff])?,
            Some(BlockError::Outside)
        );
        assert_eq!(changed(32 + 20 + 4, &[1])?, Some(BlockError::Outside));
        assert_eq!(
            changed(32 + 20 + 8, &[0, 0, 0, 0x80])?,
            Some(BlockError::Outside)
        );
        assert_eq!(changed(32 + 16, &[0])?, Some(BlockError::Name));
        assert_eq!(changed(32 + 20 + 2, &[40, 0])?, Some(BlockError::Overlap));
        assert_eq!(error_of(&[]), Some(BlockError::Magic));
        // Two values, each of half of the block and more, in the same place.
        let half = KVec::from_elem(7u8, 500, GFP_KERNEL)?;
        let mut block = set(&[], user(b"a"), Some(&half))?.ok_or(EINVAL)?;
        block = set(&block, user(b"b"), Some(b"x"))?.ok_or(EINVAL)?;
        put(&mut block, 52 + 2, &(1024u16 - 500).to_le_bytes())?;
        put(&mut block, 52 + 8, &500u32.to_le_bytes())?;
        assert_eq!(error_of(&block), Some(BlockError::Overlap));
        Ok(())
    }

    #[test]
    fn a_hash_of_zero_is_not_shared() -> Result {
        let acl = Name {
            kind: kind::ACCESS_ACL,
            name: b"",
        };
        let block = set(&[], acl, Some(b""))?.ok_or(EINVAL)?;
        let block = AttributeBlock::new(&block).map_err(|_| EINVAL)?;
        assert_eq!(block.hash(), 0);
        Ok(())
    }

    /// Random changes, beside a list of what should be there; then random bytes.
    #[test]
    fn random_changes() -> Result {
        let mut random = Random::new(15);
        let mut bytes: Option<KVec<u8>> = None;
        let mut there = [None; 6];
        let values = KVec::from_elem(9u8, 300, GFP_KERNEL)?;

        for _ in 0..3000 {
            let which = random.below(6) as usize;
            let name = b"abcdef".get(..which).unwrap_or(b"");
            let len = (random.below(4) != 0).then(|| random.below(300) as usize);
            let value = len.and_then(|len| values.get(..len));
            let old = bytes
                .as_deref()
                .and_then(|old| AttributeBlock::new(old).ok());
            match with(old.as_ref(), 1024, user(name), value) {
                Ok(new) => {
                    bytes = new;
                    if let Some(slot) = there.get_mut(which) {
                        *slot = len;
                    }
                }
                Err(error) => assert!(error == ENOSPC),
            }
            let found = |which: usize| {
                let block = AttributeBlock::new(bytes.as_deref()?).ok()?;
                let name = b"abcdef".get(..which)?;
                block.find(user(name)).map(<[u8]>::len)
            };
            for (which, len) in there.iter().enumerate() {
                assert_eq!(found(which), *len);
            }
        }
        let block = three()?;
        for _ in 0..20000 {
            let mut bytes = [0; 1024];
            put(&mut bytes, 0, &block)?;
            for _ in 0..=random.below(4) {
                let at = 12 + random.below(80) as usize;
                put(&mut bytes, at, &[random.edge() as u8])?;
            }
            if let Ok(block) = AttributeBlock::new(&bytes) {
                assert!(block.attributes().count() <= 6);
            }
        }
        Ok(())
    }
}
