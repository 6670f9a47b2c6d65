/* What OpenSSL sees in PEM text: as nginx reads authorities and lists (PEM_X509_INFO_read_bio).
 *
 * In: texts on standard input, each behind its length in four bytes, big-endian. Out: for each a line,
 * "error" or the SHA-256 of every certificate and list, in their order.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const unsigned char *digest, unsigned int len)
{
    for (unsigned int at = 0; at < len; at++)
        printf("%02x", digest[at]);
    putchar(' ');
}

/* Nobody knows a pass phrase. */
static int no_password(char *out, int size, int write, void *unused)
{
    (void)out, (void)size, (void)write, (void)unused;
    return 0;
}

int main(void)
{
    unsigned char length[4];
    while (fread(length, 1, 4, stdin) == 4) {
        size_t len = (size_t)length[0] << 24 | length[1] << 16 | length[2] << 8 | length[3];
        char *text = malloc(len + 1);
        if (!text || fread(text, 1, len, stdin) != len)
            return 1;
        BIO *input = BIO_new_mem_buf(text, (int)len);
        STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(input, NULL, no_password, NULL);
        if (!found)
            fputs("error", stdout);
        for (int at = 0; found && at < sk_X509_INFO_num(found); at++) {
            X509_INFO *one = sk_X509_INFO_value(found, at);
            unsigned char digest[EVP_MAX_MD_SIZE];
            unsigned int size = 0;
            if (one->x509 && X509_digest(one->x509, EVP_sha256(), digest, &size))
                show(digest, size);
            if (one->crl && X509_CRL_digest(one->crl, EVP_sha256(), digest, &size))
                show(digest, size);
        }
        putchar('\n');
        sk_X509_INFO_pop_free(found, X509_INFO_free);
        BIO_free(input);
        free(text);
        ERR_clear_error();
    }
    return 0;
}
