/* rk_checksum.h: the checksum that files carry.
 * Not here: files, and protection against someone who wants to forge one. */
#ifndef RK_CHECKSUM_H
#define RK_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in iSCSI: RFC 3720, B.4) of `size` bytes that follow those of checksum `crc`; 0 is
 * the checksum of nothing. Finds every burst of up to 32 bits. By the processor's own instructions where there are any. */
uint32_t rk_crc32c(uint32_t crc, const void *bytes, size_t size);

/* The checksum of two pieces one behind the other, from those of each; second_size: bytes of the second. */
uint32_t rk_crc32c_join(uint32_t first, uint32_t second, uint64_t second_size);

/* The same as rk_crc32c in portable C: its twin. */
uint32_t rk_crc32c_portable(uint32_t crc, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
