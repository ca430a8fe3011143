import os

from token_authority_server.audit.probe import check_room

SIZE_BYTES = 65536


def test_blocks_are_reserved_behind_the_end_and_content_and_size_stay() -> None:
    content = b"x" * 5000
    # In memory: some file systems (ZFS) accept a reservation and reserve nothing.
    fd = os.memfd_create("audit")
    try:
        os.write(fd, content)
        check_room(fd, SIZE_BYTES)
        status = os.fstat(fd)
        # st_blocks counts units of 512 bytes (stat(2)).
        assert status.st_blocks * 512 >= SIZE_BYTES
        assert (status.st_size, os.pread(fd, SIZE_BYTES, 0)) == (len(content), content)
    finally:
        os.close(fd)
