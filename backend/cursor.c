/* Cursors: see cursor.h. XChaCha20-Poly1305, with the question as its additional data. */
#include "backend/cursor.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

enum {
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    SEALED_BYTES = sizeof(int64_t) + crypto_aead_xchacha20poly1305_ietf_ABYTES,
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

/* As it is before it is written in base64. */
struct sealed {
    unsigned char nonce[NONCE_BYTES];
    unsigned char text[SEALED_BYTES];
};

_Static_assert(4 * sizeof(struct sealed) == 3UL * CURSOR_LENGTH, "a cursor is as long as it says");
_Static_assert(CURSOR_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one key");

void
cursor_make(const unsigned char key[CURSOR_KEY_SIZE], const char *question, int64_t position,
            char out[CURSOR_SIZE])
{
    unsigned char plain[sizeof(position)];
    struct sealed s;

    memcpy(plain, &position, sizeof(plain));
    randombytes_buf(s.nonce, sizeof(s.nonce));
    crypto_aead_xchacha20poly1305_ietf_encrypt(s.text, NULL, plain, sizeof(plain),
                                               (const unsigned char *)question, strlen(question),
                                               NULL, s.nonce, key);
    sodium_bin2base64(out, CURSOR_SIZE, (const unsigned char *)&s, sizeof(s), BASE64);
}

int
cursor_read(const unsigned char key[CURSOR_KEY_SIZE], const char *question, const char *cursor,
            int64_t *ret_position)
{
    unsigned char plain[sizeof(*ret_position)];
    struct sealed s;
    size_t len;

    if (sodium_base642bin((unsigned char *)&s, sizeof(s), cursor, strlen(cursor), NULL, &len, NULL,
                          BASE64) < 0 ||
        len != sizeof(s) ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, s.text, sizeof(s.text),
                                                   (const unsigned char *)question,
                                                   strlen(question), s.nonce, key) < 0)
        return -EINVAL;
    memcpy(ret_position, plain, sizeof(plain));
    return 0;
}
