//! Reading and writing a guest's memory (2.1). Pointers and lengths are signed, as the guest sent them.

/// Why a range of guest memory cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The pointer or the length is negative.
    #[error("invalid memory access: ptr: {ptr}, size: {len}")]
    Negative { ptr: i32, len: i32 },
    /// The range does not lie within the memory.
    #[error("out of bounds memory access")]
    OutOfBounds,
}

/// Lends the range; an empty one may lie at the very end.
pub(crate) fn read(memory: &[u8], ptr: i32, len: i32) -> Result<&[u8], ReadError> {
    let (Ok(start), Ok(size)) = (usize::try_from(ptr), usize::try_from(len)) else {
        return Err(ReadError::Negative { ptr, len });
    };
    if ptr.checked_add(len).is_none() {
        return Err(ReadError::OutOfBounds);
    }
    let end = start.checked_add(size).ok_or(ReadError::OutOfBounds)?;
    memory.get(start..end).ok_or(ReadError::OutOfBounds)
}

/// Lends the whole window if all of it lies within the memory, whatever part will be written.
pub(crate) fn window(memory: &mut [u8], ptr: i32, max: i32) -> Option<&mut [u8]> {
    let start = usize::try_from(ptr).ok()?;
    let end = start.checked_add(usize::try_from(max).ok()?)?;
    memory.get_mut(start..end)
}

/// Writes into the window and returns the count of bytes, or -1.
pub(crate) fn write(memory: &mut [u8], source: &[u8], ptr: i32, max: i32) -> i64 {
    let target = window(memory, ptr, max).and_then(|window| window.get_mut(..source.len()));
    let Some(target) = target else { return -1 };
    target.copy_from_slice(source);
    i64::try_from(source.len()).unwrap_or(-1)
}

/// Writes an error text, cut to the room there is, and returns the negative count of bytes.
///
/// Without any room this is 0, which the guest reads as success, as with the reference.
pub(crate) fn write_error(memory: &mut [u8], text: &str, ptr: i32, max: i32) -> i64 {
    let (Ok(start), Ok(max)) = (usize::try_from(ptr), usize::try_from(max)) else { return -1 };
    let Some(room) = memory.get_mut(start..) else { return -1 };
    let size = text.len().min(max).min(room.len());
    if let (Some(target), Some(source)) = (room.get_mut(..size), text.as_bytes().get(..size)) {
        target.copy_from_slice(source);
    }
    i64::try_from(size).map_or(-1, i64::wrapping_neg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: i32 = 65_536;

    fn memory() -> Vec<u8> {
        vec![0; SIZE as usize]
    }

    #[test]
    fn negative_pointers_and_lengths_are_not_read() {
        let text = |ptr, len| read(&memory(), ptr, len).unwrap_err().to_string();
        assert_eq!(text(-1, 4), "invalid memory access: ptr: -1, size: 4");
        assert_eq!(text(4, -1), "invalid memory access: ptr: 4, size: -1");
        assert!(text(i32::MIN, i32::MIN).starts_with("invalid memory access: ptr: -2147483648"));
    }

    #[test]
    fn nothing_beyond_the_end_is_read() {
        let memory = memory();
        for (ptr, len) in [(SIZE, 1), (SIZE - 1, 2), (i32::MAX, 1), (i32::MAX, i32::MAX), (1, SIZE)]
        {
            assert_eq!(read(&memory, ptr, len), Err(ReadError::OutOfBounds), "{ptr} {len}");
        }
        assert_eq!(ReadError::OutOfBounds.to_string(), "out of bounds memory access");
    }

    #[test]
    fn empty_ranges_are_read_up_to_the_end() {
        let memory = memory();
        assert_eq!(read(&memory, SIZE, 0), Ok(&[][..]));
        assert_eq!(read(&memory, SIZE + 1, 0), Err(ReadError::OutOfBounds));
        assert_eq!(read(&memory, 0, SIZE).map(<[u8]>::len), Ok(SIZE as usize));
    }

    #[test]
    fn a_write_needs_its_whole_window_in_bounds() {
        let mut memory = memory();
        assert_eq!(write(&mut memory, b"abc", 0, 3), 3);
        assert_eq!(write(&mut memory, b"abc", SIZE - 3, 3), 3);
        assert_eq!(write(&mut memory, b"", SIZE, 0), 0);
        let refused = [(0, 2), (-1, 3), (0, -1), (SIZE - 3, 4), (SIZE, 1), (i32::MAX, i32::MAX)];
        for (ptr, max) in refused {
            assert_eq!(write(&mut memory, b"abc", ptr, max), -1, "{ptr} {max}");
        }
    }

    #[test]
    fn bytes_after_a_write_stay_as_they_were() {
        let mut memory = vec![7; 10];
        assert_eq!(write(&mut memory, b"ab", 1, 9), 2);
        assert_eq!(memory, [7, b'a', b'b', 7, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn an_error_text_is_cut_to_the_room() {
        let mut memory = memory();
        assert_eq!(write_error(&mut memory, "failed", 0, 100), -6);
        assert_eq!(write_error(&mut memory, "failed", 0, 3), -3);
        assert_eq!(write_error(&mut memory, "failed", SIZE - 2, 100), -2);
        assert_eq!(memory[SIZE as usize - 2..], *b"fa");
    }

    #[test]
    fn an_error_text_without_room_is_zero_or_refused() {
        let mut memory = memory();
        assert_eq!(write_error(&mut memory, "failed", 0, 0), 0);
        assert_eq!(write_error(&mut memory, "failed", SIZE, 10), 0);
        for (ptr, max) in [(-1, 10), (0, -1), (SIZE + 1, 10), (i32::MAX, 10)] {
            assert_eq!(write_error(&mut memory, "failed", ptr, max), -1, "{ptr} {max}");
        }
    }

    #[test]
    fn a_cut_may_split_a_character() {
        let mut memory = vec![0; 2];
        assert_eq!(write_error(&mut memory, "ключ", 0, 2), -2);
        assert_eq!(memory, "к".as_bytes());
    }
}
