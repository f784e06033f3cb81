/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The arena image: how a pool lies in its one shared mapping.
 *
 * A later process must be able to map the same bytes and go on, so nothing
 * here is a pointer: places are offsets, segment numbers or frame numbers,
 * and every integer is little endian with a fixed width.
 *
 *    offset 0        superblock, two slots            2 x 4 KiB
 *    offset 2048     the sharing table                a volume entry
 *    volumes_offset  volume table                     volumes_count entries
 *    segments_offset segment table                    segments_count entries
 *    frames_offset   frames: page tables of volumes   frames_count x 4 KiB
 *    data_offset     segments: the pages themselves   segments_count x 1 MiB
 *    image_size
 *
 * The mapping is sparse: frames and segments that hold nothing take no memory.
 *
 * What is stored here is what cannot be recomputed.  Live bytes of segments,
 * which frames are taken and how many words a leaf holds all follow from a
 * walk over the page tables.
 *
 * The superblock is written to its two slots in turn: the slot with the higher
 * generation and a right checksum counts, so one whole superblock is always
 * there.  It changes when a process adopts the image, not while pages move.
 *
 * Order of stores (a process may die between any two instructions, and the
 * next one adopts what it left): a blob is complete before the word that names
 * it is stored; a frame is zeroed before the entry that names it is stored; a
 * volume's entry is complete before its state becomes LIVE; a shared blob is
 * named by the sharing table before a page word names its entry there, and as
 * long as one does.
 */

#ifndef VMSWAP_IMAGE_H
#define VMSWAP_IMAGE_H

#include <stdint.h>

#define VMSWAP_IMAGE_MAGIC "VMSWAPIM" /* 8 bytes, no NUL */
#define VMSWAP_IMAGE_VERSION 4
#define VMSWAP_IMAGE_OLDEST 1 /* the oldest version that can be adopted */
#define VMSWAP_IMAGE_KEY_SIZE 192

struct vmswap_image_super {
  uint8_t magic[8];
  uint32_t version;
  uint32_t page_size;    /* 4096 */
  uint32_t segment_size; /* 1 MiB */
  uint32_t volumes_count;
  uint32_t segments_count; /* the most there can be: room for a larger limit,
                            * and some to spare */
  uint32_t frames_count;   /* likewise */
  uint64_t generation;     /* of this superblock; the higher one counts */
  uint64_t limit;          /* host memory for everything, bytes */
  uint64_t volumes_offset;
  uint64_t segments_offset;
  uint64_t frames_offset;
  uint64_t data_offset;
  uint64_t image_size;
  uint8_t key[VMSWAP_IMAGE_KEY_SIZE]; /* XXH3 secret of the fingerprints */
  uint64_t checksum; /* XXH64, seed 0, of all the bytes before it */
};

/* A volume and the root of its page table.
 *
 * The page table is a radix tree of three levels in frames of 4 KiB:
 * root[8] -> 1024 directories -> 1024 leaves -> 512 page words.  Entries of
 * the two upper levels are frame numbers (uint32_t), 0 = none; frame 0 is
 * never used.  One leaf covers 2 MiB, one directory 2 GiB, one root entry
 * 2 TiB of the volume. */
#define VMSWAP_LEAF_WORDS 512
#define VMSWAP_DIRECTORY_ENTRIES 1024
#define VMSWAP_VOLUME_ROOTS 8

enum vmswap_volume_state { VMSWAP_VOLUME_FREE = 0, VMSWAP_VOLUME_LIVE = 1 };

struct vmswap_image_volume {
  uint32_t state;
  uint32_t reserved0;
  uint64_t size; /* bytes, a multiple of the page size */
  uint32_t root[VMSWAP_VOLUME_ROOTS];
  char name[128];      /* NUL-terminated */
  uint64_t lost_first; /* since version 2, 0 before: see below */
  uint64_t lost_end;
  uint64_t group; /* since version 3, 0 before: the key of the group whose
                   * members' pages may share blobs with it; 0: none */
  uint8_t reserved[56];
};

/* Lost pages without a word each: an earlier image of the volume is gone, and
 * with it what its pages held.  Where lost_first <= page < lost_end, an empty
 * word stands for a lost page.  A page of zeroes there is a fill page. */

/* The sharing table, since version 3: identical pages that are stored once.
 *
 * It is a volume of its own, without a name, whose pages are the shared blobs:
 * its page table tells where the blob of an entry lies, and its blobs name
 * VMSWAP_SHARING_VOLUME and the entry as their owner.  How many page words name
 * an entry is not stored: it follows from the page tables.  An entry that none
 * names is dropped when the image is adopted. */
#define VMSWAP_IMAGE_SHARING 3 /* the first version that has one */
#define VMSWAP_SHARING_OFFSET 2048
#define VMSWAP_SHARING_VOLUME 0xffffu

/* A segment.  Transitions, and the function that makes each:
 *
 *   FREE        -> OPEN         segment_take: somebody appends to it
 *   OPEN        -> SEALED       segment_seal: full, or the pool is idle
 *   OPEN        -> FREE         segment_untake: taken ahead, or not needed
 *   SEALED      -> CLEANING     segment_claim: the cleaner empties it
 *   CLEANING    -> SEALED       segment_unclaim: done, or could not finish
 *   SEALED      -> LIMBO        segment_retire: nothing live is left
 *   LIMBO       -> FREE         segments_reap: no reader can look at it
 *
 * A process that adopts the image makes SEALED of every segment that page
 * words name, and FREE of all others.
 */
enum vmswap_segment_state {
  VMSWAP_SEGMENT_FREE = 0,
  VMSWAP_SEGMENT_OPEN = 1,
  VMSWAP_SEGMENT_SEALED = 2,
  VMSWAP_SEGMENT_CLEANING = 3,
  VMSWAP_SEGMENT_LIMBO = 4,
};

