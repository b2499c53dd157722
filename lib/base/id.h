/* Identifiers and randomness: hex in and out, random bytes, new ids. */
#ifndef MW_BASE_ID_H
#define MW_BASE_ID_H

#include <stdint.h>

#include "lib/base/slice.h"

#define MW_TRACE_ID_SIZE 16
#define MW_SPAN_ID_SIZE 8

/* The program's own ids (alarm, investigation, webhook, record): 32 lower-case hex digits of
 * 128 random bits. Random from the first digit on, so that a prefix of six is nearly always
 * unique. */
#define MW_ID_TEXT_SIZE 33
/* Shortest prefix by which a thing may be named (DESIGN 4.2). */
#define MW_ID_PREFIX_MIN 6

/* Fills from getrandom(2); aborts if the kernel cannot. Any thread. */
void mw_random_bytes(void *out, size_t len);
void mw_id_new(char out[MW_ID_TEXT_SIZE]);

/* 2*len lower-case digits and NUL into out. */
void mw_hex_encode(const void *bytes, size_t len, char *out);
/* Exactly text.len/2 bytes into out, either case; MW_E_SYNTAX. */
MW_MUST_USE mw_err mw_hex_decode(mw_slice text, void *out, size_t out_len);
bool mw_id_is_zero(const void *bytes, size_t len);
/* True for 1 or more hex digits and nothing else. */
bool mw_is_hex(mw_slice text);

/* Strict base64 with padding. encode: out needs 4*ceil(len/3)+1. decode: MW_E_SYNTAX on any
 * other alphabet, missing padding or stray bits; *out_len at most text.len/4*3. */
void mw_base64_encode(const void *bytes, size_t len, char *out);
MW_MUST_USE mw_err mw_base64_decode(mw_slice text, void *out, size_t out_size, size_t *out_len);

#endif