struct vmswap_image_segment {
  uint32_t state;
  uint32_t used;  /* bytes appended, valid once sealed */
  uint32_t birth; /* serial number of this use of the segment */
  uint32_t reserved;
};

/* A page word: what the volume knows of one page.
 *
 *    63          57 56       45 44          27 26      3 2  0
 *   +--------------+-----------+--------------+---------+----+
 *   | fingerprint  | length - 1| offset / 4   | segment |  1 |   blob
 *   +--------------+-----------+--------------+---------+----+
 *   |    check     |        value (32 bits)    |    0    |  2 |   fill
 *   +--------------+---------------------------+---------+----+
 *   |      fingerprint (63..35)     |   entry (34..3)    |  3 |   shared
 *   +--------------+-----------+--------------+---------+----+
 *   | fingerprint  | size/4 - 1|  offset / 4  | segment |  4 |   cold
 *   +--------------+-----------+--------------+---------+----+
 *   |                       0                            |  7 |   lost
 *   +----------------------------------------------------+----+
 *
 * The word 0 is an empty page (reads as zero).  A fill page is the 32-bit
 * value repeated 1024 times; check is the high 7 bits of value * 0x9e3779b1
 * (modulo 2^32), exclusive or 0x55.  length is that of the compressed bytes,
 * without the header; 4096 means that they are the page itself.  The blob
 * starts at the given offset of the segment.  A shared page's blob is that of
 * the given entry of the sharing table; its word holds the high 29 bits of the
 * fingerprint, the header of the blob and the word of the entry the others.  A
 * cold page is one of a group, which starts there and is of that size.  A lost
 * page held data that is gone: it reads as an error until it is written or
 * trimmed. */
enum vmswap_word_tag {
  VMSWAP_WORD_EMPTY = 0,
  VMSWAP_WORD_BLOB = 1,
  VMSWAP_WORD_FILL = 2,
  VMSWAP_WORD_SHARED = 3,
  VMSWAP_WORD_COLD = 4, /* since version 4 */
  VMSWAP_WORD_LOST = 7,
};

#define VMSWAP_WORD_TAG_BITS 3
#define VMSWAP_WORD_SEGMENT_SHIFT 3
#define VMSWAP_WORD_SEGMENT_BITS 24
#define VMSWAP_WORD_OFFSET_SHIFT 27
#define VMSWAP_WORD_OFFSET_BITS 18
#define VMSWAP_WORD_LENGTH_SHIFT 45
#define VMSWAP_WORD_LENGTH_BITS 12
#define VMSWAP_WORD_FINGERPRINT_SHIFT 57
#define VMSWAP_WORD_FINGERPRINT_BITS 7
#define VMSWAP_WORD_FILL_SHIFT 25
#define VMSWAP_WORD_ENTRY_SHIFT 3
#define VMSWAP_WORD_ENTRY_BITS 32
#define VMSWAP_WORD_PRINT_SHIFT 35

/* A blob: this header, then length bytes, then padding to 4 bytes.
 *
 *    owner  63       60 59       48 47           16 15      0
 *          +-----------+-----------+---------------+---------+
 *          |   codec   | length - 1|     page      | volume  |
 *          +-----------+-----------+---------------+---------+
 *
 * fingerprint is the low half of the keyed XXH3 of the uncompressed page; the
 * next bits of it are in the page word. */
#define VMSWAP_BLOB_ALIGN 4
#define VMSWAP_BLOB_HEADER_SIZE 12

struct vmswap_image_blob {
  uint32_t owner_low;
  uint32_t owner_high;
  uint32_t fingerprint;
};

enum vmswap_codec {
  VMSWAP_CODEC_NONE = 0,
  VMSWAP_CODEC_LZ4 = 1,
  VMSWAP_CODEC_GROUP = 2, /* not a page, but a group */
};

/* A group, since version 4: some of four neighbouring pages, compressed
 * together.  It is a blob whose header says VMSWAP_CODEC_GROUP, and then
 *
 *   page          the first of the four, a multiple of 4
 *   length - 1    size / 4 - 1, of the group with its header and padding
 *   fingerprint   bits 0 to 3: which of the four pages are in it;
 *                 bits 4 and 5: how many bytes of padding it ends with
 *
 * After the header: for each page in it, in order, the low half of its
 * fingerprint (4 bytes); one zstd frame of the pages, one after the other; the
 * padding.
 *
 * The words of its pages all name the group, and lie in one leaf.  A page may
 * leave it (its word names something else then); the group lives as long as one
 * word names it.  Its size counts once, however many do. */
#define VMSWAP_IMAGE_GROUPS 4 /* the first version that has them */
#define VMSWAP_GROUP_PAGES 4
#define VMSWAP_GROUP_PADDING_SHIFT 4
#define VMSWAP_GROUP_PRINT_SIZE 4

#if defined(__cplusplus)
#define VMSWAP_STATIC_ASSERT static_assert
#else
#define VMSWAP_STATIC_ASSERT _Static_assert
#endif

VMSWAP_STATIC_ASSERT (sizeof (struct vmswap_image_super) == 96 + 192,
                      "superblock");
VMSWAP_STATIC_ASSERT (sizeof (struct vmswap_image_volume) == 256, "volume");
VMSWAP_STATIC_ASSERT (sizeof (struct vmswap_image_segment) == 16, "segment");
VMSWAP_STATIC_ASSERT (sizeof (struct vmswap_image_blob) ==
                          VMSWAP_BLOB_HEADER_SIZE,
                      "blob header");

#endif /* VMSWAP_IMAGE_H */
